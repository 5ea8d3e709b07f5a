"""Reading `.npz` and `.safetensors`."""

import json

import numpy as np
import pytest

from kreid.weights import read


def safetensors(path, header, data=b""):
    """Write the header, JSON or ready bytes, and the numbers behind it."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_npz_gives_its_arrays(tmp_path):
    arrays = {"conv.weight": np.arange(6.0).reshape(1, 2, 3, 1), "bn.running_var": np.ones(2, np.float16)}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    tensors = read(tmp_path / "x.npz")
    assert list(tensors) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)


def test_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", weight=np.array([{"a": 1}], object))
    with pytest.raises(
        ValueError, match=r"x\.npz: expected a .* no readable array weight\.npy: Object arrays cannot be loaded"
    ):
        read(tmp_path / "x.npz")


def test_npz_with_a_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, weight=np.zeros(1000))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz: expected a \.npz file of plain arrays: Bad CRC"):
        read(path)


def test_safetensors_by_hand(tmp_path):
    numbers = np.array([1, -2], "<f4").tobytes() + np.array([3, 4, 5], "<f2").tobytes() + b"\x80\x3f\x00\xc0"
    header = {
        "__metadata__": {"format": "pt"},
        "a.weight": entry("F32", [2, 1], 0, 8),
        "half": entry("F16", [3], 8, 14),
        "bfloat": entry("BF16", [2], 14, 18),
        "none": entry("I64", [0, 7], 18, 18),
    }
    tensors = read(safetensors(tmp_path / "x.safetensors", header, numbers))
    expected = {
        "a.weight": np.array([[1], [-2]], np.float32),
        "half": np.array([3, 4, 5], np.float16),
        "bfloat": np.array([1, -2], np.float32),
        "none": np.zeros((0, 7), np.int64),
    }
    assert list(tensors) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(tensors[name], array, strict=True)


@pytest.mark.parametrize(
    "header, message",
    [
        (b"{not json", "damaged safetensors header"),
        (b"{\xff}", "damaged safetensors header"),
        ({"x": {"dtype": "F32"}}, "damaged safetensors header"),
        ({"x": 1}, "damaged safetensors header"),
        ({"x": entry("F8_E4M3", [4], 0, 4)}, "tensor x: type 'F8_E4M3', expected one of F64, F32"),
        ({"x": entry("F32", [2], 0, 4)}, r"tensor x: 4 bytes for shape \(2,\) of F32"),
        ({"x": entry("F32", [3], 0, 12)}, "tensor x: cut short, 4 bytes are missing"),
        ({"x": entry("F32", [-1, -1], 0, 4)}, "tensor x: shape .* expected natural numbers"),
        ({"x": entry("F32", [1], -8, -4)}, "tensor x: shape .* expected natural numbers"),
        ({"x": entry("F32", [1.0], 0, 4)}, "tensor x: shape .* expected natural numbers"),
    ],
)
def test_safetensors_says_what_is_damaged(tmp_path, header, message):
    with pytest.raises(ValueError, match=rf"x\.safetensors: {message}"):
        read(safetensors(tmp_path / "x.safetensors", header, bytes(8)))


@pytest.mark.parametrize("size", [128, int.from_bytes(b"PK", "little")])  # in bytes, as a pickle and a zip begin
def test_safetensors_with_a_length_like_another_format(tmp_path, size):
    header = json.dumps({"x": entry("F32", [1], 0, 4)}).encode().ljust(size)
    assert list(read(safetensors(tmp_path / "x.safetensors", header, bytes(4)))) == ["x"]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("x.safetensors", b"\xff" * 8 + b'{"x"', r"a length of 18,446,744,073,709,551,615 bytes; get the file again"),
        ("x.safetensors", b"\x80\x02" + b"\xff" * 6 + b'{"x"', "a length of "),
        ("x.safetensors", b"01234567" + b'{"x"', "a length of "),
        ("x.safetensors", bytes([2, *bytes(7)]) + b"\xff" * 8, "utf-8"),
        ("x.bin", b"\x00" * 7 + b"\x80" + b'{"x"', "a length of 9,223,372,036,854,775,808 bytes"),
    ],
)
def test_a_damaged_length_is_no_other_format(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: damaged safetensors header.*{message}"):
        read(tmp_path / name)


def test_safetensors_cut_inside_its_header(tmp_path):
    path = safetensors(tmp_path / "x.safetensors", {"x": entry("F32", [1], 0, 4)}, bytes(4))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"x\.safetensors: cut short inside the header, \d+ bytes are missing"):
        read(path)
