"""TensorFlow Serving's gRPC interface; without TensorFlow, by grpcio and protobuf alone.

tensorflow-serving-api, which has these messages, loads TensorFlow and asks for one version of it. What is needed of
them is little, so that it stands here; a test holds it against that package.

Reference:
    TensorFlow Serving's `apis/predict.proto` and `apis/model.proto`, TensorFlow's `framework/tensor.proto`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import urllib3

from kreid.errors import ConfigError
from kreid.serving.answers import WHOSE, PassingError
from tfrecords_tools.errors import one_line

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_STRING, _FLOAT = 7, 1  # TensorFlow's numbers for types of tensors
_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL")
_MOST = 1 << 30  # bytes of a message; gRPC's own limit is 4 MiB, less than 32 photographs
# Message -> field -> its number and type; `*` after it for many. A map is many pairs of a key and a value.
_MESSAGES = {
    "Version": {"value": (1, "int64")},
    "ModelSpec": {"name": (1, "string"), "version": (2, "Version"), "signature_name": (3, "string")},
    "Axis": {"size": (1, "int64")},
    "Shape": {"dim": (2, "Axis*")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "float*"),
        "string_val": (8, "bytes*"),
    },
    "Named": {"key": (1, "string"), "value": (2, "Tensor")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "Named*")},
    "PredictResponse": {"outputs": (1, "Named*")},
}


class Rpc:
    """Asks a model's Predict, from any number of threads.

    Args:
        server: `grpc://HOST:8500/v1/models/NAME`, perhaps with `/versions/NUMBER`.
        timeout: seconds a request may take.

    Raises:
        ConfigError: grpcio is not installed.
    """

    def __init__(self, server: str, timeout: float) -> None:
        try:
            import grpc
        except ImportError:
            raise ConfigError("--server grpc://: grpcio is not installed; pip install 'kreid[grpc]'") from None
        url = urllib3.util.parse_url(server)
        self.address, self._timeout = server, timeout
        _, _, self._model, *version = (url.path or "").strip("/").split("/")
        self._version = int(version[1]) if version else None
        options = [("grpc.max_receive_message_length", _MOST), ("grpc.max_send_message_length", _MOST)]
        self._channel = grpc.insecure_channel(f"{url.host}:{url.port or 8500}", options)
        self._call = self._channel.unary_unary(_PREDICT)  # bytes in, bytes out

    def ask(self, files: Sequence[bytes]) -> np.ndarray:
        """Return the vectors `(N, D)` of image files, float32, unchecked.

        Raises:
            PassingError: without the address, where another try may help.
            ValueError: where it may not.
        """
        import grpc

        try:
            answer = self._call(request_of(files, self._model, self._version), timeout=self._timeout)
        except grpc.RpcError as error:
            name, details = error.code().name, one_line(error.details(), 500)
            message = f"answered {name} ({details}); is TensorFlow Serving running there?"
            if name in _PASSING:
                # What a server says of itself, gRPC's own failure to reach one looks like.
                raise PassingError(message, reached=name in ("RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL")) from None
            raise ValueError(message) from None
        return vectors_of(answer)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def request_of(files: Sequence[bytes], model: str, version: int | None = None) -> bytes:
    """Return a PredictRequest for the signature `encoded`."""
    request = _messages()["PredictRequest"]()
    request.model_spec.name, request.model_spec.signature_name = model, "encoded"
    if version is not None:
        request.model_spec.version.value = version
    named = request.inputs.add(key="image_bytes")
    named.value.dtype = _STRING
    named.value.tensor_shape.dim.add(size=len(files))
    named.value.string_val.extend(files)
    return request.SerializeToString()


def vectors_of(answer: bytes) -> np.ndarray:
    """Return the output `embedding` of a PredictResponse; ValueError where there is none."""
    from google.protobuf.message import DecodeError

    try:
        response = _messages()["PredictResponse"].FromString(answer)
    except DecodeError:
        raise ValueError(f"expected a PredictResponse, received {one_line(answer[:80])}") from None
    outputs = {named.key: named.value for named in response.outputs}
    if "embedding" not in outputs:
        raise ValueError(f"expected the output embedding, received {one_line(sorted(outputs))}; {WHOSE}")
    tensor = outputs["embedding"]
    shape = tuple(axis.size for axis in tensor.tensor_shape.dim)
    if tensor.dtype != _FLOAT:
        raise ValueError(f"expected an embedding of float32, received type {tensor.dtype}; {WHOSE}")
    content = tensor.tensor_content
    known = len(content) % 4 == 0
    values = np.frombuffer(content, "<f4") if content and known else np.array(tensor.float_val, np.float32)
    if min(shape, default=0) < 0 or values.size != np.prod(shape, dtype=object):
        raise ValueError(f"expected as many numbers as the shape {shape} has, received {values.size}; {WHOSE}")
    return values.reshape(shape)


@cache
def _messages() -> dict[str, Any]:
    """The messages as classes of protobuf's, in a pool of their own: TensorFlow may be there with the whole ones."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="predict.proto", package="kreid", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            one, many = kind.removesuffix("*"), kind.endswith("*")
            added = message.field.add(name=field, number=number)
            added.label = field_types.LABEL_REPEATED if many else field_types.LABEL_OPTIONAL
            if one in _MESSAGES:
                added.type, added.type_name = field_types.TYPE_MESSAGE, f".kreid.{one}"
            else:
                added.type = getattr(field_types, f"TYPE_{one.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"kreid.{name}")) for name in _MESSAGES}
