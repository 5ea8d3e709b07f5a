"""The one writer and reader of `.npz` and `.npy` files: what it gives, and what it says of damage, wherever that is."""

import io

import numpy as np
import pytest

from tfrecords_tools.arrays import map_arrays, read_arrays, write_arrays

ARRAYS = {"vectors": np.arange(12.0, dtype="float32").reshape(4, 3), "name": np.array("état"), "none": np.zeros((0, 2))}
SAVERS = {"stored": np.savez, "compressed": np.savez_compressed}


def test_what_is_written_is_what_numpy_would_write(tmp_path):
    write_arrays(tmp_path / "x.npz", ARRAYS)
    opened = io.BytesIO()
    write_arrays(opened, ARRAYS)
    np.savez(tmp_path / "numpy.npz", **ARRAYS)
    assert (tmp_path / "x.npz").read_bytes() == opened.getvalue() == (tmp_path / "numpy.npz").read_bytes()


def test_any_name_can_be_written_and_any_plain_number_or_text(tmp_path):
    values = {"file": 3, "allow_pickle": "état", "args": [1.5, 2.5]}
    write_arrays(tmp_path / "x.npz", values)
    found = read_arrays(tmp_path / "x.npz")
    assert {name: array.tolist() for name, array in found.items()} == values


def test_python_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_arrays(tmp_path / "x.npz", {"a": np.array([{}, None])})


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("read", [read_arrays, map_arrays])
def test_arrays_come_back_as_they_were(save, read, tmp_path):
    save(tmp_path / "x.npz", **ARRAYS)
    found = read(tmp_path / "x.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("read", [read_arrays, map_arrays])
def test_every_changed_byte_is_noticed_or_changes_nothing(save, read, tmp_path):
    """An archive read or mapped gives what was written or an error that names the file."""
    path = tmp_path / "x.npz"
    save(path, a=np.arange(5.0), b=np.array(["x", "y"]))
    content = path.read_bytes()
    messages = []
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        try:
            found = read(path)
        except ValueError as error:
            messages.append(str(error))
        else:
            assert set(found) == {"a", "b"}, position
            values = [found[name].tolist() for name in "ab"]
            assert values == [[0.0, 1.0, 2.0, 3.0, 4.0], ["x", "y"]], position
    assert len(messages) > len(content) / 2
    assert all(one.startswith(f"{path}: ") for one in messages)
    assert not any("\n" in one for one in messages)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("read", [read_arrays, map_arrays])
def test_a_file_cut_short_is_named(share, read, tmp_path):
    np.savez(tmp_path / "whole.npz", **ARRAYS)
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cut\.npz: (expected a|not a whole) \.npz"):
        read(tmp_path / "cut.npz")


def test_what_is_missing_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    with pytest.raises(
        ValueError, match=r"x\.npz: expected a \.npz file with vectors, person, bbox; person, bbox missing"
    ):
        read_arrays(tmp_path / "x.npz", ["vectors", "person", "bbox"])


@pytest.mark.parametrize("read", [read_arrays, map_arrays])
def test_pickled_objects_are_refused(read, tmp_path):
    np.savez(tmp_path / "x.npz", thing=np.array([{"a": 1}], object))
    with pytest.raises(ValueError, match=r"x\.npz: .*thing.*(Object arrays cannot be loaded|Python objects)"):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize("read", [read_arrays, map_arrays])
def test_a_file_that_is_not_there_is_an_os_error(read, tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "x.npz")


def test_one_array_alone_can_be_mapped_but_is_no_archive(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["vectors"])
    assert isinstance(map_arrays(tmp_path / "x.npy")["vectors"], np.memmap)
    with pytest.raises(ValueError, match=r"x\.npy: expected a \.npz file"):
        read_arrays(tmp_path / "x.npy")
