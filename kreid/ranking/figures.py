"""What a ranking is worth query by query: computed once, and taken by whatever scores, compares or shows it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from kreid.errors import check_kind, received
from kreid.ranking.embeddings import Images
from kreid.ranking.lists import Lists, Ranking, matches
from kreid.ranking.protocols import protocol_of

TIES = ("order", "optimistic", "pessimistic")

# What kreid-evaluate's files call each of the figures.
_COLUMNS = {
    "query": "bbox",
    "action": "action",
    "gallery": "gallery_size",
    "AP": "average_precision",
    "first": "first_match",
}
_UNIT = "unit"  # a column only where it is not the action


@dataclass(frozen=True, eq=False)
class GroupMeans:
    """Means over groups of queries: `group` (G,) sorted labels, `mean` (G,), NaN where `count` (G,) is 0."""

    group: np.ndarray
    mean: np.ndarray
    count: np.ndarray


@dataclass(frozen=True, eq=False)
class QueryFigures:
    """The figures of every query, from which all scores follow; checked and read-only.

    Args:
        bbox: (Q,) integers, SoccerNet's index of each query, each once.
        action: (Q,) integers.
        gallery_size: (Q,) integers, how many images the query is compared with; 0 where its action has none.
        average_precision: (Q,) numbers from 0 to 1, the mean, over the query's matches, of the precision at the match;
            NaN for a query without a match.
        first_match: (Q,) integers, the place of its first match, from 1; 0 for a query without one.
        unit: (Q,) integers, the group that is drawn whole where scores are resampled: the action (the default), or the
            person where one action is the whole set.

    Raises:
        ValueError: an array has another length or dtype, or a query's figures cannot be; names the query.

    Example:
        figures = QueryFigures.of(rank(embeddings))
        evaluate(figures)["mAP"], intervals(figures)["mAP"].low
    """

    bbox: np.ndarray
    action: np.ndarray
    gallery_size: np.ndarray
    average_precision: np.ndarray
    first_match: np.ndarray
    unit: np.ndarray = None  # type: ignore[assignment]  # the action

    def __post_init__(self) -> None:
        count = np.size(self.bbox)
        if self.unit is None:
            object.__setattr__(self, "unit", self.action)
        for name in (*_COLUMNS.values(), _UNIT):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), count))
        _check_figures(self)

    @classmethod
    def of(cls, ranking: "Ranking | QueryFigures", ties: str = "order") -> "QueryFigures":
        """Compute the figures of a ranking; figures that are there already come back as they are.

        Args:
            ranking: what `rank` returned, with known labels; or its figures.
            ties: as in `kreid.ranking.evaluate`. With figures, whose ties are broken already, "order" alone.

        Returns:
            A value for each query, in the order of `ranking.query`.

        Raises:
            ValueError: labels are withheld, `ties` is unknown or comes too late, or the ranking's lists were cut.
        """
        if isinstance(ranking, QueryFigures):
            if ties != "order":
                raise ValueError(f"ties: figures have broken their ties already, received {ties!r}; give the ranking")
            return ranking
        check_kind("ranking", ranking, Ranking, QueryFigures)
        if ranking.nearest is not None:
            raise ValueError(
                f"ranking: holds the nearest {ranking.nearest} images of each query, and scores need all; take "
                "`figures_of` the embeddings, or rank them without nearest"
            )
        unit = protocol_of(ranking.protocol, ranking.images).unit(ranking.images)
        return figures_of_lists(ranking.images, ranking, unit, (ties,))[0]

    @classmethod
    def joined(cls, blocks: "Sequence[QueryFigures]") -> "QueryFigures":
        """Return the figures of several sets of queries as one, in their order."""
        empty = [] if blocks else [np.zeros(0, np.int64)]
        columns = {one.name: [getattr(block, one.name) for block in blocks] + empty for one in fields(cls)}
        return cls(**{name: np.concatenate(arrays) for name, arrays in columns.items()})

    @classmethod
    def from_json(cls, columns: Mapping[str, Sequence]) -> "QueryFigures":
        """Read the columns that `to_json` gave.

        Raises:
            ValueError: they are something else; names the column or the query.
        """
        known = columns if isinstance(columns, Mapping) else {}
        wrong = [key for key in _COLUMNS if not isinstance(known.get(key), Sequence)]
        if wrong:
            raise ValueError(f"per_query: expected the lists {', '.join(_COLUMNS)}; {wrong[0]} is none")
        absent = {"AP": np.nan, "first": 0}
        values = {
            name: np.array([absent.get(key) if one is None else one for one in known[key]])
            for key, name in _COLUMNS.items()
        }
        if _UNIT in known:
            values[_UNIT] = np.array(known[_UNIT])
        return cls(**values)

    def to_json(self) -> dict[str, list]:
        """Return plain lists: "query" (bbox index), "action", "gallery" (how many images), "AP" and "first".

        "AP" and "first", the place of the first match, are None for a query without a match. "unit", what is drawn
        whole, stands there too where it is not the action.
        """
        columns = {key: getattr(self, name).tolist() for key, name in _COLUMNS.items()}
        for key in ("AP", "first"):
            columns[key] = [
                value if matched else None for value, matched in zip(columns[key], self.matched.tolist(), strict=True)
            ]
        return columns if np.array_equal(self.unit, self.action) else columns | {_UNIT: self.unit.tolist()}

    def __len__(self) -> int:
        return len(self.bbox)

    @cached_property
    def matched(self) -> np.ndarray:
        """(Q,) bool, whether the query's gallery shows its person: the queries that count in every score."""
        return self.first_match > 0

    @cached_property
    def scored_units(self) -> int:
        """How many of the groups drawn whole have a query that counts; one alone says not how sure a score is."""
        return len(np.unique(self.unit[self.matched]))

    @cached_property
    def units(self) -> str:
        """What the groups drawn whole are, in a word for tables: "actions" or "people"."""
        return "actions" if np.array_equal(self.unit, self.action) else "people"

    def scores(self, ranks: Sequence[int] = (1,)) -> dict[str, np.ndarray]:
        """Return every query's part in the scores, whose means `kreid.ranking.evaluate` gives.

        Args:
            ranks: the k of the rank-k figures.

        Returns:
            "mAP" (the average precision) and one "rank<k>" per k (1 with a match among the first k, else 0), each (Q,)
            float64, NaN for a query without a match.
        """
        check_ranks(ranks)
        hits = {f"rank{k}": np.where(self.matched, self.first_match <= k, np.nan) for k in ranks}
        return {"mAP": self.average_precision} | hits

    def means(self, groups: np.ndarray) -> GroupMeans:
        """Return the mAP of each group of queries: `group_means` of the average precision."""
        return group_means(self.average_precision, groups)

    def by_bbox(self) -> "QueryFigures":
        """Return the same figures in rising order of the queries' indices."""
        order = np.argsort(self.bbox)
        return QueryFigures(**{one.name: getattr(self, one.name)[order] for one in fields(self)})


def group_means(values: np.ndarray, groups: np.ndarray) -> GroupMeans:
    """Return the mean of a per-query figure in each group of queries; NaN values (skipped queries) are left out.

    Args:
        values: (Q,) such as a column of `QueryFigures.scores`.
        groups: (Q,) labels of any sortable kind, such as `QueryFigures.action` or a record's.

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


def same_queries(
    first: QueryFigures, other: QueryFigures, names: tuple[str, str] = ("first", "second")
) -> tuple[QueryFigures, QueryFigures]:
    """Bring the figures of two runs over the same queries into one order, by bbox index.

    Args:
        first: the figures of one run.
        other: those of another.
        names: what to call the two in an error.

    Raises:
        ValueError: the queries, their actions, the sizes of their galleries, who has a match or what is drawn whole
            differ; names a query.
    """
    again = "score all of them on the same records"
    if len(first) != len(other):
        raise ValueError(f"{names[1]}: scored on {len(other)} queries, {names[0]} on {len(first)}; {again}")
    first, other = first.by_bbox(), other.by_bbox()
    for name, what in (
        ("bbox", "another index"),
        ("action", "another action"),
        ("gallery_size", "a gallery of another size"),
        ("matched", "other labels"),
        ("unit", "another group to be drawn with"),
    ):
        differ = np.flatnonzero(getattr(first, name) != getattr(other, name))
        if len(differ):
            raise ValueError(f"{names[1]}: query {other.bbox[differ[0]]} has {what} than for {names[0]}; {again}")
    return first, other


def check_ranks(ranks: Sequence[int]) -> None:
    """Raise ValueError unless these are the k of rank-k figures."""
    if isinstance(ranks, str) or not isinstance(ranks, Iterable):
        raise ValueError(f"ranks: expected a list of whole numbers from 1, such as (1, 5), received {received(ranks)}")
    wrong = [k for k in ranks if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1]
    if wrong:
        raise ValueError(f"ranks: expected whole numbers from 1, received {received(wrong[0])}")


def check_ties(ties: str) -> None:
    """Raise ValueError unless `ties` is one of `TIES`."""
    if ties not in TIES:
        raise ValueError(f"ties: expected {', '.join(TIES[:-1])} or {TIES[-1]}, received {ties!r}")


def figures_of_lists(
    images: Images, lists: Ranking | Lists, unit: np.ndarray, ties: Sequence[str] = TIES
) -> list[QueryFigures]:
    """Compute the figures of whole lists, once for each way of breaking ties.

    Args:
        images: the labels.
        lists: all images that count for some queries, nearest first.
        unit: (M,) integers, the group of each image that is drawn whole.
        ties: the ways.

    Raises:
        ValueError: labels are withheld, or a way is unknown.
    """
    for how in ties:
        check_ties(how)
    match = lists.match if isinstance(lists, Ranking) else matches(images, lists)
    hits = np.flatnonzero(match)
    query, sizes = lists.query, np.diff(lists.offsets)
    owner = np.searchsorted(lists.offsets, hits, side="right") - 1
    found = []
    for how in ties:
        place = _broken(lists, hits, how) - lists.offsets[owner] + 1
        first = np.zeros(len(query), np.int64)
        first[owner[::-1]] = place[::-1]  # of several writes the last one, the best place, stays
        precision = _average_precision(owner, place, len(query))
        found.append(QueryFigures(images.bbox[query], images.action[query], sizes, precision, first, unit[query]))
    return found


def _broken(lists: Ranking | Lists, hits: np.ndarray, ties: str) -> np.ndarray:
    """Return where the entries that match, in ranked order, stand once ties are broken."""
    if ties == "order" or not len(hits):
        return hits
    distance = lists.distance
    new = np.append(True, distance[1:] != distance[:-1])  # begins a run of equal distances
    new[lists.offsets[:-1][np.diff(lists.offsets) > 0]] = True
    begin = np.flatnonzero(new)
    run = np.searchsorted(begin, hits, side="right") - 1
    number = np.arange(len(hits)) - np.searchsorted(run, run)  # among the matches of its run
    place = begin[run] + number
    if ties == "pessimistic":
        length = np.diff(np.append(begin, len(distance)))
        place += (length - np.bincount(run, minlength=len(begin)))[run]  # behind all that do not match
    return place


def _average_precision(owner: np.ndarray, place: np.ndarray, queries: int) -> np.ndarray:
    """Return (queries,) float64 from the query and the place of all matches in ranked order; NaN without a match."""
    number = np.bincount(owner, minlength=queries)
    before = np.cumsum(number) - number  # matches of earlier queries
    precision = (np.arange(len(owner)) - before[owner] + 1) / place
    total = np.bincount(owner, weights=precision, minlength=queries)
    return np.divide(total, number, out=np.full(queries, np.nan), where=number > 0)


def _numbers(name: str, values: object, count: int) -> np.ndarray:
    """Return (count,) read-only float64 for an average precision, int64 for all other figures."""
    array = np.asarray(values)
    dtype, kinds, what = (np.float64, "iuf", "numbers") if name == "average_precision" else (np.int64, "iu", "integers")
    if array.shape != (count,) or (count and array.dtype.kind not in kinds):
        raise ValueError(f"{name}: expected {count} {what}, received {array.dtype} of shape {array.shape}")
    array = array.astype(dtype)
    array.flags.writeable = False
    return array


def _check_figures(figures: QueryFigures) -> None:
    index, times = np.unique(figures.bbox, return_counts=True)
    if (times > 1).any():
        raise ValueError(f"bbox: expected each query once, received {index[times > 1][0]} several times")
    size, first, precision = figures.gallery_size, figures.first_match, figures.average_precision
    found = (first >= 1) & (first <= size) & (precision >= 0) & (precision <= 1)
    wrong = np.flatnonzero(~(found | (first == 0) & np.isnan(precision) & (size >= 0)))
    if len(wrong):
        one = wrong[0]
        raise ValueError(
            f"query {figures.bbox[one]}: expected an average precision from 0 to 1 and a first match in its gallery of "
            f"{size[one]}, or NaN and 0, received {precision[one]} and {first[one]}"
        )
