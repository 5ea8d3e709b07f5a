"""What a report takes from records: the fields of images, and their pictures joined into sheets, action by action."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from kreid.data.records import read_fields
from kreid.pictures.thumbnails import Sheet, join
from kreid.types import Progress
from tfrecords_tools.index import Index

HEIGHTS = (128, 96, 80, 64, 56, 48)  # pixels; the largest with which the page stays small is taken
FIELDS = ("role", "jersey", "game", "height", "width")  # of a record, beside its picture
_SAMPLE = 6  # actions encoded to foretell the size
_MOST = 100  # pictures of a sheet: an action that is the whole set takes many


def choose_height(index: Index, rows: np.ndarray, action: np.ndarray, budget: float) -> tuple[int, float]:
    """Return the largest of `HEIGHTS` whose strips fit in `budget` bytes, or the smallest, and its bytes per image.

    Args:
        index: of the records.
        rows: (N,) the records to show.
        action: (N,) the action of each; a few of them, evenly spread, are encoded to foretell the size.
        budget: bytes for all of them.
    """
    known = np.unique(action)
    chosen = np.unique(known[np.linspace(0, len(known) - 1, _SAMPLE).astype(int)])
    groups = [rows[action == one] for one in chosen]
    groups = [group[:: -(-len(group) // _MOST)] for group in groups]
    samples = [next(_pictures(index, group, np.ones(len(group), bool), {}, None)) for group in groups]
    total = sum(len(images) for images, _ in samples)
    for height in HEIGHTS:
        each = sum(len(join(images, height, names).webp) for images, names in samples) / total
        if each * len(rows) <= budget:
            break
    return height, each


def collect(
    index: Index, rows: np.ndarray, shown: np.ndarray, height: int, progress: Progress | None = None
) -> tuple[dict[str, np.ndarray], list[Sheet]]:
    """Read records once, in order: the fields of all, the pictures of some.

    Args:
        index: of the records.
        rows: (N,) records, those of an action together.
        shown: (N,) bool, whose pictures are wanted.
        height: see `join`.
        progress: called with the records read and their total.

    Returns:
        "role", "jersey", "game" (text), "height", "width" (pixels): (N,) each; and one sheet for each action of which
        anything is shown, or several for one with more than 100 pictures, in order.
    """
    fields: dict[str, list[Any]] = {name: [] for name in FIELDS}
    sheets: list[Future[Sheet]] = []
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:  # Pillow decodes, shrinks and encodes outside the interpreter's lock
        try:
            for images, names in _pictures(index, rows, shown, fields, progress):
                sheets.append(pool.submit(join, images, height, names))
                if len(sheets) > 4 * workers:
                    sheets[-4 * workers].result()  # few undecoded pictures wait in memory
            return {name: np.array(values) for name, values in fields.items()}, [sheet.result() for sheet in sheets]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _pictures(
    index: Index, rows: np.ndarray, shown: np.ndarray, fields: dict[str, list[Any]], progress: Progress | None
) -> Iterator[tuple[list[bytes], list[str]]]:
    """Yield each sheet's encoded pictures and their names, and append what else the records say to `fields`."""
    action, done = index.action[rows], 0
    images: list[bytes] = []
    names: list[str] = []
    for part in read_fields(index, rows):
        for name, values in fields.items():
            values += [one.decode("utf-8", "replace") if type(one) is bytes else one for one in part[name].tolist()]
        for image, bbox in zip(part["image"], part["bbox"], strict=True):
            if images and (action[done] != action[done - 1] or len(images) == _MOST):
                yield images, names
                images, names = [], []
            if shown[done]:
                images.append(image)
                names.append(f"{index.folder}: image {bbox} of action {action[done]}")
            done += 1
        if progress:
            progress(done, len(rows))
    if images:
        yield images, names
