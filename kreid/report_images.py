"""The pictures of a report: thumbnails shrunk and joined into one WebP image per action, smaller than single files."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from kreid.ranking import Images
from tfrecords_tools.index import Index
from tfrecords_tools.schema import parse

HEIGHTS = (128, 96, 80, 64, 56, 48)  # pixels; the largest with which the page stays small is taken
WEBP = {"format": "WEBP", "quality": 70, "method": 2}  # method 4, the default, takes twice the time for 4 % less
_WIDEST, _HIGHEST = 4096, 16383  # pixels: a strip continues below, a WebP image ends
_CHUNK = 128  # records parsed at a time
FIELDS = ("role", "jersey", "game", "height", "width")  # of a record, beside its picture
_SAMPLE = 6  # actions encoded to foretell the size

Progress = Callable[[int, int], None]


class Sheet(NamedTuple):
    """The thumbnails of one action: a WebP image, and where in it each one is: x, y, width, height in pixels."""

    webp: bytes
    boxes: list[tuple[int, int, int, int]]


def find_records(images: Images, index: Index) -> np.ndarray:
    """Return (M,) int64, the record of each image.

    Raises:
        ValueError: an image has no record or one of another action; it names the folder and the image.
    """
    place = {key: row for row, key in enumerate(zip(index.is_query.tolist(), index.bbox.tolist(), strict=True))}
    keys = zip(images.is_query.tolist(), images.bbox.tolist(), strict=True)
    rows = np.fromiter((place.get(key, -1) for key in keys), np.int64, len(images))
    wrong = rows < 0
    wrong[~wrong] = index.action[rows[~wrong]] != images.action[~wrong]
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        subset = "query" if images.is_query[row] else "gallery image"
        raise ValueError(
            f"records: {index.folder} has no {subset} {images.bbox[row]} in action {images.action[row]}, as the "
            "ranking has; give the records that were ranked"
        )
    return rows


def read_fields(index: Index, rows: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yield the fields of some records, in the order asked for, a few at a time: the table of `schema` in arrays."""

    def serialized() -> Iterator[np.ndarray]:
        for start in range(0, len(rows), _CHUNK):
            yield np.array(index.read(rows[start : start + _CHUNK]), dtype=object)

    dataset = tf.data.Dataset.from_generator(serialized, output_signature=tf.TensorSpec((None,), tf.string)).unbatch()
    dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    yield from dataset.batch(_CHUNK).as_numpy_iterator()


def join(images: Sequence[bytes], height: int, names: Sequence[str]) -> Sheet:
    """Decode, shrink and join thumbnails; small ones stay as they are.

    Args:
        images: encoded images.
        height: the tallest a thumbnail becomes, in pixels; the widest is twice that.
        names: what to call each image in a message.

    Raises:
        ValueError: an image cannot be decoded (it is named), or there are several thousand.
    """
    small = [shrink(image, height, name) for image, name in zip(images, names, strict=True)]
    boxes, x, y, right = [], 0, 0, 1
    for one in small:
        if x + one.width > _WIDEST:
            x, y = 0, y + height
        boxes.append((x, y, one.width, one.height))
        x += one.width + one.width % 2  # even, for the chroma of two neighbours is one pixel
        right = max(right, x)
    if y + height > _HIGHEST:
        raise ValueError(f"{names[0]} and {len(names) - 1:,} more: too many pictures in one action for a page")
    strip = Image.new("RGB", (right, y + height))
    for one, box in zip(small, boxes, strict=True):
        strip.paste(one, box[:2])
    file = io.BytesIO()
    strip.save(file, **WEBP)
    return Sheet(file.getvalue(), boxes)


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
        anything is shown, in order.
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


def shrink(image: bytes, height: int, name: str) -> Image.Image:
    """Decode an image to RGB, at most `height` tall and twice that wide; ValueError with `name` if that fails."""
    try:
        with Image.open(io.BytesIO(image)) as file:
            scale = min(1, height / file.height, 2 * height / file.width)
            size = (max(1, round(file.width * scale)), max(1, round(file.height * scale)))
            return file.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: expected an image, {type(error).__name__}: {error!s:.100}") from error


def _pictures(
    index: Index, rows: np.ndarray, shown: np.ndarray, fields: dict[str, list[Any]], progress: Progress | None
) -> Iterator[tuple[list[bytes], list[str]]]:
    """Yield each action's encoded pictures and their names, and append what else the records say to `fields`."""
    action, done = index.action[rows], 0
    images: list[bytes] = []
    names: list[str] = []
    for part in read_fields(index, rows):
        for name, values in fields.items():
            values += [one.decode("utf-8", "replace") if type(one) is bytes else one for one in part[name].tolist()]
        for image, bbox in zip(part["image"], part["bbox"], strict=True):
            if done and action[done] != action[done - 1] and images:
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
