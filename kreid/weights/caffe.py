"""Caffe's `.caffemodel` files, read from the protobuf wire format itself.

A compiled schema would need protobuf's code generator and still refuse OpenPose's BODY_25 file, whose data layer holds
a field (148) that later schemas define with required members. Only the few fields that hold weights are read here:

    NetParameter      layer = 100 (or layers = 2 in the old generation)
    LayerParameter    name = 1, type = 2, blobs = 7
    V1LayerParameter  name = 4, type = 5 (an enumeration), blobs = 6
    BlobProto         data = 5, double_data = 8, shape = 7 {dim = 1}, or num, channels, height, width = 1, 2, 3, 4

References: caffe.proto of BVLC Caffe; https://protobuf.dev/programming-guides/encoding.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfrecords_tools.errors import one_line

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types

# What a layer's blobs are called, in their order; BatchNorm divides the first two by the third.
KINDS = {
    "Convolution": ("weight", "bias"),
    "InnerProduct": ("weight", "bias"),
    "PReLU": ("slope",),
    "BatchNorm": ("running_mean", "running_var", "scale_factor"),
    "Scale": ("weight", "bias"),
    "Bias": ("bias",),
}
DEFAULT_KINDS = ("weight", "bias")
V1_TYPES = {4: "Convolution", 14: "InnerProduct"}


class Generation(NamedTuple):
    """The field numbers of one generation of layer messages."""

    name: int
    type: int
    blobs: int


GENERATIONS = {100: Generation(name=1, type=2, blobs=7), 2: Generation(name=4, type=5, blobs=6)}


class Blob(NamedTuple):
    """One array of a layer; `legacy` tells that its shape was padded with ones to four dimensions."""

    array: np.ndarray
    legacy: bool


def read_caffemodel(path: Path) -> dict[str, np.ndarray]:
    """Read the weights of a Caffe model, both generations.

    Args:
        path: of the file.

    Returns:
        `{"<layer>.<kind>": array}` in the file's order, float32 or float64. Kinds: `weight` (OIHW, or OI), `bias`,
        `slope` (PReLU), `running_mean` and `running_var` (already divided by Caffe's scale factor). A layer whose type
        has no entry in `KINDS` gets `weight`, `bias`, `blob2`...

    Raises:
        ValueError: for a file that is cut short, damaged, or no Caffe model.
    """
    data = np.memmap(path, np.uint8, "r").data
    tensors: dict[str, np.ndarray] = {}
    try:
        for number, wire, start, stop in _fields(data, 0, len(data), outermost=True):
            if number in GENERATIONS and wire == BYTES:
                _add_layer(tensors, data, start, stop, GENERATIONS[number])
    except _CutError as error:
        layer = f" inside layer {one_line(error.layer)!r}" if error.layer else ""
        raise ValueError(
            f"{path}: cut short{layer}: {len(data):,} bytes, at least {error.needed:,} expected; get the file again"
        ) from None
    except _DamagedError as error:
        raise ValueError(f"{path}: no Caffe model, or a damaged one: {error}") from None
    if not tensors:
        raise ValueError(f"{path}: no layer with weights found: no Caffe model, or only its description")
    return tensors


class _DamagedError(Exception):
    """What the bytes cannot mean."""


class _CutError(Exception):
    """The file ends before the outermost message does."""

    def __init__(self, needed: int, layer: str = "") -> None:
        super().__init__(needed)
        self.needed = needed
        self.layer = layer


def _fields(
    data: memoryview, position: int, end: int, *, outermost: bool = False
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (number, wire type, start, stop) of a message's fields; for a varint, `start` is its value."""
    while position < end:
        begin = position
        key, position = _varint(data, position, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, position = _varint(data, position, end)
            yield number, wire, value, position
            continue
        if wire == BYTES:
            length, position = _varint(data, position, end)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise _DamagedError(f"byte {begin} starts no field")
        stop = position + length
        if stop > end:
            if outermost and wire == BYTES and number in GENERATIONS:
                raise _CutError(stop, _layer_name(data, position, end, GENERATIONS[number]))
            raise _DamagedError(f"the field at byte {begin} ends behind what holds it")
        yield number, wire, position, stop
        position = stop


def _varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """Return the number at `position`, seven bits a byte, least significant first, and where the next field starts."""
    value = shift = 0
    for index in range(position, min(position + 10, end)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise _DamagedError(f"a number that does not end at byte {position}")


def _layer_name(data: memoryview, start: int, end: int, generation: Generation) -> str:
    """Return the name in what is left of a layer that is cut, or ""."""
    try:
        for number, wire, begin, stop in _fields(data, start, end):
            if number == generation.name and wire == BYTES:
                return _text(data, begin, stop)
    except _DamagedError:
        pass
    return ""


def _text(data: memoryview, start: int, stop: int) -> str:
    try:
        return bytes(data[start:stop]).decode("utf-8")
    except UnicodeDecodeError:
        raise _DamagedError(f"a name that is no UTF-8 text at byte {start}") from None


def _add_layer(tensors: dict[str, np.ndarray], data: memoryview, start: int, stop: int, generation: Generation) -> None:
    """Read one layer message and put its blobs into `tensors`."""
    name, layer_type, places = "", "", []
    for number, wire, begin, end in _fields(data, start, stop):
        if number == generation.name and wire == BYTES:
            name = _text(data, begin, end)
        elif number == generation.type:
            layer_type = V1_TYPES.get(begin, "") if wire == VARINT else _text(data, begin, end)
        elif number == generation.blobs and wire == BYTES:
            places.append((begin, end))
    try:
        blobs = [_blob(data, begin, end) for begin, end in places]
    except _DamagedError as error:
        raise _DamagedError(f"layer {one_line(name)!r}: {error}") from None

    arrays = {kind: _unpad(blob, kind, layer_type) for kind, blob in _kinds(layer_type, blobs)}
    if layer_type == "BatchNorm" and "scale_factor" in arrays:
        factor = float(arrays.pop("scale_factor").reshape(-1)[0])
        # Caffe stores running sums; its own layer takes 1 / 0 as 0.
        arrays = {kind: array * np.float32(1 / factor if factor else 0) for kind, array in arrays.items()}
    for kind, array in arrays.items():
        if f"{name}.{kind}" in tensors:
            raise _DamagedError(f"two layers are called {one_line(name)!r}")
        tensors[f"{name}.{kind}"] = array


def _kinds(layer_type: str, blobs: list[Blob]) -> Iterator[tuple[str, Blob]]:
    names = KINDS.get(layer_type, DEFAULT_KINDS)
    for index, blob in enumerate(blobs):
        yield names[index] if index < len(names) else f"blob{index}", blob


def _unpad(blob: Blob, kind: str, layer_type: str) -> np.ndarray:
    """Drop the ones that the old files put before a vector's or a matrix's shape."""
    array = blob.array
    if not blob.legacy or (layer_type == "Convolution" and kind == "weight"):
        return array
    if layer_type == "InnerProduct" and kind == "weight":
        return array.reshape(array.shape[-2:])
    return array.reshape(-1) if array.shape[:3] == (1, 1, 1) else array


def _blob(data: memoryview, start: int, stop: int) -> Blob:
    """Read one BlobProto; its numbers may come packed, in several pieces or one by one."""
    legacy_shape, dims, pieces = [0, 0, 0, 0], None, []
    for number, wire, begin, end in _fields(data, start, stop):
        if number in (1, 2, 3, 4) and wire == VARINT:
            legacy_shape[number - 1] = begin
        elif number == 7 and wire == BYTES:
            dims = _dims(data, begin, end)
        elif (number, wire) in ((5, BYTES), (5, FIXED32), (8, BYTES), (8, FIXED64)):
            item = 4 if number == 5 else 8
            if (end - begin) % item:
                raise _DamagedError(f"{end - begin} bytes of data at byte {begin}, no multiple of {item}")
            pieces.append(np.frombuffer(data[begin:end], f"<f{item}"))
    values = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)  # copies, hence outlives the mapped file
    legacy = dims is None and any(legacy_shape)
    shape = tuple(legacy_shape) if legacy else (values.size,) if dims is None else dims
    if math.prod(shape) != values.size:
        raise _DamagedError(f"a blob of shape {shape} with {values.size} values")
    return Blob(values.reshape(shape), legacy)


def _dims(data: memoryview, start: int, stop: int) -> tuple[int, ...]:
    dims = []
    for number, wire, begin, end in _fields(data, start, stop):
        if number == 1 and wire == VARINT:
            dims.append(begin)
        elif number == 1 and wire == BYTES:
            while begin < end:
                dim, begin = _varint(data, begin, end)
                dims.append(dim)
    return tuple(dims)
