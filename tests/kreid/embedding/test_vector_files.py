"""Vectors as `.npz` and as Parquet."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kreid.embedding.vector_files import check_suffix, write_vectors
from kreid.errors import ConfigError
from tfrecords_tools.arrays import read_arrays

ARRAYS = {
    "vectors": np.eye(2, 3, dtype=np.float32),
    "path": np.array(["a.png", "b\udce9.png"]),
    "person": np.array([7, -1]),
    "is_query": np.array([True, False]),
    "network": np.array("abc"),
}


def test_npz_holds_the_arrays_as_they_are(tmp_path):
    write_vectors(tmp_path / "x.npz", ARRAYS)
    written = read_arrays(tmp_path / "x.npz")
    assert list(written) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(written[name], array)


def test_parquet_holds_a_row_an_image(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_vectors(tmp_path / "x.parquet", ARRAYS)
    table = parquet.read_table(tmp_path / "x.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "vectors": "fixed_size_list<element: float>[3]",
        "path": "string",
        "person": "int64",
        "is_query": "bool",
    }
    assert table.schema.metadata == {b"kreid": b"vectors 1", b"network": b"abc"}
    assert table.to_pylist()[1] == {"vectors": [0, 1, 0], "path": "b\\udce9.png", "person": -1, "is_query": False}
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_name_says_which(monkeypatch):
    with pytest.raises(ConfigError, match=r"--out x\.csv: expected a name that ends in \.npz or \.parquet"):
        check_suffix("--out", Path("x.csv"))
    check_suffix("--out", Path("x.npz"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ConfigError, match=r"pyarrow is not installed; pip install 'kreid\[parquet\]', or write a \.npz"
    ):
        check_suffix("--out", Path("x.parquet"))
