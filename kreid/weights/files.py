"""A file of weights: which format it has, what is in it, and which published file it is."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kreid.errors import check_path
from kreid.weights.archives import Archive
from kreid.weights.array_files import read_safetensors
from kreid.weights.caffe import read_caffemodel
from kreid.weights.keras_files import WEIGHTS_MEMBER, read_h5, read_keras_archive
from kreid.weights.torch_files import read_legacy, read_zip
from tfrecords_tools.arrays import read_arrays
from tfrecords_tools.errors import one_line
from tfrecords_tools.tables import aligned

READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    "Caffe": read_caffemodel,
    "PyTorch (zip)": read_zip,
    "PyTorch (legacy)": read_legacy,
    "NumPy": read_arrays,
    "safetensors": read_safetensors,
    "Keras": read_h5,
    "Keras archive": read_keras_archive,
}
FORMATS = ".caffemodel, .pth, .pt, .npz, .safetensors, .weights.h5, .keras or .h5"
SAFETENSORS = ".safetensors"
HEAD = 512  # bytes that tell a format

# MD5 of a published file -> what it is.
KNOWN = {
    "78287b57cf85fa89c03f1393d368e5b7": "OpenPose BODY_25, pose_iter_584000.caffemodel (non-commercial use only)",
    "5156d31f670511fce9b4e28b403f2939": "OpenPose COCO, pose_iter_440000.caffemodel (non-commercial use only)",
    "4d473c1dd8becc155b73f8504c6f6626": "Keras ResNet50 on ImageNet, without its classifier",
}


@dataclass(frozen=True)
class Summary:
    """What a file of weights holds.

    Args:
        path: of the file.
        format: key of `READERS`.
        known: which published file it is, or None.
        rows: (name, shape, type of the values) of every tensor, in the file's order.
        parameters: number of values in all tensors.
    """

    path: Path
    format: str
    known: str | None
    rows: tuple[tuple[str, tuple[int, ...], str], ...]
    parameters: int

    def __str__(self) -> str:
        rows = [(one_line(name), dtype, str(shape)) for name, shape, dtype in self.rows]
        total = f"{self.path}: {self.format}, {len(self.rows)} tensors, {self.parameters:,} values"
        known = f"known as: {self.known}" if self.known else "not one of the known files"
        return "\n".join([aligned(rows), total, known])


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read any file of weights as named arrays; its contents tell the format, its name only where they are damaged.

    Args:
        path: of a `.caffemodel`, `.pth`, `.pt`, `.npz`, `.safetensors`, `.weights.h5`, `.keras` or `.h5` file.

    Returns:
        `{"<upstream layer>.<kind>": array}` in the file's own layout (`assign` transposes). Kinds: `weight`, `bias`,
        `running_mean`, `running_var`, `slope`; Keras's files have their own (see `read_h5`). The arrays
        may be read-only.

    Raises:
        ValueError: for a file that is absent, empty, damaged, cut short or of no known format; for a pickle that asks
            for more than tensors, which is refused without running any of it.

    Example:
        >>> read("pose_iter_584000.caffemodel")["conv1_1.weight"].shape
        (64, 3, 3, 3)
    """
    path = _checked(path)
    return READERS[_format(path)](path)


def describe(path: str | os.PathLike) -> Summary:
    """List the tensors of a file of weights.

    Args:
        path: of the file, as for `read`.

    Returns:
        A summary, which prints as a table.

    Raises:
        ValueError: as `read`.
    """
    path = _checked(path)
    tensors = read(path)
    rows = tuple((name, tuple(array.shape), str(array.dtype)) for name, array in tensors.items())
    return Summary(path, _format(path), identify(path), rows, sum(array.size for array in tensors.values()))


def identify(path: str | os.PathLike) -> str | None:
    """Return which published file this is, by its MD5 checksum, or None; for a log, not against forgery.

    Args:
        path: of the file.

    Example:
        >>> identify("body25.caffemodel")
        'OpenPose BODY_25, pose_iter_584000.caffemodel (non-commercial use only)'
    """
    with _checked(path).open("rb") as file:
        return KNOWN.get(hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest())


def _checked(path: str | os.PathLike) -> Path:
    check_path("path", path, "a file of weights")
    return Path(path)


def _format(path: Path) -> str:
    """Return the key of `READERS` that a file's first bytes, or a zip's members, ask for."""
    if not path.is_file():
        raise ValueError(f"{path}: {'a folder, expected a file' if path.is_dir() else 'no such file'}")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise ValueError(f"{path}: the file is empty")
    if head[8:9] == b"{" and (path.suffix == SAFETENSORS or int.from_bytes(head[:8], "little") < 1 << 32):
        return "safetensors"  # asked first: the length it begins with may look like any other format's first bytes
    if head.startswith(b"PK"):
        return _zip_format(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "Keras"
    if head.startswith(b"\x80"):
        return "PyTorch (legacy)"
    if _is_text(head):
        start = head.decode("utf-8", "replace").strip().splitlines()[:1] or [""]
        raise ValueError(
            f"{path}: a text file, expected weights ({FORMATS}); it starts with {start[0][:60]!r}: "
            "a download page, or a pointer to the real file?"
        )
    # Nothing marks a Caffe model, so a damaged file of any other kind would pass for one.
    return "safetensors" if path.suffix == SAFETENSORS or head[8:10] == b'{"' else "Caffe"


def _zip_format(path: Path) -> str:
    with Archive(path) as archive:
        members = list(archive.sizes)
    if any(name.endswith("/data.pkl") for name in members):
        return "PyTorch (zip)"
    if WEIGHTS_MEMBER in members:
        return "Keras archive"
    if members and all(name.endswith(".npy") for name in members):
        return "NumPy"
    held = ", ".join(map(one_line, members[:3])) or "nothing"
    raise ValueError(f"{path}: a zip archive but no checkpoint of PyTorch, NumPy or Keras; it holds {held}")


def _is_text(head: bytes) -> bool:
    """Tell text from a binary file: UTF-8 without control characters but white space."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < HEAD or len(head) - error.start > 3:
            return False
        text = head[: error.start].decode("utf-8")  # the last character goes on beyond what was read
    return all(character.isprintable() or character in "\t\r\n" for character in text)
