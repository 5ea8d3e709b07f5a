"""Requests that TensorFlow Serving sends itself before a version answers others, so that the first waits for nothing.

The records are `PredictionLog` messages. Their few fields are encoded here: the package that defines them,
tensorflow-serving-api, asks for one version of TensorFlow, and tests read with it what this module writes.

Reference:
    TensorFlow Serving, "SavedModel Warmup"; tensorflow_serving/apis/{prediction_log,predict,model}.proto.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

NAME = "tf_serving_warmup_requests"


def write_warmup(folder: Path, requests: Iterable[tuple[str, Mapping[str, np.ndarray]]], model: str) -> None:
    """Write a record for each request, as TensorFlow Serving reads them.

    Args:
        folder: `assets.extra` of a version.
        requests: signature, and its inputs by name.
        model: the name that the server knows the model by.
    """
    with tf.io.TFRecordWriter(str(folder / NAME)) as writer:
        for signature, inputs in requests:
            writer.write(_prediction_log(signature, inputs, model))


def _prediction_log(signature: str, inputs: Mapping[str, np.ndarray], model: str) -> bytes:
    spec = _field(1, model.encode()) + _field(3, signature.encode())  # ModelSpec: name, signature_name
    request = _field(1, spec)  # PredictRequest: model_spec, then inputs, a map of name and tensor
    for name, values in inputs.items():
        tensor = tf.make_tensor_proto(values).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))  # PredictionLog: predict_log; PredictLog: request


def _field(number: int, content: bytes) -> bytes:
    """A field of protocol buffers that holds bytes, a text or a message: its tag, its length and itself."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts[-1] |= 0x80
        parts.append(value & 0x7F)
    return bytes(parts)
