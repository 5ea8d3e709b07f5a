"""A writer of `.pth` bytes, opcode by opcode, for files that no PyTorch at hand could write."""

import pickle
import struct
import zipfile

import numpy as np

from kreid.weights.torch_files import LEGACY_MAGIC


def write_zip(path, content, storages=None, byteorder=None):
    """Write a checkpoint in the zip container with the given pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", content)
        for key, data in (storages or {}).items():
            archive.writestr(f"net/data/{key}", data)
        if byteorder:
            archive.writestr("net/byteorder", byteorder)
    return path


def tensor(name, *, count, shape, stride, offset=0, key="0", storage="FloatStorage"):
    """Return the pickle opcodes of `{name: tensor}`, as PyTorch writes them."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def integer(value):
        return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)

    def numbers(values):
        return b"(" + b"".join(map(integer, values)) + b"t"

    persistent = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + integer(count)
    arguments = b"(" + persistent + b"tQ" + integer(offset) + numbers(shape) + numbers(stride) + b"\x89Nt"
    return b"\x80\x02}" + text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def contiguous(name, array, key):
    """Return the opcodes of `{name: tensor}` for a whole float32 storage."""
    strides = [step // array.itemsize for step in array.strides]
    return tensor(name, count=array.size, shape=array.shape, stride=strides, key=key)


def state_dict(tensors):
    """Return the opcodes of a state dict and its storages' bytes by key."""
    arrays = {name: np.ascontiguousarray(array, "<f4") for name, array in tensors.items()}
    items = [contiguous(name, array, str(key))[3:-1] for key, (name, array) in enumerate(arrays.items())]
    return b"\x80\x02}" + b"".join(items) + b".", {str(k): a.tobytes() for k, a in enumerate(arrays.values())}


def scripted(name, state):
    """Return the opcodes of a TorchScript module of class `name`, whose attributes are what `state` (opcodes) makes."""
    module, _, own = name.rpartition(".")
    return f"c__torch__.{module}\n{own}\n".encode() + b")\x81" + state + b"b"


def attributes(**values):
    """Return the opcodes of a dict, of names and opcodes of values."""
    pairs = (b"X" + struct.pack("<I", len(name)) + name.encode() + value for name, value in values.items())
    return b"}(" + b"".join(pairs) + b"u"


def write_checkpoint(path, tensors):
    """Write a state dict in the zip container."""
    return write_zip(path, *state_dict(tensors))


def write_legacy_checkpoint(path, tensors):
    """Write a state dict as PyTorch did before 1.6."""
    content, storages = state_dict(tensors)
    head = [pickle.dumps(value, 2) for value in (LEGACY_MAGIC, 1001, {"little_endian": True})]
    blocks = [(len(data) // 4).to_bytes(8, "little") + data for data in storages.values()]
    path.write_bytes(b"".join([*head, content, pickle.dumps(list(storages), 2), *blocks]))
    return path
