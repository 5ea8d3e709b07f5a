"""How sure a score is, and whether one run is better than another; NumPy only.

Queries of one action share players, light and gallery, so they are not independent. Whole actions are therefore drawn
(a cluster bootstrap) and flipped (a paired permutation test), not queries. Where one action is the whole set, as under
protocol "cross_camera", people are, whose queries are the least independent there: `QueryFigures.unit` says which.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kreid.errors import check_kind, check_number
from kreid.ranking.embeddings import same_rows
from kreid.ranking.figures import QueryFigures, same_queries
from kreid.ranking.lists import Ranking

_BLOCK = 1 << 20  # draws held at once (8 MiB)


class Interval(NamedTuple):
    """A mean over queries and its confidence interval, as fractions; NaN where one group alone tells no interval."""

    mean: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two runs on the same queries: their means, second - first with its confidence interval, and a p value.

    The last three are NaN where one group alone tells none.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


def intervals(
    ranking: Ranking | QueryFigures,
    ranks: Sequence[int] = (1,),
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return confidence intervals of mAP and rank-k, by drawing actions (or people) with replacement.

    Args:
        ranking: what `rank` returned, with known labels; or its figures, where they are there already.
        ranks: the k of the rank-k figures.
        level: the share of resamples inside the interval, between 0 and 1 (default 0.95).
        resamples: how many (default 2000).
        seed: of the draws; equal seeds give equal intervals.

    Returns:
        "mAP" and "rank<k>", as `evaluate` names them; low and high are NaN where all queries that count are of one
        action (or person).

    Raises:
        ValueError: as `bootstrap`.

    Example:
        intervals(rank(embeddings))["mAP"].low
    """
    figures = QueryFigures.of(ranking)
    values = figures.scores(ranks)
    return {name: bootstrap(value, figures.unit, level, resamples, seed) for name, value in values.items()}


def bootstrap(
    values: np.ndarray, groups: np.ndarray, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Return the mean of some values and its percentile interval, by drawing whole groups with replacement.

    A resample's mean is taken over its values: a large group counts more than a small one, as in the score itself. One
    group alone, of which every resample is the same, says nothing of how sure the mean is: low and high are NaN.

    Args:
        values: (Q,) one figure per query; NaN (a skipped query) is left out.
        groups: (Q,) the action of each, or whatever else is drawn whole.
        level: the share of resamples inside the interval, between 0 and 1 (default 0.95).
        resamples: how many (default 2000).
        seed: of the draws.

    Raises:
        ValueError: there is no value, or level or resamples make no sense.

    Reference: Davison and Hinkley, Bootstrap Methods and their Application, 1997.
    """
    total, count = _sums(values, groups)
    _check(level, resamples)
    if len(count) == 1:
        return Interval(float(total.sum() / count.sum()), np.nan, np.nan)
    means = np.empty(resamples)
    for part, draws in _draws(resamples, seed, lambda rng, n: rng.integers(len(count), size=(n, len(count)))):
        means[part] = total[draws].sum(axis=1) / count[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(total.sum() / count.sum()), float(low), float(high))


def compare(
    first: Ranking | QueryFigures,
    second: Ranking | QueryFigures,
    ranks: Sequence[int] = (1,),
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    names: tuple[str, str] = ("first", "second"),
) -> dict[str, Comparison]:
    """Say whether the second of two runs over the same queries is better than the first.

    The interval draws whole actions (or people) with replacement, the same for both runs. The two-sided p value asks
    how often a difference this large comes about when, action by action, a coin decides which run is called first.

    Args:
        first: a ranking; or its figures, where they are there already.
        second: another of the same images, labels included; or its figures. Two rankings are held against each other
            image by image, figures query by query, which is all they know.
        ranks: the k of the rank-k figures.
        level: of the interval, between 0 and 1 (default 0.95).
        resamples: of the interval and of the coin throws (default 2000).
        seed: of the draws.
        names: what to call the two in an error.

    Returns:
        "mAP" and "rank<k>". The smallest possible p value is 1 / (resamples + 1); interval and p value are NaN where
        all queries that count are of one action (or person).

    Raises:
        ValueError: the two are of different images, queries or labels; or as `bootstrap`.

    Example:
        compare(plain, reranked)["mAP"].p_value < 0.05
    """
    for name, given in zip(names, (first, second), strict=True):
        check_kind(name, given, Ranking, QueryFigures)
    if isinstance(first, Ranking) and isinstance(second, Ranking):
        same_rows(first.images, second.images, names[1])
    one, other = same_queries(QueryFigures.of(first), QueryFigures.of(second), names)
    values = other.scores(ranks)
    return {
        name: paired(value, values[name], one.unit, level, resamples, seed) for name, value in one.scores(ranks).items()
    }


def paired(
    first: np.ndarray, second: np.ndarray, groups: np.ndarray, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Comparison:
    """Compare two runs by one figure per query, as `compare` does for rankings.

    Args:
        first: (Q,) such as the average precision; NaN (a skipped query) where `second` has it too.
        second: (Q,) the same queries under another run.
        groups: (Q,) the action of each, or whatever else is drawn whole.
        level: of the interval, between 0 and 1 (default 0.95).
        resamples: of the interval and of the coin throws (default 2000).
        seed: of the draws.

    Raises:
        ValueError: as `bootstrap`.
    """
    change = np.asarray(second, dtype=np.float64) - first
    interval = bootstrap(change, groups, level, resamples, seed)
    p_value = np.nan if np.isnan(interval.low) else _sign_flips(change, groups, resamples, seed)
    return Comparison(float(np.nanmean(first)), float(np.nanmean(second)), *interval, p_value)


def _sign_flips(change: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> float:
    total, _ = _sums(change, groups)
    size = abs(total.sum())
    reached = 0
    for _, heads in _draws(resamples, seed, lambda rng, n: rng.integers(2, size=(n, len(total)), dtype=np.int8)):
        flipped = (2 * heads - 1) @ total
        reached += int(np.count_nonzero(np.abs(flipped) >= size - 1e-12 * len(change)))  # equal but for rounding
    return float((1 + reached) / (1 + resamples))


def _draws(
    resamples: int, seed: int, draw: Callable[[np.random.Generator, int], np.ndarray]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield draws for all resamples in blocks of bounded size, with the resamples each block is for."""
    rng = np.random.default_rng(seed)
    width = draw(np.random.default_rng(seed), 1).shape[1]
    step = max(1, _BLOCK // width)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        yield slice(start, stop), draw(rng, stop - start)


def _sums(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of values of every group that has one."""
    values, groups = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if values.ndim != 1 or groups.shape != values.shape:
        raise ValueError(f"groups: expected one for each of {values.shape} values, received shape {groups.shape}")
    known = ~np.isnan(values)
    if not known.any():
        raise ValueError(f"values: expected at least one number, received {len(values)} values, all of skipped queries")
    _, which = np.unique(groups[known], return_inverse=True)
    return np.bincount(which, weights=values[known]), np.bincount(which)


def _check(level: float, resamples: int) -> None:
    check_number("level", level, whole=False)
    check_number("resamples", resamples)
    if not 0 < level < 1:
        raise ValueError(f"level: expected a share between 0 and 1, such as 0.95, received {level}")
    if resamples < 1:
        raise ValueError(f"resamples: expected 1 or more, received {resamples}")
