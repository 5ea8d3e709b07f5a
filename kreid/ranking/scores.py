"""The scores of a ranking, by SoccerNet-v3 ReID's protocol: average precision, mAP, rank-k, the CMC curve."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kreid.ranking.lists import Ranking


class GroupMeans(NamedTuple):
    """Means over groups of queries: `group` (G,) sorted labels, `mean` (G,), NaN where `count` (G,) is 0."""

    group: np.ndarray
    mean: np.ndarray
    count: np.ndarray


def evaluate(ranking: Ranking, ranks: Sequence[int] = (1, 5, 10), ties: str = "order") -> dict[str, object]:
    """Score a ranking: mAP, rank-k and the CMC curve.

    A query whose person is not in its action's gallery is skipped and counted, as SoccerNet's development kit does (the
    official scorer stops with an error there). The curve keeps its last value past the end of a gallery, where the kit
    lets it fall to zero.

    Args:
        ranking: what `rank` returned.
        ranks: the k of the rank-k figures.
        ties: "order" (default) takes the ranking as it stands; "optimistic" and "pessimistic" put matches first or last
            among equal distances, so that any way of breaking ties scores between the two.

    Returns:
        Fractions: "mAP", one "rank<k>" per k, "cmc" (a list as long as the largest gallery; its k-th value is the share
        of queries with a match among their first k). Counts: "queries" (all), "skipped" (those without a match, left
        out of the fractions), "without_gallery" (those of them whose action has no gallery at all).

    Raises:
        ValueError: labels are withheld, no query has a match, or an argument is unknown.

    Reference: `SoccerNet.Evaluation.ReIdentification` of the pip package `SoccerNet`, with which mAP and rank-1 agree.
    """
    wrong = [k for k in ranks if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1]
    if wrong:
        raise ValueError(f"ranks: expected whole numbers from 1, received {wrong[0]!r}")
    precision = average_precision(ranking, ties)
    first = first_hit(ranking, ties)
    valid = first > 0
    if not valid.any():
        raise ValueError(
            f"ranking: none of its {len(ranking)} queries has a match in its action's gallery; nothing to score"
        )
    cmc = np.bincount(first[valid], minlength=ranking.sizes.max() + 1)[1:].cumsum() / np.count_nonzero(valid)
    return {
        "mAP": float(precision[valid].mean()),
        **{f"rank{k}": float(cmc[min(k, len(cmc)) - 1]) for k in ranks},
        "cmc": cmc.tolist(),
        "queries": len(ranking),
        "skipped": int(np.count_nonzero(~valid)),
        "without_gallery": int(np.count_nonzero(ranking.sizes == 0)),
    }


def average_precision(ranking: Ranking, ties: str = "order") -> np.ndarray:
    """Return every query's average precision: the mean, over its matches, of the precision at the match.

    Args:
        ranking: what `rank` returned.
        ties: as in `evaluate`.

    Returns:
        (Q,) float64, in the order of `ranking.query`; NaN for a query without a match.
    """
    hits, owner, place = _hits(ranking, ties)
    number = np.bincount(owner, minlength=len(ranking))
    before = np.cumsum(number) - number  # matches of earlier queries
    precision = (np.arange(len(hits)) - before[owner] + 1) / place
    total = np.bincount(owner, weights=precision, minlength=len(ranking))
    return np.divide(total, number, out=np.full(len(ranking), np.nan), where=number > 0)


def first_hit(ranking: Ranking, ties: str = "order") -> np.ndarray:
    """Return the place, from 1, of every query's first match.

    Args:
        ranking: what `rank` returned.
        ties: as in `evaluate`.

    Returns:
        (Q,) int64, in the order of `ranking.query`; 0 for a query without a match.
    """
    _, owner, place = _hits(ranking, ties)
    first = np.zeros(len(ranking), np.int64)
    first[owner[::-1]] = place[::-1]  # of several writes the last one, the best place, stays
    return first


def group_means(values: np.ndarray, groups: np.ndarray) -> GroupMeans:
    """Return the mean of a per-query figure in each group of queries; NaN values (skipped queries) are left out.

    Args:
        values: (Q,) such as `average_precision(ranking)` or `first_hit(ranking) <= 1`.
        groups: (Q,) labels of any sortable kind, such as `ranking.images.action[ranking.query]` or a record's.

    Returns:
        One mean and count per label.
    """
    values, groups = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if values.ndim != 1 or groups.shape != values.shape:
        raise ValueError(f"groups: expected one label for each of {values.shape} values, received shape {groups.shape}")
    names, which = np.unique(groups, return_inverse=True)
    known = ~np.isnan(values)
    count = np.bincount(which[known], minlength=len(names))
    total = np.bincount(which[known], weights=values[known], minlength=len(names))
    return GroupMeans(names, np.divide(total, count, out=np.full(len(names), np.nan), where=count > 0), count)


def _hits(ranking: Ranking, ties: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for all matches in ranked order, their entry, their query and their place from 1."""
    if ties not in ("order", "optimistic", "pessimistic"):
        raise ValueError(f"ties: expected order, optimistic or pessimistic, received {ties!r}")
    match = ranking.match
    if ties != "order":
        last = ~match if ties == "optimistic" else match
        match = match[np.lexsort((last, ranking.distance, ranking.owner))]
    hits = np.flatnonzero(match)
    owner = np.searchsorted(ranking.offsets, hits, side="right") - 1
    return hits, owner, hits - ranking.offsets[owner] + 1
