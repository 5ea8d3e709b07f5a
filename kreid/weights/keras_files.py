"""Keras's own files: `.weights.h5` and `.keras` of Keras 3, and the older `.h5` of weights or whole models.

Keras 3 puts a layer's variables into a group `.../vars` as `0`, `1`..., in the order of creation, and the layer's name
into that group's attribute `name`; groups of nested models lie within each other. The older form lists its layers in
the attribute `layer_names` and each layer's variables, such as `conv1/kernel:0`, in `weight_names`.

References: keras/src/saving/saving_lib.py; keras/src/legacy/saving/legacy_h5_format.py.
"""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from kreid.weights.archives import Archive
from tfrecords_tools.errors import one_line

if TYPE_CHECKING:
    import h5py

# Groups of Keras 3's files that hold no layers.
NOT_LAYERS = ("optimizer", "metrics", "_metrics", "seed_generator")
DEFLATE = 1100  # no stored byte of a compressed dataset stands for more bytes
WEIGHTS_MEMBER = "model.weights.h5"  # of a .keras archive


def read_keras_archive(path: Path) -> dict[str, np.ndarray]:
    """Read the weights of a whole model saved as `.keras`; its configuration is left alone.

    Args:
        path: of the file.

    Returns:
        As `read_h5`.

    Raises:
        ValueError: as `read_h5`, and for a damaged archive.
    """
    with Archive(path) as archive:
        return _read(io.BytesIO(archive.read(WEIGHTS_MEMBER)), path)


def read_h5(path: Path) -> dict[str, np.ndarray]:
    """Read Keras's HDF5 files in their current and in their older form.

    Args:
        path: of the file.

    Returns:
        `{name: array}` in Keras's own layout, which `assign` tells by the names: `<layer>.<index>` of the current
        form, with `<model>/` before it for every nested model, and `<layer>.<variable>`, such as `conv1.kernel`, of
        the older.

    Raises:
        ValueError: for a damaged file, for one that is not Keras's, or for one without layer names.
    """
    return _read(path, path)


# What h5py raises for changed or missing bytes, depending on where they are.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _NamelessError(Exception):
    """A group of variables that tells no layer's name."""


def _read(source: Path | BinaryIO, path: Path) -> dict[str, np.ndarray]:
    import h5py  # a dependency of Keras; slow to import, and only these files need it

    if isinstance(source, Path):
        _check_heaps(source)
    try:
        with h5py.File(source, "r") as file:
            group = file.get("model_weights", file)  # a whole model keeps its weights in there
            older = "layer_names" in group.attrs or "layer_names0" in group.attrs
            tensors = _older(group) if older else _current(file)
    except _NamelessError as error:
        raise ValueError(
            f"{path}: {one_line(error)} does not tell its layer's name, as in files of early Keras 3: "
            "load it with model.load_weights and save it again with a newer Keras"
        ) from None
    except DAMAGE as error:
        raise ValueError(f"{path}: no readable HDF5 file: {one_line(error)}") from None
    if not tensors:
        raise ValueError(f"{path}: HDF5, but it holds no layer's variables in either of Keras's forms")
    return tensors


def _check_heaps(path: Path) -> None:
    """Refuse a file whose global heaps, where HDF5 keeps texts, are damaged: the library would loop in them for ever.

    A heap is `GCOL`, a version, its size, then objects: index (2 bytes), count (2), reserved (4), size (8) and the
    text, padded to eight bytes. Index 0 is the free space behind them, whose size counts from its start.
    """
    data = np.memmap(path, np.uint8, "r").data
    for match in re.finditer(b"GCOL\x01\0\0\0", data):
        start = match.start()
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        place = start + 16
        while place + 16 <= end <= len(data):
            index, size = (int.from_bytes(data[place + at : place + at + n], "little") for at, n in ((0, 2), (8, 8)))
            if index == 0 and place + size != end:
                break
            place += 16 + -(-size // 8) * 8 if index else size
        if not end - 16 < place <= end <= len(data) or end - start < 4096:
            raise ValueError(f"{path}: no readable HDF5 file: the texts at byte {start:,} are damaged; get it again")


def _older(group: "h5py.Group") -> dict[str, np.ndarray]:
    """Read the form with `layer_names`; the last part of a variable's path is its kind."""
    tensors = {}
    for layer in _texts(group, "layer_names"):
        for path in _texts(group[layer], "weight_names"):
            owner, _, kind = path.removesuffix(":0").rpartition("/")
            tensors[f"{owner or layer}.{kind}"] = _array(group[layer][path])
    return tensors


def _texts(group: "h5py.Group", attribute: str) -> list[str]:
    """Return a list of strings, which long lists spread over `<attribute>0`, `<attribute>1`..."""
    parts = [group.attrs[attribute]] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{attribute}{len(parts)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for part in parts for text in part]


def _current(file: "h5py.File") -> dict[str, np.ndarray]:
    """Read the form with `vars` groups, naming each by the layers around it but for the model itself."""
    tensors: dict[str, np.ndarray] = {}
    visited: set[h5py.h5g.GroupID] = set()

    def visit(group: "h5py.Group", outer: tuple[str, ...]) -> None:
        if group.id in visited:  # in a damaged file a group can lie within itself
            return
        visited.add(group.id)
        names = outer
        if "vars" in group:
            variables = group["vars"]
            name = variables.attrs.get("name")
            if name is None and len(variables):
                raise _NamelessError(group.name)
            if group.name != "/" and name is not None:
                names = (*outer, str(name))
            for index, dataset in variables.items():
                tensors["/".join(names) + f".{index}"] = _array(dataset)
        for key, child in group.items():
            if key != "vars" and key not in NOT_LAYERS and hasattr(child, "items"):
                visit(child, names)

    visit(file, ())
    return tensors


def _array(dataset: "h5py.Dataset") -> np.ndarray:
    stored = dataset.id.get_storage_size()
    most = stored if dataset.chunks is None else stored * DEFLATE  # before HDF5 makes room for what is not there
    if dataset.nbytes > most:
        raise ValueError(f"{dataset.name} needs {dataset.nbytes:,} bytes, the file has {stored:,} for it")
    array = dataset[()]
    # bfloat16 is stored as two opaque bytes: the upper half of a float32.
    if dataset.attrs.get("dtype") == "bfloat16":
        return (array.view("<u2").astype("u4") << 16).view("f4")
    return np.asarray(array)
