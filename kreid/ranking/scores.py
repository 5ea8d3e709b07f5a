"""The scores of a ranking: average precision, mAP, rank-k, the CMC curve."""

from collections.abc import Sequence
from typing import TypeAlias, TypedDict, cast, overload

import numpy as np

from kreid.ranking.figures import QueryFigures, check_ranks
from kreid.ranking.lists import Ranking
from kreid.ranking.readable import Scores


class Fractions(TypedDict):
    """The scores that are fractions, for the usual ranks."""

    mAP: float
    rank1: float
    rank5: float
    rank10: float


class Metrics(Fractions):
    """What `evaluate` gives for the usual ranks."""

    cmc: list[float]
    queries: int
    skipped: int
    without_gallery: int


MetricsOf: TypeAlias = dict[str, float | int | list[float]]
"""What `evaluate` gives for other ranks: in the place of rank1, rank5 and rank10 a rank<k> for each of them."""


@overload
def evaluate(ranking: Ranking | QueryFigures, *, ties: str = "order") -> Metrics:
    """Score by the usual ranks: 1, 5 and 10."""


@overload
def evaluate(ranking: Ranking | QueryFigures, ranks: Sequence[int], ties: str = "order") -> MetricsOf:
    """Score by other ranks."""


def evaluate(
    ranking: Ranking | QueryFigures, ranks: Sequence[int] = (1, 5, 10), ties: str = "order"
) -> Metrics | MetricsOf:
    """Score a ranking: mAP, rank-k and the CMC curve.

    A query whose person is not among the gallery images that count is skipped and counted, as SoccerNet's development
    kit and torchreid do (SoccerNet's official scorer stops with an error there). The curve keeps its last value past
    the end of a gallery, where the kit lets it fall to zero.

    Args:
        ranking: what `rank` returned; or its figures, where they are there already.
        ranks: the k of the rank-k figures.
        ties: "order" (default) takes the ranking as it stands; "optimistic" and "pessimistic" put matches first or last
            among equal distances, so that any way of breaking ties scores between the two. Both need the ranking.

    Returns:
        Fractions: "mAP", one "rank<k>" per k, "cmc" (a list as long as the largest gallery; its k-th value is the share
        of queries with a match among their first k). Counts: "queries" (all), "skipped" (those without a match, left
        out of the fractions), "without_gallery" (those of them without any gallery image that counts). The dict is
        shown as a table.

    Raises:
        ValueError: labels are withheld, no query has a match, or an argument is unknown.

    Example:
        >>> kreid.evaluate(kreid.rank(embeddings))
        mAP      ... %
        rank-1   ... %
        rank-5   ... %
        rank-10  ... %
        ... queries...

    Reference: `SoccerNet.Evaluation.ReIdentification` of the pip package `SoccerNet`, with which mAP and rank-1 agree;
    torchreid's `eval_market1501`, with which those of protocol "cross_camera" do.
    """
    check_ranks(ranks)
    figures = QueryFigures.of(ranking, ties)
    matched = figures.matched
    count = np.count_nonzero(matched)
    if not count:
        raise ValueError(
            f"ranking: none of its {len(figures)} queries has a match in its action's gallery; nothing to score"
        )
    cmc = np.bincount(figures.first_match[matched], minlength=figures.gallery_size.max() + 1)[1:].cumsum() / count
    scores = Scores(
        {
            "mAP": float(figures.average_precision[matched].mean()),
            **{f"rank{k}": float(cmc[min(k, len(cmc)) - 1]) for k in ranks},
            "cmc": cmc.tolist(),
            "queries": len(figures),
            "skipped": int(len(figures) - count),
            "without_gallery": int(np.count_nonzero(figures.gallery_size == 0)),
        }
    )
    return cast(Metrics, scores)


def average_precision(ranking: Ranking, ties: str = "order") -> np.ndarray:
    """Return every query's average precision; `QueryFigures.of` has it beside the other figures.

    Args:
        ranking: what `rank` returned.
        ties: as in `evaluate`.

    Returns:
        (Q,) float64, in the order of `ranking.query`; NaN for a query without a match.
    """
    return QueryFigures.of(ranking, ties).average_precision


def first_hit(ranking: Ranking, ties: str = "order") -> np.ndarray:
    """Return the place, from 1, of every query's first match; `QueryFigures.of` has it beside the other figures.

    Args:
        ranking: what `rank` returned.
        ties: as in `evaluate`.

    Returns:
        (Q,) int64, in the order of `ranking.query`; 0 for a query without a match.
    """
    return QueryFigures.of(ranking, ties).first_match
