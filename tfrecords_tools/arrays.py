"""Named arrays in `.npz` and `.npy` files: every one is written and read here, with one set of errors. NumPy only."""

import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike

from tfrecords_tools.addresses import as_path, local_path
from tfrecords_tools.errors import one_line

# What `zipfile` and NumPy raise for changed or missing bytes, depending on where those are.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,  # to seek where a changed offset says
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)
_PIECE = 1 << 20  # bytes of an array that are in memory while they are checked
_END = struct.Struct("<4s6xH10x")  # of a zip file: magic, then how many members it has; 0xFFFF for more than fit
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: magic, then the lengths of its name and extra field


def write_arrays(target: str | Path | IO[bytes], arrays: Mapping[str, ArrayLike]) -> None:
    """Write named arrays, uncompressed, so that `map_arrays` can leave them where they are.

    The bytes are those of `np.savez`, which takes names as keywords and so refuses some: "file", "allow_pickle".

    Args:
        target: the file to write, or one that is open for writing bytes.
        arrays: by name, in the order to write them.

    Raises:
        ValueError: for an array of Python objects, which `read_arrays` would not read.
        OSError: where it cannot be written.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:  # how long it gets is not known yet
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_arrays(path: str | Path, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read all arrays of a `.npz` file into memory, each checked against its checksum.

    Args:
        path: the file.
        names: arrays that it must hold.

    Returns:
        The arrays by name, in the order of the file.

    Raises:
        ValueError: naming the file, where it is no archive of plain arrays, is damaged, or lacks one of `names`.
        OSError: where it cannot be opened.
    """
    expected = f"expected a .npz file with {', '.join(names)}" if names else "expected a .npz file of plain arrays"
    with as_path(path).open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                arrays = {_name(member): _read_member(archive, member) for member in _members(file, archive)}
        except DAMAGE as error:
            raise ValueError(f"{path}: {expected}: {one_line(error)}") from None
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"{path}: {expected}; {', '.join(missing)} missing")
    return arrays


def map_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file without holding them in memory, so that one larger than it can be searched.

    Args:
        path: a `.npz`, whose arrays come by their names, or a `.npy`, whose array comes as "vectors". The former is
            read once, a piece at a time, and held against its checksums; the latter has none.

    Returns:
        Read-only memory maps; arrays of a compressed `.npz` (`np.savez_compressed`) are read into memory instead.

    Raises:
        ValueError: naming the file, if it is neither, or damaged.
        OSError: where it cannot be opened.
    """
    path = local_path(path)
    with path.open("rb") as file:
        try:
            if path.suffix == ".npy":
                return {"vectors": np.load(path, mmap_mode="r", allow_pickle=False)}
            with zipfile.ZipFile(file) as archive:
                return {_name(member): _map_member(path, archive, member) for member in _members(file, archive)}
        except DAMAGE as error:
            raise ValueError(f"{path}: not a whole .npz or .npy file of arrays: {one_line(error)}") from None


def _members(file: IO[bytes], archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members of an archive, as many as its end says: a changed length in its list can hide some."""
    members = archive.infolist()
    file.seek(-_END.size - len(archive.comment), os.SEEK_END)
    magic, count = _END.unpack(file.read(_END.size))
    if magic == b"PK\5\6" and count not in (len(members), 0xFFFF):
        raise zipfile.BadZipFile(f"{count} members were written, {len(members)} are listed")
    return members


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    try:
        with archive.open(member) as content:
            array = np.lib.format.read_array(content, allow_pickle=False)
            if content.read(1):  # to the end, where the checksum is held against what was read
                raise ValueError("more bytes than its shape says")
        return array
    except zipfile.BadZipFile:
        raise  # names the member itself
    except DAMAGE as error:
        raise ValueError(f"no readable array {one_line(member.filename)}: {one_line(error)}") from None


def _map_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type != zipfile.ZIP_STORED:
        return _read_member(archive, member)
    with archive.open(member) as content:
        while content.read(_PIECE):
            pass  # at the end the checksum is held against what was read
    with archive.open(member) as content:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(content)
        header = content.tell()
    if dtype.hasobject:
        raise ValueError(f"{one_line(member.filename)} holds Python objects, which are not read")
    if 0 in shape:
        return np.zeros(shape, dtype)
    with path.open("rb") as file:
        file.seek(member.header_offset)
        magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b"PK\3\4":
        raise ValueError(f"{one_line(member.filename)} is not where the archive says")
    start = member.header_offset + _LOCAL_HEADER.size + name + extra + header
    return np.memmap(path, dtype, "r", start, shape, order="F" if fortran else "C")
