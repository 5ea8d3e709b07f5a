"""`.safetensors`, files of named arrays.

Reference: https://github.com/huggingface/safetensors (format).
"""

import math
from pathlib import Path

import numpy as np

from tfrecords_tools.errors import one_line
from tfrecords_tools.json_text import load_json

SAFETENSORS_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read a `.safetensors` file: the header's length (8 bytes), the header (JSON), the numbers.

    Args:
        path: of the file.

    Returns:
        The arrays by name, in the stored type (bfloat16 as float32).

    Raises:
        ValueError: for a damaged header, a type that NumPy lacks, or a tensor outside the file.
    """
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    if start - 8 > LONGEST_HEADER:
        raise ValueError(f"{path}: damaged safetensors header: a length of {start - 8:,} bytes; get the file again")
    if start > len(data):
        raise ValueError(f"{path}: cut short inside the header, {start - len(data):,} bytes are missing")
    try:
        header = load_json(data[8:start])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        rows = [(name, e["dtype"], tuple(e["shape"]), *e["data_offsets"]) for name, e in entries.items()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: damaged safetensors header: {one_line(error)}") from None
    return {name: _array(data, start, row, f"{path}: tensor {one_line(name)}") for name, *row in rows}


def _array(data: bytes, start: int, row: list, where: str) -> np.ndarray:
    """Return one tensor; its place in the file must be exactly as large as its shape says."""
    kind, shape, begin, end = row
    if kind not in SAFETENSORS_TYPES:
        raise ValueError(f"{where}: type {kind!r}, expected one of {', '.join(SAFETENSORS_TYPES)}")
    if not all(isinstance(n, int) and n >= 0 for n in (*shape, begin, end)):
        raise ValueError(f"{where}: shape {shape} and offsets {begin}, {end}: expected natural numbers")
    dtype = np.dtype(SAFETENSORS_TYPES[kind])
    count = math.prod(shape)
    if end - begin != count * dtype.itemsize:
        raise ValueError(f"{where}: {end - begin:,} bytes for shape {shape} of {kind}")
    if start + end > len(data):
        raise ValueError(f"{where}: cut short, {start + end - len(data):,} bytes are missing; get the file again")
    flat = np.frombuffer(data, dtype, count, start + begin)
    if kind == "BF16":  # the upper half of a float32
        flat = (flat.astype("u4") << 16).view("f4")
    return flat.reshape(shape).astype(flat.dtype.newbyteorder("="), copy=False)
