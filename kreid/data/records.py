"""From TFRecords to arrays: images in batches, the other fields of records, and which record belongs to an image."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kreid.data.images import decode, decode_and_resize
from kreid.ranking.embeddings import Images
from kreid.types import Tensor
from tfrecords_tools import schema
from tfrecords_tools.index import Index, read_index

_CHUNK = 128  # records parsed at a time


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
    dataset = dataset.map(schema.parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    yield from dataset.batch(_CHUNK).as_numpy_iterator()


def record_batches(
    folder: str | Path,
    image_size: tuple[int, int],
    batch_size: int = 64,
    rows: Sequence[int] | np.ndarray | None = None,
) -> tf.data.Dataset:
    """Images of a record folder in the order of its index, or those at `rows`: `(B, h, w, 3)` float32 RGB 0-255."""
    index = read_index(folder)

    def load(record: Tensor) -> Tensor:
        return decode_and_resize(schema.parse(record)["image"], image_size)

    if rows is None:
        dataset = tf.data.TFRecordDataset([str(shard) for shard in index.shards])
    else:
        spec = tf.TensorSpec((), tf.string)
        dataset = tf.data.Dataset.from_generator(lambda: (index.read([row])[0] for row in rows), output_signature=spec)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(batch_size).prefetch(2)


def first_damaged(index: Index, rows: Sequence[int] | np.ndarray) -> str | None:
    """Name the first of these records whose image cannot be decoded, for messages; None where all can.

    Raises:
        ValueError: naming the file, where it has vanished or been cut since.
    """
    for row in rows:
        record = index.read([row])[0]
        try:
            decode(schema.parse(tf.constant(record))["image"])
        except tf.errors.OpError:
            return f"{index.shards[index.shard[row]]}: action {index.action[row]} bbox {index.bbox[row]}"
    return None
