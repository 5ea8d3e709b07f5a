"""Reading `.pth`: files of the real PyTorch, and pickles that must not run."""

import collections
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from paths import GOLDEN
from torch_bytes import attributes, contiguous, scripted, tensor, write_zip

from kreid.weights import read
from kreid.weights.torch_files import IGNORED, LEGACY_MAGIC

MAGIC = pickle.dumps(LEGACY_MAGIC, 2)


@pytest.mark.parametrize("name", ["torch_small_checkpoint.pth", "torch_small_legacy.pth"])
def test_reads_state_dicts_of_both_containers(name):
    with np.load(GOLDEN / "torch_small.npz") as expected:
        names = [key for key in expected.files if key not in ("images", "output")]
        tensors = read(GOLDEN / name)
        assert list(tensors) == names  # without "module.", the epoch, the optimizer, the schedule...
        for key in names:
            assert tensors[key].dtype == expected[key].dtype
            np.testing.assert_array_equal(tensors[key], expected[key])


@pytest.mark.parametrize("name", ["torch_types.pth", "torch_types_legacy.pth"])
def test_reads_every_type_and_view(name):
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = {
        "half": np.array([1.5, -2.25], np.float16),
        "bfloat16": np.array([1.0, -0.0078125, 3.140625], np.float32),
        "double": np.array([1e300]),
        "long": np.array(2**40 + 1),
        "int": np.array([-7], np.int32),
        "byte": np.array([200], np.uint8),
        "bool": np.array([True, False]),
        "empty": np.zeros((0, 3), np.float32),
        "whole": base,
        "transposed": base.T,
        "window": base[1:3, 1::2],
        "expanded": np.repeat(base[:1], 3, axis=0),
        "parameter": np.array([4], np.float32),
    }
    tensors = read(GOLDEN / name)
    assert list(tensors) == list(expected)
    for key, array in expected.items():
        assert tensors[key].dtype == array.dtype, key
        np.testing.assert_array_equal(tensors[key], array, strict=True, err_msg=key)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("storage, dtype", [("FloatStorage", "f4"), ("LongStorage", "i8"), ("BFloat16Storage", "u2")])
def test_byte_order_is_the_files(tmp_path, order, storage, dtype):
    stored = np.array([0x3F80, 0x4000], f"{'<' if order == 'little' else '>'}{dtype}")
    content = tensor("x", count=2, shape=[2], stride=[1], storage=storage)
    array = read(write_zip(tmp_path / "x.pth", content, {"0": stored.tobytes()}, order))["x"]
    np.testing.assert_array_equal(array, [1.0, 2.0] if dtype == "u2" else stored)
    assert array.dtype.isnative


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "net"])
def test_finds_the_state_dict_among_other_things(tmp_path, wrapper):
    inner = tensor("x", count=1, shape=[1], stride=[1])[2:-1]
    content = b"\x80\x02" + inner + b"."
    if wrapper:
        entries = b"X\x05\x00\x00\x00epochK\x03s" + b"X" + struct.pack("<I", len(wrapper)) + wrapper.encode()
        content = b"\x80\x02}" + entries + inner + b"s."
    path = write_zip(tmp_path / "x.pth", content, {"0": np.float32([5]).tobytes()})
    np.testing.assert_array_equal(read(path)["x"], [5])


class Exploit:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# Pickles that would leave a file behind, or call something, in every way a pickle has; with the name refused.
MALICIOUS = {
    "REDUCE": lambda trace: (pickle.dumps({"x": Exploit(os.system, f"touch {trace}")}, 2), "posix.system"),
    "STACK_GLOBAL": lambda trace: (pickle.dumps({"x": Exploit(os.system, f"touch {trace}")}, 4), "posix.system"),
    "eval": lambda trace: (pickle.dumps(Exploit(eval, f"open({str(trace)!r}, 'w')"), 2), "__builtin__.eval"),
    "INST": lambda trace: (b"(S'touch " + str(trace).encode() + b"'\nios\nsystem\n.", "os.system"),
    "OBJ": lambda trace: (b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00xo.", "os.system"),
    "getattr": lambda trace: (b"c__builtin__\ngetattr\n(cposix\nsystem\nS'__call__'\ntR.", "__builtin__.getattr"),
    "dotted": lambda trace: (
        b"\x80\x04\x8c\x0bcollections\x8c\x18OrderedDict.__init__.__x\x93.",
        "collections.OrderedDict.__init__.__x",
    ),
    "nested load": lambda trace: (b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.", "torch.storage._load_from_bytes"),
    "import": lambda trace: (b"cthis_module_does_not_exist\nx\n.", "this_module_does_not_exist.x"),
}


@pytest.mark.parametrize("container", ["zip", "legacy"])
@pytest.mark.parametrize("attack", MALICIOUS)
def test_refuses_to_run_a_pickle(tmp_path, attack, container):
    trace = tmp_path / "was_here"
    content, name = MALICIOUS[attack](trace)
    path = tmp_path / "evil.pth"
    if container == "zip":
        write_zip(path, content)
    else:
        path.write_bytes(MAGIC + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + content)
    with pytest.raises(ValueError, match=rf"evil\.pth: its pickle asks for '{name}', which no state dict needs"):
        read(path)
    assert not trace.exists()


def test_the_exploit_does_work_where_pickle_runs_it(tmp_path):
    trace = tmp_path / "was_here"
    content, _ = MALICIOUS["REDUCE"](trace)
    pickle.loads(content)
    assert trace.exists()


def test_a_pickle_in_the_first_record_is_not_run_either(tmp_path):
    trace = tmp_path / "was_here"
    path = tmp_path / "evil.pth"
    path.write_bytes(b"\x80\x02" + MALICIOUS["INST"](trace)[0])
    with pytest.raises(ValueError, match=r"asks for 'os\.system'"):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", IGNORED)
def test_what_stands_beside_the_weights_becomes_nothing(tmp_path, name):
    module, _, attribute = name.rpartition(".")
    call = f"c{module}\n{attribute}\n(I1\nI2\ntR".encode()
    entry = b"X\x05\x00\x00\x00other" + call + b"}X\x01\x00\x00\x00aI1\nsb" + b"s"  # called, then given a state
    content = tensor("x", count=1, shape=[1], stride=[1])
    path = write_zip(tmp_path / "x.pth", content[:-1] + entry + b".", {"0": bytes(4)})
    assert list(read(path)) == ["x"]


@pytest.mark.parametrize(
    "target, attribute, message",
    [
        (b"ccollections\nCounter\n", b"__init__", "expected a state dict, found a type"),
        (b"ccollections\nOrderedDict\n", b"__init__", "its pickle cannot be read"),
        (b"ctorch._utils\n_rebuild_parameter\n", b"__defaults__", "its pickle cannot be read"),
        (b"ctorch\nFloatStorage\n", b"dtype", "its pickle cannot be read"),
    ],
)
def test_a_pickle_cannot_change_what_reads_the_next_one(tmp_path, target, attribute, message):
    # BUILD with a pair sets attributes of whatever lies on the stack, here to a tuple: ({}, {attribute: (1,)}).
    state = b"}}X" + struct.pack("<I", len(attribute)) + attribute + b"K\x01\x85s\x86"
    with pytest.raises(ValueError, match=message):
        read(write_zip(tmp_path / "bad.pth", b"\x80\x02" + target + state + b"b."))
    assert len(read(GOLDEN / "torch_small_checkpoint.pth")) == 17
    assert isinstance(collections.OrderedDict(a=1), dict)


def test_a_whole_model_is_refused_by_its_class():
    with pytest.raises(ValueError, match=r"asks for '__main__\.Small'.*save model\.state_dict\(\) alone"):
        read(GOLDEN / "torch_whole_model.pth")


@pytest.mark.parametrize(
    "view",
    [
        pytest.param({"shape": [5], "stride": [1]}, id="beyond the end"),
        pytest.param({"shape": [2], "stride": [1], "offset": 3}, id="offset"),
        pytest.param({"shape": [1], "stride": [1], "offset": -1}, id="before the start"),
        pytest.param({"shape": [2, 2], "stride": [3, 1]}, id="stride"),
        pytest.param({"shape": [2], "stride": [-1], "offset": 3}, id="backwards"),
        pytest.param({"shape": [2, 2], "stride": [1]}, id="ranks differ"),
        pytest.param({"shape": [-1], "stride": [1]}, id="negative"),
        pytest.param({"shape": [2**62, 2**62], "stride": [0, 0]}, id="larger than any memory"),
    ],
)
def test_a_view_stays_within_its_storage(tmp_path, view):
    path = write_zip(tmp_path / "x.pth", tensor("w", count=4, **view), {"0": bytes(16)})
    with pytest.raises(ValueError, match=r"x\.pth: tensor w: shape"):
        read(path)


@pytest.mark.parametrize(
    "content, storages, message",
    [
        pytest.param(b"\x80\x02}", {}, "its pickle cannot be read", id="pickle cut"),
        pytest.param(b"\x80\x02K\x01K\x02R.", {}, "its pickle cannot be read", id="calling a number"),
        pytest.param(b"\x80\x02X\xff\xff\xff\x7fab.", {}, "its pickle cannot be read", id="text longer than the file"),
        pytest.param(b"\x80\x02}r\xff\xff\xff\x7f.", {}, "it remembers object 2147483647 after 2 steps", id="memo"),
        pytest.param(pickle.dumps({"a": 1}, 2), {}, "no tensors, .* entries: a", id="no tensors"),
        pytest.param(pickle.dumps({}, 2), {}, "no tensors, .* entries: none", id="empty dict"),
        pytest.param(pickle.dumps([1], 2), {}, "expected a state dict, found a list", id="list"),
        pytest.param(tensor("w", count=4, shape=[4], stride=[1]), {}, "net/data/0 is missing or too small", id="gone"),
        pytest.param(
            tensor("w", count=4, shape=[4], stride=[1]), {"0": bytes(15)}, "is missing or too small", id="small storage"
        ),
        pytest.param(
            tensor("w", count=-4, shape=[0], stride=[1]), {"0": b""}, "its pickle cannot be read", id="negative count"
        ),
        pytest.param(
            tensor("w", count=4, shape=[4], stride=[1], storage="QInt8Storage"), {}, "QInt8Storage", id="quantised"
        ),
        pytest.param(
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
            {},
            "a tensor without a storage",
            id="no storage",
        ),
    ],
)
def test_says_what_is_damaged_in_a_zip(tmp_path, content, storages, message):
    with pytest.raises(ValueError, match=rf"x\.pth: .*{message}"):
        read(write_zip(tmp_path / "x.pth", content, storages))


def test_a_changed_byte_in_a_storage_is_noticed(tmp_path):
    content = bytearray((GOLDEN / "torch_small_checkpoint.pth").read_bytes())
    with zipfile.ZipFile(GOLDEN / "torch_small_checkpoint.pth") as archive:
        info = archive.getinfo(next(name for name in archive.namelist() if name.endswith("/data/0")))
    content[info.header_offset + 200] ^= 1
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pth: damaged zip archive: Bad CRC-32"):
        read(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("name", ["torch_small_checkpoint.pth", "torch_small_legacy.pth"])
def test_a_cut_file_is_noticed(tmp_path, name, share):
    content = (GOLDEN / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=rf"{name}: .*(cut short|cannot be read)"):
        read(path)


def test_a_pickle_that_is_no_checkpoint_is_told_apart(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="a pickle, but no PyTorch checkpoint"):
        read(path)


def value_of(array, key):
    """The opcodes of a tensor alone: those of `{"x": tensor}` between the name and the end."""
    return contiguous("x", array, key)[len(b"\x80\x02}X\x01\x00\x00\x00x") : -len(b"s.")]


def test_a_torchscript_archive_gives_what_its_modules_hold(tmp_path):
    """As OpenAI publishes CLIP: modules within modules, with flags and constants beside the tensors."""
    kernel, proj = np.arange(6, dtype="<f4").reshape(2, 3), np.arange(4, dtype="<f4")
    training = b"\x89"
    inner = scripted("torch.nn.modules.conv.Conv2d", attributes(training=training, weight=value_of(kernel, "0")))
    numbers = b"ctorch.jit._pickle\nbuild_intlist\n]\x85R"
    visual = scripted("clip.model.VisionTransformer", attributes(conv1=inner, proj=value_of(proj, "1"), sizes=numbers))
    whole = scripted("clip.model.CLIP", attributes(training=training, visual=visual))
    found = read(write_zip(tmp_path / "x.pt", b"\x80\x02" + whole + b".", {"0": kernel.tobytes(), "1": proj.tobytes()}))
    assert set(found) == {"visual.conv1.weight", "visual.proj"}
    np.testing.assert_array_equal(found["visual.conv1.weight"], kernel)


def test_a_torchscript_module_within_itself_is_read_once(tmp_path):
    """Its opcodes: the module, remembered, then set to hold itself as `again` and a tensor."""
    array = np.ones(2, "<f4")
    held = attributes(again=b"h\x00", weight=value_of(array, "0"))
    content = b"\x80\x02c__torch__.m\nM\n)\x81q\x00" + held + b"b."
    assert set(read(write_zip(tmp_path / "x.pt", content, {"0": array.tobytes()}))) == {"weight"}


@pytest.mark.parametrize("state", [b"N", b"K\x07", b"]"])
def test_a_torchscript_module_without_attributes_holds_nothing(tmp_path, state):
    content = b"\x80\x02" + scripted("m.M", state) + b"."
    with pytest.raises(ValueError, match="x.pt: no tensors"):
        read(write_zip(tmp_path / "x.pt", content))
