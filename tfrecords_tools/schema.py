"""Records as TensorFlow reads them: what `example.serialize` wrote, field by field."""

from typing import Any

import tensorflow as tf

from tfrecords_tools.example import FIELDS

_UNKNOWN = {int: -1, str: "", bytes: b""}
_FEATURES = {
    field.name: tf.io.FixedLenFeature(
        (),
        tf.int64 if field.kind is int else tf.string,
        _UNKNOWN[field.kind] if field.since > 1 else None,
    )
    for field in FIELDS
}


def parse(serialized: Any) -> dict[str, Any]:
    """Read one record, for `tf.data.Dataset.map`, or several.

    Args:
        serialized: string tensor, scalar or `(N,)`, what `serialize` returned.

    Returns:
        Tensors of its shape by the names of `FIELDS`: int64 numbers (-1 where withheld) and strings ("" where withheld
        or unknown). `image` is still encoded; `height` and `width` are the original thumbnail's, in pixels.

    Raises:
        tf.errors.InvalidArgumentError: when the tensor is evaluated, for a record that lacks a field.

    Example:
        >>> tf.data.TFRecordDataset(shards).map(parse)
    """
    return tf.io.parse_example(serialized, _FEATURES)
