"""What the network sees in the pairs that a report shows: tiles of activation, part maps and what makes them alike."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kreid.data.cameras import cameras_of
from kreid.data.images import resize
from kreid.data.records import damage_named, find_records
from kreid.look.pairs import Pair
from kreid.look.sheets import by_part, draw_size
from kreid.look.viewer import Seen, Viewer, relative
from kreid.pictures.colours import lay_over, lay_over_signed
from kreid.ranking.lists import Ranking
from kreid.report.data import Look, Looker
from tfrecords_tools import schema
from tfrecords_tools.decoding import decode
from tfrecords_tools.index import Index, read_index

WIDTH = 64  # pixels across a tile
_PAIRS = 8  # looked at together: some ten images, of which a full network holds 130 MB each
_TILES = 3  # of each kind


def pair_looks(viewer: Viewer, ranking: Ranking, records: str | Path, note: str = "") -> Looker:
    """Return the `look` of `write_report` for a model.

    Args:
        viewer: of the model that made the ranking; where several did, or averaged pictures, what is explained is this
            model's embedding of the whole image.
        ranking: what is shown.
        records: the split's record folder.
        note: what is said below the pictures, before `Viewer.note`.

    Example:
        >>> look = pair_looks(Viewer(model), ranking, records)
        >>> write_report(ranking, records, "report.html", "two streams, test", look=look)
    """

    said = f"{note} {viewer.note}".strip()

    def look(pairs: np.ndarray) -> Iterator[Look]:
        layers = spread(viewer.stages, _TILES)
        with read_index(records) as index:
            record = find_records(ranking.images, index)
            for start in range(0, len(pairs), _PAIRS):
                part = pairs[start : start + _PAIRS]
                rows = np.unique(part)
                pixels = [_read(index, record[row]) for row in rows]
                images = np.stack([resize(one, viewer.image_size) for one in pixels])
                small = [draw_size(one, viewer.image_size, WIDTH) for one in pixels]
                cameras = None if viewer.cameras is None else cameras_of(index, record[rows]).tolist()
                seen_all = viewer.see(images, layers, cameras)
                found = dict(zip(rows.tolist(), zip(small, seen_all, strict=True), strict=True))
                for both in part.tolist():
                    drawn, seen = zip(*(found[row] for row in both), strict=True)
                    yield tiles(drawn, seen, viewer.compare(*seen), viewer.parts)._replace(note=said)

    return look


def tiles(drawn: Sequence[np.ndarray], seen: Sequence[Seen], pair: Pair, parts: Sequence[str]) -> Look:
    """Draw the tiles of a query and a gallery image.

    Args:
        drawn: the two images, `(h, w, 3)` uint8.
        seen: what `Viewer.see` found in each.
        pair: what `Viewer.compare` found.
        parts: `Viewer.parts`.
    """
    order = by_part(pair) if len(pair.parts) > 1 else []
    alike = [("all together", pair.similarity, pair.values.sum(-1))]
    alike += [(pair.parts[number], share, pair.values[..., number]) for number, share in order[: _TILES - 1]]
    groups = {"What makes them alike": [f"{name}\n{share:+.3f}" for name, share, _ in alike]}
    peaks = [np.abs(alike[0][2]).max(), max((np.abs(values).max() for *_, values in alike[1:]), default=0)]
    columns = [
        [lay_over_signed(image, values[row] / (peaks[number > 0] or 1)) for row, image in enumerate(drawn)]
        for number, (*_, values) in enumerate(alike)
    ]
    groups["Activation"] = list(seen[0].activation)
    columns += [_maps(drawn, [one.activation[name] for one in seen]) for name in seen[0].activation]
    named = [pair.parts[number] for number, _ in order if pair.parts[number] in parts][:_TILES]
    if named:
        groups["Part maps"] = named
        part_maps = [one.parts for one in seen if one.parts is not None]
        columns += [_maps(drawn, [values[..., parts.index(name)] for values in part_maps]) for name in named]
    return Look(np.concatenate([np.concatenate(column) for column in columns], axis=1), groups)


def spread(names: Sequence[str], count: int) -> list[str]:
    """Choose so many names, evenly from the first to the last."""
    return list(dict.fromkeys(names[round(at)] for at in np.linspace(0, len(names) - 1, count)))


def _maps(drawn: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A map of both images, over them, on one scale: what is more in one of them is lighter there."""
    both = relative(np.stack(maps))
    return [lay_over(image, values) for image, values in zip(drawn, both, strict=True)]


def _read(index: Index, record: int) -> np.ndarray:
    with damage_named(index, [record]):
        return decode(schema.parse(tf.constant(index.read([record])[0]))["image"]).numpy()
