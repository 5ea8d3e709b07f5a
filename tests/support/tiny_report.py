"""Rankings and their records for tests of the report: flat pictures, a colour per person, and names out to do harm."""

import io
import json

import numpy as np
from PIL import Image

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from tfrecords_tools.entry import Entry
from tfrecords_tools.example import serialize
from tfrecords_tools.index import COLUMNS, write_index
from tfrecords_tools.info import VERSION
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.records import RecordFile

ROLES = ("Player_team_left", "Player_team_right", "Goalkeeper_team_left", "Main_referee")
HOSTILE = {
    "role": '<img src=x onerror="window.hacked=1">',
    "jersey": '"><svg onload=window.hacked=1>',
    "game": "a/b/</script><script>window.hacked=1</script><!--<script>",
}


def colour(person):
    """The colour of a person's pictures."""
    return (40 + 37 * person % 200, 40 + 91 * person % 200, 40 + 53 * person % 200)


def picture(person, height, width, image_format="PNG"):
    """An encoded picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour(person)).save(buffer, image_format)
    return buffer.getvalue()


def make_ranking(folder, actions=((2, 5), (3, 8)), withheld=False, noise=1.0, **fields):
    """Write records into `folder`/test and return the ranking of their images and that folder.

    Every action has (queries, gallery images). Each query's person is in its gallery once, the rest are others.
    """
    rng = np.random.default_rng(7)
    rows, person = [], 0
    for action, (queries, gallery) in enumerate(actions):
        people = [*range(person, person + queries), *range(person, person + gallery)]
        rows += [(action, one, place < queries) for place, one in enumerate(people)]
        person += max(queries, gallery)
    seen = {True: 0, False: 0}
    columns = {name: [] for name in COLUMNS}
    records = folder / "test"
    records.mkdir(parents=True)
    with RecordFile(records / "test-00000-of-00001.tfrecord") as file:
        for number, (action, one, is_query) in enumerate(rows):
            bbox, seen[is_query] = seen[is_query], seen[is_query] + 1
            height, width = 40 + 10 * (number % 5), 24
            known = {"person": one, "frame": 0, "role": ROLES[one % 4], "jersey": str(one % 30), "uai": "a"} | fields
            game = known.pop("game", "league/2015/A - B")
            known = dict.fromkeys(known) if withheld else known
            thumbnail = Thumbnail(bbox=bbox, action=action, height=height, width=width, **known)
            entry = Entry(thumbnail, folder, "test", "query" if is_query else "gallery", "" if withheld else game)
            record = serialize(entry, picture(one, height, width))
            place = (0, file.write(record), len(record), -1)  # without a checksum, as earlier versions wrote indexes
            values = (*place, bbox, action, -1 if withheld else one, is_query, 0, -1, -1)
            for column, value in zip(COLUMNS, values, strict=True):
                columns[column].append(value)
    write_index(records, {file.path.name: file.size}, columns, [""], 1.0, len(actions) - 1)
    (folder / "info.json").write_text(json.dumps({"schema_version": VERSION, "splits": {}}))
    centres = rng.normal(size=(person, 8))
    vectors = centres[[one for _, one, _ in rows]] + noise * rng.normal(size=(len(rows), 8))
    labels = [np.array(columns[name]) for name in ("person", "action", "bbox", "is_query")]
    return rank(Embeddings(vectors, *labels)), records
