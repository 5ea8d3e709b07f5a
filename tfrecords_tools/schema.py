"""The record of one thumbnail: one table of fields, read by the writer and by the reader."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfrecords_tools.entry import Entry
from tfrecords_tools.index import VERSION

__all__ = ["FIELDS", "VERSION", "Field", "parse", "serialize"]


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Args:
        name: its key in the `tf.train.Example` and in what `parse` returns.
        kind: `int` or `str` or `bytes`; text is stored in UTF-8.
        get: takes the field from an entry and the image's bytes; None stands for a withheld or unknown value, stored
            as -1 or "".
        since: the version that the field came with; of a record from before, `parse` returns it as unknown.
    """

    name: str
    kind: type
    get: Callable[[Entry, bytes], int | str | bytes | None]
    since: int = 1


# Changing this table (names, kinds, meaning) asks for a new VERSION.
FIELDS = (
    Field("image", bytes, lambda entry, image: image),
    Field("bbox", int, lambda entry, image: entry.thumbnail.bbox),
    Field("action", int, lambda entry, image: entry.thumbnail.action),
    Field("person", int, lambda entry, image: entry.thumbnail.person),
    Field("frame", int, lambda entry, image: entry.thumbnail.frame),
    Field("role", str, lambda entry, image: entry.thumbnail.role),
    Field("jersey", str, lambda entry, image: entry.thumbnail.jersey),
    Field("uai", str, lambda entry, image: entry.thumbnail.uai),
    Field("height", int, lambda entry, image: entry.thumbnail.height),
    Field("width", int, lambda entry, image: entry.thumbnail.width),
    Field("subset", str, lambda entry, image: entry.subset),
    Field("split", str, lambda entry, image: entry.split),
    Field("game", str, lambda entry, image: entry.game),
    Field("camera", int, lambda entry, image: entry.camera, since=2),
    Field("track", str, lambda entry, image: entry.track, since=2),
    Field("source", str, lambda entry, image: entry.source, since=2),
)
_UNKNOWN = {int: -1, str: "", bytes: b""}
_FEATURES = {
    field.name: tf.io.FixedLenFeature(
        (),
        tf.int64 if field.kind is int else tf.string,
        _UNKNOWN[field.kind] if field.since > 1 else None,
    )
    for field in FIELDS
}


def serialize(entry: Entry, image: bytes) -> bytes:
    """Return the record of a thumbnail, a serialized `tf.train.Example`; equal input gives equal bytes.

    Args:
        entry: the thumbnail.
        image: the encoded image (PNG or JPEG), kept as it is.

    Example:
        >>> record = serialize(entry, entry.path.read_bytes())
    """
    features = {field.name: _feature(field, field.get(entry, image)) for field in FIELDS}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def parse(serialized: Any) -> dict[str, Any]:
    """Read one record; for `tf.data.Dataset.map`.

    Args:
        serialized: scalar string tensor, what `serialize` returned.

    Returns:
        Scalar tensors by the names of `FIELDS`: int64 numbers (-1 where withheld) and strings ("" where withheld or
        unknown). `image` is still encoded; `height` and `width` are the original thumbnail's, in pixels.

    Raises:
        tf.errors.InvalidArgumentError: when the tensor is evaluated, for a record that lacks a field.

    Example:
        >>> tf.data.TFRecordDataset(shards).map(parse)
    """
    return tf.io.parse_single_example(serialized, _FEATURES)


def _feature(field: Field, value: int | str | bytes | None) -> tf.train.Feature:
    if field.kind is int:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[-1 if value is None else value]))
    content = "" if value is None else value
    # File systems may hold names that are not UTF-8; they keep their bytes.
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
