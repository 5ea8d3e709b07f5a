"""Nearest first, as exactly as differences in float64 tell, at the cost of a matrix product; NumPy only."""

from typing import NamedTuple

import numpy as np

from kreid.ranking.distances import by_products, finished, paired_rows, pairwise

_FEW = 1 << 20  # differences that cost no more than what they would save
_MANY = 1 / 8  # share of pairs in doubt from which on measuring all is as quick


class Sorted(NamedTuple):
    """For every row its others, nearest first: their `order` (N, M) int64 and `distance` (N, M) float64."""

    order: np.ndarray
    distance: np.ndarray


def sort_rows(near: np.ndarray, counted: np.ndarray | None = None) -> Sorted:
    """Sort each row of distances, equal ones by their place.

    Args:
        near: (N, M) distances.
        counted: (N, M) bool; what does not count comes last, infinitely far. None where all count.
    """
    if counted is not None:
        near = np.where(counted, near, np.inf)
    order = np.argsort(near, axis=1, kind="stable")
    return Sorted(order, np.take_along_axis(near, order, axis=1))


def nearest_first(
    first: np.ndarray, second: np.ndarray, metric: str = "euclidean", counted: np.ndarray | None = None
) -> Sorted:
    """Return the order of `sort_rows(pairwise(first, second, metric), counted)`, and which distances are equal.

    A matrix product decides wherever two neighbours in the order are further apart than its rounding; the others are
    measured by differences, and sorted once more. Thus the distances are those of `pairwise` where two are equal, and
    to within that rounding elsewhere; `paired_rows` gives those that are to be shown.

    Args:
        first: (N, D).
        second: (M, D).
        metric: see `pairwise`.
        counted: see `sort_rows`.
    """
    found = None if first.size * len(second) <= _FEW else _by_products(first, second, metric, counted)
    return found or sort_rows(pairwise(first, second, metric), counted)


def _by_products(first: np.ndarray, second: np.ndarray, metric: str, counted: np.ndarray | None) -> Sorted | None:
    """Sort by a matrix product and mend what it leaves in doubt; None where that is too much."""
    squared, error = by_products(first, second, metric)
    if counted is not None:
        squared[~counted] = np.inf
    order = np.argsort(squared, axis=1)
    squared = np.take_along_axis(squared, order, axis=1)
    with np.errstate(invalid="ignore"):  # inf - inf among those that do not count: NaN, which is not close
        close = np.diff(squared, axis=1) <= 2 * error[:, None]
    if np.count_nonzero(close) > _MANY * close.size:
        return None
    distance = finished(squared, metric)
    follows = np.pad(close, ((0, 0), (1, 0)))  # is close to the one before it
    row, column = np.nonzero(follows | np.pad(close, ((0, 0), (0, 1))))
    run = np.cumsum(~follows[row, column])
    found = order[row, column]
    exact = paired_rows(first, second, row, found, metric)
    mended = np.lexsort((found, exact, run))
    order[row, column], distance[row, column] = found[mended], exact[mended]
    return Sorted(order, distance)
