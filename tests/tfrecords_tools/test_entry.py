from pathlib import Path

import pytest

from tfrecords_tools.entry import Box, Entry, inside, placed, rounded_box, where
from tfrecords_tools.naming import Thumbnail


def test_an_entry_elsewhere_is_the_same_but_for_its_place():
    values = {name: place for place, name in enumerate(Thumbnail._fields)}
    others = {name: -place for place, name in enumerate(Entry._fields, start=1)}
    entry = Entry(**{**others, "thumbnail": Thumbnail(**values)})
    expected = {**entry._asdict(), "split": "test", "subset": "query", "thumbnail": entry.thumbnail._replace(bbox=7)}
    assert placed(entry, "test", "query", 7)._asdict() == expected


@pytest.mark.parametrize(
    "root, path",
    [
        ("set", "set/a/b.png"),
        (".", "a/b.png"),
        ("/x/set", "/x/set/a.png"),
        ("..", "../a b/c.png"),
        ("set", "set/set/a"),
    ],
)
def test_a_place_in_a_folder_is_that_of_pathlib(root, path):
    assert inside(Path(root), Path(path)) == Path(path).relative_to(Path(root)).as_posix()


@pytest.mark.parametrize(
    "edges, margin, box",
    [
        ((1, 2, 3, 4), 0, (1, 2, 3, 4)),
        ((1.4, 1.6, 3, 3), 0, (1, 2, 3, 3)),
        ((0.4, 0.4, 0.2, 0.2), 0, (0, 0, 1, 1)),
        ((1.5, 2.5, 1, 1), 0, (2, 3, 1, 1)),
        ((-1.5, -0.5, 1, 2), 0, (-1, 0, 1, 2)),
        ((-3.2, 0, 10, 20), 0, (-3, 0, 10, 20)),
        ((10, 10, 10, 20), 0.1, (9, 8, 12, 24)),
    ],
)
def test_edges_are_rounded_each(edges, margin, box):
    assert rounded_box(*edges, margin=margin) == box


def test_a_source_says_file_frame_and_box():
    assert where("a.png") == where("a.png", frame=3) == "a.png"
    assert where("a.png", Box(1, 2, 3, 4)) == "a.png#xywh=1,2,3,4"
    assert where("a.png", Box(-1, 2, 3, 4), 0) == "a.png#frame=0&xywh=-1,2,3,4"
