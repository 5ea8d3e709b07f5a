"""Arrays of a `.npz` or `.npy` file as memory maps, so that a gallery larger than memory can be searched."""

import struct
import zipfile
from pathlib import Path

import numpy as np

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: magic, then the lengths of its name and extra field


def map_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file without reading them.

    Args:
        path: a `.npz`, whose arrays come by their names, or a `.npy`, whose array comes as "vectors".

    Returns:
        Read-only memory maps; arrays of a compressed `.npz` (`np.savez_compressed`) are read into memory instead.

    Raises:
        ValueError: naming the file, if it is neither.
    """
    path = Path(path)
    try:
        if path.suffix == ".npy":
            return {"vectors": np.load(path, mmap_mode="r", allow_pickle=False)}
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            return {name: _map_member(path, archive, member) for name, member in members.items()}
    except (ValueError, EOFError, KeyError, struct.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path}: not a whole .npz or .npy file of arrays: {error}") from error


def _map_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as content:
        if member.compress_type != zipfile.ZIP_STORED:
            return np.lib.format.read_array(content, allow_pickle=False)
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(content)
        header = content.tell()
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects, which are not read")
    if 0 in shape:
        return np.zeros(shape, dtype)
    with path.open("rb") as file:
        file.seek(member.header_offset)
        magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b"PK\3\4":
        raise ValueError(f"{member.filename} is not where the archive says")
    start = member.header_offset + _LOCAL_HEADER.size + name + extra + header
    return np.memmap(path, dtype, "r", start, shape, order="F" if fortran else "C")
