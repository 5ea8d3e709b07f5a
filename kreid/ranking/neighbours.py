"""Exact nearest neighbours in a gallery of any size, in bounded memory; NumPy, or faiss where it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple, Protocol

import numpy as np

from kreid.errors import ConfigError, check_number, received
from kreid.ranking.distances import check_metric, paired_rows, unit_float32

_PRODUCTS = 1 << 23  # products of queries and gallery rows held at once (32 MiB)
_VALUES = 1 << 24  # numbers of gallery vectors held at once
_LONGEST = 1e15  # products of vectors up to this length stay well inside float32


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest gallery rows of every query, nearest first: `index` (Q, k) int64, `distance` (Q, k) float64."""

    index: np.ndarray
    distance: np.ndarray


class RowSource(Protocol):
    """Vectors that are read in slices of rows: an array, a memory map, `kreid.search.crops.Rows`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


class _Vectors(NamedTuple):
    rows: np.ndarray  # (N, D) as given
    single: np.ndarray  # (N, D) float32; of length one under "cosine"
    squared: np.ndarray  # (N,) float32, squared lengths of `single`


def search(
    queries: RowSource,
    gallery: RowSource,
    k: int = 10,
    metric: str = "euclidean",
    block: int | None = None,
    backend: str = "numpy",
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Return the k nearest gallery vectors of every query, exactly.

    Blocks of the gallery are multiplied with the queries in float32, and whatever that rounding leaves in doubt is
    measured again by differences in float64. The result is that of sorting all true distances, equal ones by row. Many
    equal vectors at the border leave much in doubt: slower, still exact.

    Args:
        queries: (Q, D) finite real numbers, in the forms that a gallery may have.
        gallery: (N, D) finite real numbers: an array, a memory map (`np.load(path, mmap_mode="r")`) or whatever else
            has a shape and gives arrays for slices of rows, such as `kreid.search.crops.Rows`; read once, in order.
        k: neighbours to return (default 10); all N where the gallery is smaller.
        metric: "euclidean" (default; plain L2), "squared_euclidean" (its square) or "cosine" (1 - cosine).
        block: gallery rows held at once (default: 64 MiB in float32, which is 32,768 rows of 512 numbers).
        backend: "numpy" (default), or "faiss" to let `faiss.knn` choose the candidates in each block; which of equally
            near rows it finds is then up to faiss and its float32 arithmetic.
        progress: called with the gallery rows searched and their number.

    Returns:
        Rows of `gallery` and their distances, each (Q, min(k, N)).

    Raises:
        ValueError: shapes do not fit, a number is not finite, a vector is longer than 1e15 or, under "cosine", zero, or
            an argument is unknown.
        ModuleNotFoundError: backend "faiss" without the package faiss-cpu.

    Example:
        search(embeddings.vectors[:5], np.load("gallery.npy", mmap_mode="r"), k=20).index
    """
    check_metric(metric)
    check_number("k", k)
    _check_shapes(queries, gallery)
    block = max(1, _VALUES // max(gallery.shape[1], 1)) if block is None else block
    if k < 1 or block < 1:
        raise ValueError(f"k, block: expected 1 or more, received {k} and {block}")
    if backend not in ("numpy", "faiss"):
        raise ValueError(f"backend: expected numpy or faiss, received {backend!r}")
    faiss = _import_faiss() if backend == "faiss" else None
    step = max(1, _PRODUCTS // block)
    parts = [_vectors(queries[top : top + step], "queries", top, metric) for top in range(0, len(queries), step)]
    best = [Found(np.zeros((len(part.rows), 0), np.int64), np.zeros((len(part.rows), 0))) for part in parts]
    for start in range(0, len(gallery), block):
        rows = _vectors(gallery[start : start + block], "gallery", start, metric)
        best = [_nearer(one, part, rows, start, k, metric, faiss) for one, part in zip(best, parts, strict=True)]
        if progress:
            progress(min(start + block, len(gallery)), len(gallery))
    width = min(k, len(gallery))
    index = np.concatenate([np.zeros((0, width), np.int64), *(found.index for found in best)])
    return Found(index, np.concatenate([np.zeros((0, width)), *(found.distance for found in best)]))


def _check_shapes(queries: RowSource, gallery: RowSource) -> None:
    for name, rows in (("queries", queries), ("gallery", gallery)):
        if not isinstance(getattr(rows, "shape", None), tuple):
            raise ConfigError(
                f"{name}: expected an array of vectors, received {received(rows)}; give such as embeddings.vectors or "
                "np.load(path)"
            )
    shapes = queries.shape, gallery.shape
    if any(len(shape) != 2 for shape in shapes) or queries.shape[1] != gallery.shape[1]:
        raise ValueError(f"queries, gallery: expected (Q, D), (N, D), received {queries.shape}, {gallery.shape}")


def _nearer(
    best: Found, queries: _Vectors, rows: _Vectors, start: int, k: int, metric: str, faiss: ModuleType | None
) -> Found:
    """Return the nearest of those found so far and of a block of the gallery that begins at row `start`."""
    if faiss is None:
        owner, found = _candidates(queries, rows, best.distance, k, metric)
    else:
        _, near = faiss.knn(queries.single, rows.single, min(k, len(rows.rows)))
        owner, found = np.repeat(np.arange(len(near)), near.shape[1]), near.ravel()
    return _merge(best, owner, found + start, paired_rows(queries.rows, rows.rows, owner, found, metric), k)


def _vectors(rows: np.ndarray, name: str, start: int, metric: str) -> _Vectors:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused
        single = np.require(rows, np.float32, ["C", "A"])  # a map into an archive may begin at any byte
        squared = np.vecdot(single, single)
    wrong = ~(squared <= _LONGEST**2)  # catches NaN too
    if metric == "cosine":
        wrong |= ~single.any(axis=1)
    if wrong.any():
        first = np.argmax(wrong)
        kind = "all zeros, which has no cosine" if squared[first] == 0 else f"not finite or longer than {_LONGEST:g}"
        raise ValueError(f"{name}: row {start + first} is {kind}")
    if metric == "cosine":
        single = unit_float32(single)
        squared = np.ones(len(single), np.float32)
    return _Vectors(np.asarray(rows), single, squared)


def _candidates(
    queries: _Vectors, rows: _Vectors, known: np.ndarray, k: int, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (query, row) among which are all of every query's k nearest so far.

    Squared distances less the query's own squared length are compared. `error` bounds what float32 does to them: twice
    the bound of sums of D products. Rows beyond the k-th by more than it allows cannot be among the k nearest.
    """
    near = queries.single @ rows.single.T
    near *= -2
    near += rows.squared
    longest = np.sqrt(rows.squared.max().astype(np.float64))
    lengths = np.sqrt(queries.squared.astype(np.float64))
    error = 2.0**-22 * (rows.single.shape[1] + 8) * (lengths + longest) ** 2 + 1e-36  # (Q,)
    limit = np.full(len(near), np.inf)
    if known.shape[1] == k:
        last = known[:, -1]
        squared = {"euclidean": last * last, "squared_euclidean": last, "cosine": 2 * last}[metric]
        limit = squared - queries.squared + error
    mask = near <= limit[:, None]
    crowded = np.flatnonzero(mask.sum(axis=1) > 4 * k)  # no limit yet, or this block is much nearer than those before
    if len(crowded):
        smallest = np.partition(near[crowded], k - 1, axis=1)[:, k - 1]
        limit[crowded] = np.minimum(limit[crowded], smallest + 2 * error[crowded])
        mask[crowded] = near[crowded] <= limit[crowded, None]
    owner, found = np.nonzero(mask)
    return owner, found


def _merge(best: Found, owner: np.ndarray, index: np.ndarray, distance: np.ndarray, k: int) -> Found:
    """Return the k nearest of those known and those new; every query has as many as there are rows, or k."""
    count, width = best.index.shape
    owner = np.concatenate([np.repeat(np.arange(count), width), owner])
    index = np.concatenate([best.index.ravel(), index])
    distance = np.concatenate([best.distance.ravel(), distance])
    order = np.lexsort((index, distance, owner))
    owner = owner[order]
    sizes = np.bincount(owner, minlength=count)
    place = np.arange(len(owner)) - (np.cumsum(sizes) - sizes)[owner]
    kept = order[place < k]
    return Found(index[kept].reshape(count, -1), distance[kept].reshape(count, -1))


def _import_faiss() -> ModuleType:
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "backend='faiss' needs the package faiss-cpu: pip install faiss-cpu, or use backend='numpy'"
        ) from error
    return faiss
