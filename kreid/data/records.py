"""From TFRecords to arrays: images in batches, the other fields of records, and which record belongs to an image."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from kreid.data.images import decode_and_resize
from kreid.ranking.embeddings import Images
from kreid.ranking.truth import protocol_of_records
from kreid.types import Tensor
from tfrecords_tools import schema
from tfrecords_tools.decoding import decode
from tfrecords_tools.index import Index, read_index
from tfrecords_tools.info import AGAIN

# What TensorFlow raises for a record that it cannot parse or decode; the latter where it quotes bytes that are no text.
UNREADABLE = (tf.errors.OpError, UnicodeDecodeError)
_CHUNK = 128  # records parsed at a time


def read_labels(index: Index, rows: np.ndarray | None = None) -> Images:
    """Return the labels of some records, with the cameras where any is known and the protocol that they name.

    Args:
        index: of the records.
        rows: their positions in it; all by default.

    Raises:
        ValueError: as `kreid.ranking.truth.protocol_of_records`.
    """
    chosen = np.arange(len(index)) if rows is None else rows
    camera = index.known_camera
    return Images(
        person=index.person[chosen],
        action=index.action[chosen],
        bbox=index.bbox[chosen],
        is_query=index.is_query[chosen],
        camera=None if camera is None else camera[chosen],
        protocol=protocol_of_records(index.folder),
    )


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
    """Yield the fields of some records, in the order asked for, a few at a time: the table of `schema` in arrays.

    Raises:
        ValueError: see `damage_named`.
    """
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        try:
            serialized = index.read(part)
        except ValueError as error:  # of a checksum, where one before it may not parse
            raise ValueError(first_damaged(index, part) or str(error)) from None
        with damage_named(index, part):
            fields = schema.parse(tf.constant(serialized))
        yield {name: value.numpy() for name, value in fields.items()}


def record_batches(
    folder: str | Path,
    image_size: tuple[int, int],
    batch_size: int = 64,
    rows: Sequence[int] | np.ndarray | None = None,
) -> tf.data.Dataset:
    """Images of a record folder in the order of its index, or those at `rows`: `(B, h, w, 3)` float32 RGB 0-255.

    Go through them inside `damage_named`, which names the record that cannot be read.
    """
    index = read_index(folder)

    def load(record: Tensor) -> Tensor:
        return decode_and_resize(schema.parse(record)["image"], image_size)

    dataset = _serialized(index, np.arange(len(index)) if rows is None else np.asarray(rows))
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(batch_size).prefetch(2)


def sample_images(folder: str | Path, image_size: tuple[int, int], count: int = 128) -> np.ndarray:
    """Images from all over a record folder, `(n, h, w, 3)` float32 RGB 0-255; n is `count`, or all that there are."""
    index = read_index(folder)
    rows = np.unique(np.linspace(0, len(index) - 1, count).round().astype(int))
    with damage_named(index, rows):
        return np.concatenate(list(record_batches(folder, image_size, rows=rows).as_numpy_iterator()))


def _serialized(index: Index, rows: np.ndarray) -> tf.data.Dataset:
    """Records as they are stored, one by one, each read with its checksums."""

    def chunks() -> Iterator[np.ndarray]:
        for start in range(0, len(rows), _CHUNK):
            yield np.array(index.read(rows[start : start + _CHUNK]), dtype=object)

    return tf.data.Dataset.from_generator(chunks, output_signature=tf.TensorSpec((None,), tf.string)).unbatch()


@contextmanager
def damage_named(index: Index, rows: Sequence[int] | np.ndarray) -> Iterator[None]:
    """Turn what TensorFlow raises within the block, which names no record, into a line that does.

    Args:
        index: of the records that are read there.
        rows: their positions in it.

    Raises:
        ValueError: naming the first damaged record and its file, or else the folder and what TensorFlow says.
    """
    try:
        yield
    except UNREADABLE as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(first_damaged(index, rows) or f"{index.folder}: {said[0]}") from None


def first_damaged(index: Index, rows: Sequence[int] | np.ndarray) -> str | None:
    """Say which is the first damaged one of these records, in which file, and what to do; None where all are sound."""
    for row in rows:
        try:
            decode(schema.parse(tf.constant(index.read([row])[0]))["image"])
        except UNREADABLE:
            return f"{index.name(row)}: the record is damaged, its image cannot be decoded; {AGAIN}"
        except ValueError as error:  # says all that itself
            return str(error)
    return None
