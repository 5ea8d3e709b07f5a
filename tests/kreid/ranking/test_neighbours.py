"""The blockwise search against sorting all distances, in bounded memory, on arrays and memory maps."""

import sys
import tracemalloc

import numpy as np
import pytest

from kreid.ranking.distances import METRICS, paired, pairwise
from kreid.ranking.neighbours import search


def brute(queries, gallery, k, metric):
    distance = pairwise(queries, gallery, metric)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distance, order, axis=1)


def drawn(kind, rng, queries, rows, dim):
    both = rng.standard_normal((queries + rows, dim)).astype(np.float32)
    if kind == "grid":  # many equal distances between different vectors
        both = np.round(both) + 4
    elif kind == "copies":  # many equal vectors
        both = both[rng.integers(0, max(1, len(both) // 6), len(both))]
    elif kind == "far":  # differences near the last bit of float32
        both = both * 1e-3 + 100
    elif kind == "tiny":
        both = both * 1e-20
    elif kind == "long":
        both = both * np.geomspace(1e-3, 1e6, len(both), dtype=np.float32)[:, None]
    elif kind == "falling":  # every block nearer than all before it
        both = both * np.linspace(50, 1, len(both), dtype=np.float32)[:, None]
    return both[:queries], both[queries:]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["plain", "grid", "copies", "far", "tiny", "long", "falling"])
def test_equals_sorting_all_distances(kind, metric):
    rng = np.random.default_rng(0)
    for _ in range(12):
        queries, gallery = drawn(kind, rng, rng.integers(1, 9), rng.integers(1, 400), rng.integers(2, 70))
        k, block = int(rng.integers(1, 30)), int(rng.integers(1, 200))
        result = search(queries, gallery, k, metric, block)
        index, distance = brute(queries, gallery, k, metric)
        np.testing.assert_array_equal(result.index, index)
        np.testing.assert_array_equal(result.distance, distance)


def test_by_hand():
    result = search(np.array([[0.0, 0.0]]), np.array([[3, 4], [1, 0], [0, 1], [6, 8]]), k=3)
    assert result.index.tolist() == [[1, 2, 0]]
    assert result.distance.tolist() == [[1, 1, 5]]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8])
def test_other_types_of_numbers(dtype):
    rng = np.random.default_rng(0)
    queries, gallery = (rng.integers(-9, 9, (n, 5)).astype(dtype) for n in (4, 200))
    if dtype is np.float64:
        gallery = gallery + rng.random(gallery.shape) * 1e-9  # lost in float32
    result = search(queries, gallery, 20, block=30)
    np.testing.assert_array_equal(result.index, brute(queries, gallery, 20, "euclidean")[0])


def test_empty_lists_and_small_galleries():
    assert search(np.zeros((0, 3)), np.zeros((5, 3)), k=2).index.shape == (0, 2)
    assert search(np.zeros((2, 3)), np.zeros((0, 3)), k=2).distance.shape == (2, 0)
    assert search(np.zeros((2, 3)), np.zeros((1, 3)), k=5).index.tolist() == [[0], [0]]


def test_queries_are_taken_in_parts_without_a_trace(monkeypatch):
    monkeypatch.setattr("kreid.ranking.neighbours._PRODUCTS", 64)
    monkeypatch.setattr("kreid.ranking.distances._BLOCK", 32)
    rng = np.random.default_rng(0)
    queries, gallery = rng.standard_normal((13, 6)), rng.standard_normal((50, 6))
    result = search(queries, gallery, 7, block=16)
    np.testing.assert_array_equal(result.index, brute(queries, gallery, 7, "euclidean")[0])


def test_a_memory_map_is_read_in_bounded_memory(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "gallery.npy"
    gallery = np.lib.format.open_memmap(path, "w+", np.float32, (100_000, 64))  # 25.6 MB
    gallery[:] = rng.standard_normal(gallery.shape, dtype=np.float32)
    queries = gallery[[5, 99_999, 40_000]] + np.float32(1e-3)
    gallery.flush()
    search(queries, gallery[:100], k=10)
    tracemalloc.start()
    result = search(queries, np.load(path, mmap_mode="r"), k=10, metric="cosine", block=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.index[:, 0].tolist() == [5, 99_999, 40_000]
    assert peak < 4_000_000  # a block and its unit vectors are 0.5 MB each; the whole gallery is 25.6 MB


@pytest.mark.parametrize("metric", METRICS)
def test_paired_distances_are_those_of_all_pairs_to_the_bit(metric):
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 30, 133)).astype(np.float32)
    np.testing.assert_array_equal(paired(first, second, metric), np.diag(pairwise(first, second, metric)))


@pytest.mark.parametrize("metric, expected", [("euclidean", 5.0), ("squared_euclidean", 25.0), ("cosine", 1 - 24 / 25)])
def test_distances_by_hand(metric, expected):
    first, second = ([[0.0, 0.0]], [[3.0, 4.0]]) if metric != "cosine" else ([[4.0, 3.0]], [[30.0, 40.0]])
    assert pairwise(np.array(first), np.array(second), metric)[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"queries": np.zeros(3)}, r"queries, gallery: expected .Q, D., .N, D., received \(3,\), \(9, 3\)"),
        ({"gallery": np.zeros((9, 4))}, r"received \(2, 3\), \(9, 4\)"),
        ({"k": 0}, "k, block: expected 1 or more, received 0 and 4"),
        ({"metric": "l1"}, "metric: expected one of"),
        ({"backend": "torch"}, "backend: expected numpy or faiss, received 'torch'"),
        ({"queries": np.full((2, 3), np.nan)}, "queries: row 0 is not finite"),
        ({"gallery": np.where(np.arange(9)[:, None] == 6, np.inf, np.ones((9, 3)))}, "gallery: row 6 is not finite"),
        ({"gallery": np.full((9, 3), 1e200)}, "gallery: row 0 is not finite or longer than 1e"),
        ({"gallery": np.eye(9, 3), "metric": "cosine"}, "gallery: row 3 is all zeros, which has no cosine"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        search(**({"queries": np.ones((2, 3)), "gallery": np.ones((9, 3)), "k": 2, "block": 4} | arguments))


def test_faiss_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ModuleNotFoundError, match="pip install faiss-cpu, or use backend='numpy'"):
        search(np.ones((2, 3)), np.ones((9, 3)), backend="faiss")


@pytest.mark.parametrize("metric", METRICS)
def test_faiss_finds_the_same(metric):
    pytest.importorskip("faiss", reason="faiss-cpu is optional")
    rng = np.random.default_rng(0)
    queries, gallery = rng.standard_normal((20, 16)), rng.standard_normal((3000, 16))
    result = search(queries, gallery, 10, metric, block=700, backend="faiss")
    index, distance = brute(queries, gallery, 10, metric)
    np.testing.assert_array_equal(result.index, index)
    np.testing.assert_allclose(result.distance, distance)
