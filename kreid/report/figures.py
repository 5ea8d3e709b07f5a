"""The figures of a report: headline, mAP by kind of query, and the queries from hard to easy; NumPy only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from kreid.errors import received
from kreid.ranking.figures import GroupMeans, QueryFigures
from kreid.ranking.lists import Ranking
from kreid.ranking.scores import Metrics, evaluate
from kreid.ranking.statistics import intervals
from kreid.ranking.verification import Accepted, Curve, accepted
from kreid.types import PaperRow

Name: TypeAlias = Literal["mAP", "rank1", "rank5"]

HEADLINE: dict[Name, str] = {"mAP": "mAP", "rank1": "Rank-1", "rank5": "Rank-5"}
_ROLES = 8  # bars of a chart; rarer roles are counted together
_BINS = 6
_ALIKE = 1.1  # sizes of which the largest is no more than so many times the smallest do not tell queries apart
_FARS = [10.0 ** (step / 8) for step in range(-32, 1)]  # from 0.01 to 100 %


class Headline(NamedTuple):
    """A headline figure, its 95 % interval (None over one action or person), the paper's value or None; fractions."""

    name: Name
    value: float
    low: float | None
    high: float | None
    paper: float | None


@dataclass(frozen=True)
class Group:
    """The mean of one kind of query: `label` is for reading, `search` finds its queries in the page's list."""

    label: str
    search: str
    mean: float
    count: int


class Scores(NamedTuple):
    """What the page shows of a ranking's scores.

    `groups` are the charts' bars, by "precision", "role", "height" ...; intervals are over `units`, "actions" or
    "people". `accepted` are the shares of positive pairs at rising false accept rates, empty where they are not known.
    """

    headline: list[Headline]
    cmc: list[float]
    skipped: int
    groups: dict[str, list[Group]]
    units: str
    accepted: list[Accepted]


def check_paper_row(row: Mapping[str, object] | None) -> None:
    """Raise ValueError unless `row` is None or {"system": text, "mAP": fraction, "rank1": fraction, ...}."""
    if row is not None and not isinstance(row, Mapping):
        raise ValueError(f"paper_row: expected figures by their names, such as a dict, received {received(row)}")
    for name, value in (row or {}).items():
        if name == "system":
            continue
        if name not in HEADLINE:
            raise ValueError(f"paper_row: expected the keys system, {', '.join(HEADLINE)}, received {name!r}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"paper_row[{name!r}]: expected a fraction from 0 to 1, such as 0.637, received {value!r}")


def score(
    figures: QueryFigures,
    fields: Mapping[str, np.ndarray],
    paper_row: PaperRow | None = None,
    curve: Curve | None = None,
) -> Scores:
    """Gather every figure of the page.

    Args:
        figures: of the ranking, with at least one match.
        fields: "role" (text) and "height" (pixels), one value per query in the order of `figures`.
        paper_row: see `check_paper_row`.
        curve: what their distances say of pairs, see `kreid.ranking.roc`; None leaves it out.

    Raises:
        ValueError: as `evaluate`.
    """
    metrics = evaluate(figures)
    groups = {
        "precision": histogram(figures),
        "role": by_role(figures, fields["role"]),
        "height": by_size(figures, fields["height"], "height", step=10),
        "gallery": by_size(figures, figures.gallery_size, "gallery"),
    }
    pairs = accepted(curve, _FARS) if curve else []
    headline = list(_headline(figures, metrics, paper_row or {}))
    return Scores(headline, metrics["cmc"], metrics["skipped"], groups, figures.units, pairs)


def _headline(figures: QueryFigures, metrics: Metrics, paper: PaperRow) -> Iterator[Headline]:
    sure = intervals(figures, ranks=(1, 5))
    several = figures.scored_units > 1
    for name in HEADLINE:
        low, high = (sure[name].low, sure[name].high) if several else (None, None)
        yield Headline(name, metrics[name], low, high, paper.get(name))


def by_role(figures: QueryFigures, role: np.ndarray) -> list[Group]:
    """Return the mean by role, the most frequent roles first and rare ones together.

    Args:
        figures: of the queries; those without a match are left out.
        role: (Q,) text, "" where unknown.
    """
    means = figures.means(role)
    order = np.argsort(-means.count, kind="stable")
    order = order[means.count[order] > 0]
    kept = order if len(order) <= _ROLES else order[: _ROLES - 1]
    groups = [Group(readable(name), _quoted("role", name), mean, count) for name, mean, count in _rows(means, kept)]
    if len(kept) < len(order):
        rest = order[len(kept) :]
        count = int(means.count[rest].sum())
        groups.append(Group("other roles", "", float(means.mean[rest] @ means.count[rest]) / count, count))
    return groups


def by_size(figures: QueryFigures, size: np.ndarray, key: str, step: int = 1) -> list[Group]:
    """Return the mean in ranges of a whole number, each holding about as many queries; in one where all are alike.

    Args:
        figures: of the queries; those without a match are left out.
        size: (Q,) whole numbers.
        key: what the list's search calls the number.
        step: where ranges may begin: at its multiples.
    """
    known = np.asarray(size)[figures.matched]
    cuts = _cuts(known, step) if known.max() > _ALIKE * known.min() else np.array([], int)
    means = figures.means(np.searchsorted(cuts, size, side="right"))
    groups = []
    for which, mean, count in _rows(means, np.flatnonzero(means.count)):
        low = int(known.min()) if which == 0 else int(cuts[which - 1])
        high = int(known.max()) if which == len(cuts) else min(int(cuts[which]) - 1, int(known.max()))
        label = str(low) if low == high else f"{low}–{high}"
        groups.append(Group(label, f"{key}:{low}-{high}", mean, count))
    return groups


def _cuts(known: np.ndarray, step: int) -> np.ndarray:
    """Return where ranges begin, but the first; none holds less than half of its share."""
    inner = np.quantile(known, np.arange(1, _BINS) / _BINS)
    cuts = np.unique((np.round(inner / step) * step).astype(int))
    kept, before, least = [], 0, len(known) / _BINS / 2
    for cut, below in zip(cuts, np.searchsorted(np.sort(known), cuts), strict=True):
        if min(below - before, len(known) - below) >= least:
            kept.append(cut)
            before = below
    return np.array(kept, int)


def histogram(figures: QueryFigures, bins: int = 10) -> list[Group]:
    """Return how many queries have an average precision in each of equal ranges; `mean` is their share of all scored.

    Args:
        figures: of the queries; those without a match are left out.
        bins: how many ranges from 0 to 1; a value on a border counts in the upper one.
    """
    values = figures.average_precision[figures.matched]
    place = np.minimum((np.round(values, 9) * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins).tolist()
    edges = [round(100 * number / bins) for number in range(bins + 1)]
    return [
        Group(f"{low}–{high} %", f"ap:{low}-{high}", count / max(len(values), 1), count)
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]


def hardest_first(ranking: Ranking, figures: QueryFigures | None) -> np.ndarray:
    """Return (Q,) int64 positions in `ranking.query`, hardest query first.

    With scores: by average precision, queries without a match last. Without: by how little the second gallery image is
    further away than the first, which is where a ranking is least sure; galleries of fewer than two come last.

    Args:
        ranking: what `rank` returned.
        figures: its figures, or None where nothing is scored.
    """
    key = closeness(ranking) if figures is None else figures.average_precision
    images = ranking.images
    return np.lexsort((images.bbox[ranking.query], images.action[ranking.query], key))  # NaN sorts last


def closeness(ranking: Ranking) -> np.ndarray:
    """Return (Q,) how much further the second gallery image is than the first, over the second's distance; or NaN."""
    gap = np.full(len(ranking), np.nan)
    start = ranking.offsets[:-1][ranking.sizes > 1]
    first, second = ranking.distance[start], ranking.distance[start + 1]
    gap[ranking.sizes > 1] = np.divide(second - first, second, out=np.zeros(len(start)), where=second > 0)
    return gap


def readable(role: str) -> str:
    """Return a role's name in words: "Player_team_left" as "Player team left", "" as "unknown"."""
    return role.replace("_", " ").strip() or "unknown"


def _rows(means: GroupMeans, order: np.ndarray) -> list[tuple[Any, float, int]]:
    return [(means.group[i], float(means.mean[i]), int(means.count[i])) for i in order]


def _quoted(key: str, value: str) -> str:
    return f'{key}:"{value.replace(chr(34), "")}"'
