"""Distances between embeddings, by differences in float64; NumPy only.

Neither a matrix product of the vectors nor float32 decides, on purpose. `|a|^2 + |b|^2 - 2 ab` leaves noise where two
vectors are equal (also below zero, under the root), and a BLAS gives equal columns different last bits depending on
where they stand, so that equal gallery images would be ranked by chance. Differences give 0 for equal vectors and equal
values for equal pairs, and on the few pairs inside an action they cost a tenth of a second. Where there are many pairs,
`by_products` tells which of them need it.
"""

import numpy as np

from kreid.errors import received

METRICS = ("euclidean", "squared_euclidean", "cosine")

_BLOCK = 1 << 18  # differences held at once (2 MiB): fits a core's cache, measured best of 2**15 .. 2**22
_COPIED = 1 << 20  # numbers of vectors held in float64 beside a matrix product (8 MiB)


def check_metric(metric: str) -> None:
    """Raise ValueError unless `metric` is one of `METRICS`."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}, received {received(metric)}")


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors scaled to length one; zero vectors stay zero.

    Args:
        vectors: (N, D) real numbers.

    Returns:
        (N, D) float64.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    norm = np.sqrt(np.vecdot(vectors, vectors))[:, None]
    return vectors / np.where(norm > 0, norm, 1)


def unit_float32(vectors: np.ndarray) -> np.ndarray:
    """Return `unit(vectors)` rounded to float32, without a float64 copy of everything."""
    scaled = np.empty(vectors.shape, np.float32)
    step = max(1, _BLOCK // max(vectors.shape[1], 1))
    for start in range(0, len(vectors), step):
        scaled[start : start + step] = unit(vectors[start : start + step])
    return scaled


def paired(first: np.ndarray, second: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Return the distance between each row of `first` and the same row of `second`; to the bit what `pairwise` gives.

    Args:
        first: (N, D).
        second: (N, D).
        metric: one of `METRICS`; see `pairwise`.

    Returns:
        (N,) float64.
    """
    check_metric(metric)
    first, second = _prepared(first, metric), _prepared(second, metric)
    difference = first - second
    return _finished(np.vecdot(difference, difference), metric)


def paired_rows(
    first: np.ndarray, second: np.ndarray, rows: np.ndarray, others: np.ndarray, metric: str = "euclidean"
) -> np.ndarray:
    """Return `paired(first[rows], second[others], metric)`, a few pairs at a time: their vectors are never all there.

    Args:
        first: (N, D).
        second: (M, D).
        rows: (P,) rows of `first`.
        others: (P,) rows of `second`.
        metric: one of `METRICS`.

    Returns:
        (P,) float64.
    """
    distance = np.empty(len(rows))
    step = max(1, _BLOCK // max(first.shape[1], 1))
    for top in range(0, len(rows), step):
        pairs = slice(top, top + step)
        distance[pairs] = paired(first[rows[pairs]], second[others[pairs]], metric)
    return distance


def pairwise(first: np.ndarray, second: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Return the distance between every row of `first` and every row of `second`.

    Args:
        first: (N, D).
        second: (M, D).
        metric: "euclidean" (plain L2, the default), "squared_euclidean" or "cosine" (1 - cosine, 0 to 2; a zero vector
            has no direction and comes out 1/2 away from every other, so refuse it before).

    Returns:
        (N, M) float64, never negative, 0 between equal rows.
    """
    check_metric(metric)
    first = _prepared(first, metric)
    dim = max(first.shape[1], 1)
    columns = max(1, min(len(second), _BLOCK // dim))
    rows = max(1, min(len(first), _BLOCK // (columns * dim)))
    squared = np.empty((len(first), len(second)))
    buffer = np.empty((rows, columns, first.shape[1]))
    for left in range(0, len(second), columns):
        right = _prepared(second[left : left + columns], metric)
        for top in range(0, len(first), rows):
            part = first[top : top + rows]
            difference = buffer[: len(part), : len(right)]  # (rows, columns, D)
            np.subtract(part[:, None], right[None], out=difference)
            squared[top : top + rows, left : left + columns] = np.vecdot(difference, difference)
    return _finished(squared, metric)


def by_products(first: np.ndarray, second: np.ndarray, metric: str = "euclidean") -> tuple[np.ndarray, np.ndarray]:
    """Return squared distances (half of them for "cosine") by one matrix product: fast, and to within some rounding.

    Args:
        first: (N, D).
        second: (M, D).
        metric: one of `METRICS`.

    Returns:
        (N, M) float64, perhaps a little below zero; and (N,) float64, how far a row's may be from those by differences.
        It is twice the usual bound for sums of D products, so that values further apart than two of it differ under a
        square root too.
    """
    check_metric(metric)
    first = _prepared(first, metric)
    own = np.vecdot(first, first)
    squared = np.empty((len(first), len(second)))
    longest = 0.0
    step = max(1, _COPIED // max(first.shape[1], 1))
    for left in range(0, len(second), step):
        right = _prepared(second[left : left + step], metric)
        length = np.vecdot(right, right)
        longest = max(longest, float(length.max()))
        part = np.matmul(first, right.T, out=squared[:, left : left + step])
        part *= -2
        part += length
    squared += own[:, None]
    error = 2.0**-51 * (first.shape[1] + 8) * (np.sqrt(own) + np.sqrt(longest)) ** 2
    return _halved(squared, metric), _halved(error, metric)


def finished(squared: np.ndarray, metric: str) -> np.ndarray:
    """Turn what `by_products` gives into distances, in place; what rounding left below zero becomes 0."""
    np.maximum(squared, 0, out=squared)
    return np.sqrt(squared, out=squared) if metric == "euclidean" else squared


def _prepared(vectors: np.ndarray, metric: str) -> np.ndarray:
    return unit(vectors) if metric == "cosine" else np.asarray(vectors, dtype=np.float64)


def _finished(squared: np.ndarray, metric: str) -> np.ndarray:
    return finished(_halved(squared, metric), metric)


def _halved(squared: np.ndarray, metric: str) -> np.ndarray:
    if metric == "cosine":
        squared *= 0.5  # |a - b|^2 = 2 - 2 cos between vectors of length one
    return squared
