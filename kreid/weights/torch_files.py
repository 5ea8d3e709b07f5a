"""PyTorch's `.pth` and `.pt` files, read without PyTorch and without running what they pickle.

Both containers hold a pickle that describes the tensors and, outside it, their raw numbers ("storages"):

- zip (PyTorch 1.6 and later): members `NAME/data.pkl`, `NAME/data/<key>` and perhaps `NAME/byteorder`;
- legacy: five pickles (a magic number, the protocol, the system, the object, the storage keys), then for every key the
  number of elements as an int64 and the elements, little-endian.

A pickle is a program: it names functions and calls them. Here only the names that `_Unpickler` lists exist, none of
which does more than note its arguments; any other name ends the reading before anything is called.

Reference: torch/serialization.py and torch/_utils.py of PyTorch 2.
"""

import io
import pickle
import pickletools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np

from kreid.weights.archives import Archive
from tfrecords_tools.errors import one_line

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

# Storage class -> the NumPy type of its elements; NumPy has no bfloat16, whose bits are the upper half of a float32.
STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# Keys under which training scripts keep the weights, beside the epoch, the optimizer and so on.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "params", "weights")
# Names that stand beside the weights in such checkpoints: scores, schedules, arguments. What they hold is dropped.
IGNORED = (
    "__builtin__.dict",
    "__builtin__.set",
    "_codecs.encode",
    "argparse.Namespace",
    "builtins.dict",
    "builtins.set",
    "collections.Counter",
    "collections.defaultdict",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "torch.bfloat16",
    "torch.device",
    "torch.float16",
    "torch.float32",
    "torch.float64",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.restore_type_tag",
)
SCRIPTED = "__torch__."  # what the classes of TorchScript's archives begin with, such as those of OpenAI's CLIP
# What damaged bytes make the unpickler raise.
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_zip(path: Path) -> dict[str, np.ndarray]:
    """Read a checkpoint in the zip container.

    Args:
        path: of the file.

    Returns:
        `{"<module path>.<kind>": array}`, read-only views in the stored type (bfloat16 as float32). A leading
        `module.` (of DataParallel) is dropped; entries that are no tensors are left out. Of a TorchScript archive the
        tensors that its modules hold.

    Raises:
        ValueError: for a pickle that names anything but tensors, for a damaged file, or where no tensor is found.
    """
    with Archive(path) as archive:
        root = next(name for name in archive.sizes if name.endswith("/data.pkl")).removesuffix("data.pkl")
        content = _unpickle(_Unpickler(io.BytesIO(archive.read(f"{root}data.pkl"))), path)
        big = f"{root}byteorder" in archive.sizes and archive.read(f"{root}byteorder").strip() == b"big"

        def load(storage: _Storage) -> bytes:
            name = f"{root}data/{storage.key}"
            if archive.sizes.get(name, -1) < storage.nbytes:
                raise ValueError(f"{path}: damaged checkpoint: {one_line(name)} is missing or too small")
            return archive.read(name)

        return _arrays(content, load, ">" if big else "<", path)


def read_legacy(path: Path) -> dict[str, np.ndarray]:
    """Read a checkpoint of PyTorch before 1.6, or one saved with `_use_new_zipfile_serialization=False`.

    Args:
        path: of the file.

    Returns:
        As `read_zip`.

    Raises:
        ValueError: as `read_zip`.
    """
    with path.open("rb") as file:
        if _unpickle(_Unpickler(file), path) != LEGACY_MAGIC:
            raise ValueError(f"{path}: a pickle, but no PyTorch checkpoint: it does not start with PyTorch's number")
        for _ in ("protocol", "system"):  # the storages are little-endian whatever the system was
            _unpickle(_Unpickler(file), path)
        unpickler = _Unpickler(file)
        content = _unpickle(unpickler, path)
        blocks = _legacy_blocks(file, _unpickle(_Unpickler(file), path), unpickler.storages, path)

    def load(storage: _Storage) -> bytes:
        if storage.key not in blocks:
            raise ValueError(f"{path}: damaged checkpoint: storage {one_line(storage.key)} is missing")
        return blocks[storage.key]

    return _arrays(content, load, "<", path)


def _legacy_blocks(file: BinaryIO, keys: Any, storages: dict[str, "_Storage"], path: Path) -> dict[str, bytes]:
    """Read the storages behind the pickles, each after its number of elements."""
    blocks = {}
    left = path.stat().st_size - file.tell()
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(str(key))
        count = int.from_bytes(file.read(8), "little", signed=True)
        if storage is None or count != storage.size:
            raise ValueError(f"{path}: damaged checkpoint: storage {one_line(key)} is not the one that was announced")
        left -= 8 + storage.nbytes
        if left < 0:
            raise ValueError(
                f"{path}: cut short inside storage {one_line(key)}, {-left:,} bytes are missing; get it again"
            )
        blocks[storage.key] = file.read(storage.nbytes)
    return blocks


# Named tuples, because a pickle can change the state of any other object that it has.
class _StorageType(NamedTuple):
    """What a storage class's name stands for; not callable, hence good for nothing else."""

    dtype: str


class _Storage(NamedTuple):
    """A run of numbers that is kept outside the pickle."""

    dtype: str
    key: str
    size: int  # in elements

    @property
    def nbytes(self) -> int:
        return self.size * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


class _Tensor(NamedTuple):
    """A strided view of a storage; offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Ignored:
    """Takes whatever a pickle gives to an object and keeps none of it."""

    def __init__(self, *args: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def ignore(self, *args: Any) -> None:
        """Do nothing."""

    # With `__setstate__` a pickle sets no attributes, neither of an instance nor of this class.
    __setstate__ = append = extend = add = ignore


class _Module:
    """A module in a TorchScript archive: its attributes, tensors and modules among them. Its code is never read."""

    attributes: Any = None

    def __new__(cls, *_: Any) -> "_Module":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        self.attributes = state


class _ForbiddenError(Exception):
    """A name that a state dict has no use for."""


class _Unpickler(pickle.Unpickler):
    """Rebuilds dicts, numbers and notes about tensors, and refuses every other name."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote strings as bytes; latin1 reads any
        self.file = file
        self.storages: dict[str, _Storage] = {}
        self.allowed: dict[str, Any] = {
            "collections.OrderedDict": OrderedDict,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": self._parameter,
            "torch._utils._rebuild_parameter_with_state": self._parameter,
            **{f"torch.{name}": _StorageType(dtype) for name, dtype in STORAGES.items()},
            **{f"torch.cuda.{name}": _StorageType(dtype) for name, dtype in STORAGES.items()},
            **dict.fromkeys(IGNORED, _Ignored),
        }

    def load(self) -> Any:
        """Read the next pickle, having looked whether its numbers for what it remembers are plausible.

        `pickle` makes room for as many objects as the largest number says: gigabytes for a file of twenty bytes.
        """
        start = self.file.tell()
        for step, (opcode, number, _) in enumerate(pickletools.genops(self.file)):
            puts = opcode.name in ("PUT", "BINPUT", "LONG_BINPUT")
            if puts and isinstance(number, int) and number > step:
                raise pickle.UnpicklingError(f"it remembers object {number} after {step} steps")
        self.file.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a global name: the only way for a pickle to anything that can be called."""
        if module.startswith(SCRIPTED):
            return _Module
        if f"{module}.{name}" not in self.allowed:
            raise _ForbiddenError(f"{module}.{name}")
        return self.allowed[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> _Storage:
        """Note a storage: `("storage", type, key, device, number of elements[, view])`."""
        kind, storage_type, key, _, size, *view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType) or size < 0:
            raise pickle.UnpicklingError(f"a {kind} kept outside the pickle, expected a storage")
        if any(view):
            raise pickle.UnpicklingError("a storage within a storage, as PyTorch before 0.4 wrote them")
        storage = _Storage(storage_type.dtype, str(key), int(size))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise pickle.UnpicklingError(f"storage {key} is described in two ways")
        return storage

    # Bound methods, not functions: a pickle could set a function's defaults.
    def _tensor(self, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))

    def _parameter(self, data: Any, *_: Any) -> Any:
        return data


def _unpickle(unpickler: _Unpickler, path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged text can hold an escape sequence that Python deprecates
            return unpickler.load()
    except _ForbiddenError as error:
        raise ValueError(
            f"{path}: its pickle asks for {one_line(error)!r}, which no state dict needs: refused, nothing was run. "
            "If you trust its origin, open it with PyTorch and save model.state_dict() alone"
        ) from None
    except _PICKLE_ERRORS as error:
        raise ValueError(f"{path}: damaged checkpoint, its pickle cannot be read: {one_line(error)}") from None


def _arrays(
    content: Any, load: Callable[[_Storage], bytes], order: Literal["<", ">"], path: Path
) -> dict[str, np.ndarray]:
    """Turn the notes about tensors into arrays; tensors that share a storage go on sharing it."""
    notes = _state_dict(content, path)
    if all(name.startswith("module.") for name in notes):
        notes = {name.removeprefix("module."): note for name, note in notes.items()}
    storages: dict[str, np.ndarray] = {}
    arrays = {}
    for name, note in notes.items():
        key = note.storage.key
        if key not in storages:
            storages[key] = _elements(load(note.storage), note.storage, order)
        arrays[name] = _view(note, storages[key], f"{path}: tensor {one_line(name)}")
    return arrays


def _state_dict(content: Any, path: Path) -> dict[str, _Tensor]:
    """Return the tensors of a state dict that stands alone or among other things."""
    if isinstance(content, _Module):
        content = _attributes(content)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a state dict, found a {type(content).__name__.lstrip('_').lower()}")
    # `dict.get`, not `content.get`: the pickle may have set attributes of its own on an OrderedDict.
    for candidate in (*(dict.get(content, key) for key in WRAPPERS), content):
        if isinstance(candidate, dict):
            notes = {str(name): note for name, note in dict.items(candidate) if isinstance(note, _Tensor)}
            if notes:
                return notes
    entries = ", ".join(map(one_line, list(content)[:5])) or "none"
    raise ValueError(f"{path}: no tensors, neither by themselves nor under {', '.join(WRAPPERS)}; entries: {entries}")


def _attributes(module: _Module) -> dict[str, Any]:
    """What a module and those within it hold, by the names of a state dict; each module once, whatever refers to it."""
    found: dict[str, Any] = {}
    waiting, seen = [("", module)], {id(module)}
    for prefix, open_ in waiting:  # grows on the way
        for name, value in dict.items(open_.attributes) if isinstance(open_.attributes, dict) else ():
            if not isinstance(value, _Module):
                found[f"{prefix}{name}"] = value
            elif id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{prefix}{name}.", value))
    return found


def _elements(raw: bytes, storage: _Storage, order: Literal["<", ">"]) -> np.ndarray:
    """Return a storage as a flat array in this machine's byte order."""
    if storage.dtype == "bfloat16":
        return (np.frombuffer(raw, f"{order}u2", storage.size).astype("u4") << 16).view("f4")
    stored = np.dtype(storage.dtype).newbyteorder(order)
    return np.frombuffer(raw, stored, storage.size).astype(storage.dtype, copy=False)


def _view(note: _Tensor, elements: np.ndarray, where: str) -> np.ndarray:
    """Return the strided view; it must lie within its storage, or it would show memory that is not the file's."""
    offset, shape, stride = note.offset, note.shape, note.stride
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=False))
    if len(shape) != len(stride) or min((offset, *shape, *stride)) < 0 or (0 not in shape and last >= elements.size):
        raise ValueError(
            f"{where}: shape {shape}, strides {stride}, offset {offset} do not fit {elements.size} elements"
        )
    strides = [step * elements.itemsize for step in stride]
    try:
        return np.lib.stride_tricks.as_strided(elements[offset:], shape, strides, writeable=False)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{where}: shape {shape}: {error}") from None
