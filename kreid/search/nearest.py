"""The nearest crops of a gallery for each query: the plain search or a re-ranked one, without the query itself."""

from collections.abc import Callable, Hashable

import numpy as np

from kreid.errors import ConfigError
from kreid.ranking.distances import paired
from kreid.ranking.neighbours import Found
from kreid.ranking.reranking import reciprocal
from kreid.search.crops import Crops

_LOOKED_AT = 4096  # vectors, spread over all, whose length is measured
_UNIT = 1e-2  # difference from one that numbers of 16 bits may make
MOST_RERANKED = 3000  # queries and gallery together: some 10 s and 1 GB for vectors of 512 numbers
_ALIKE = 1e-3  # difference, as a share of a vector's length, that two ways to embed one file may make

Find = Callable[[int], Found]


def check_rerankable(count: int) -> None:
    """Raise ConfigError for more queries and gallery crops together than re-ranking compares with each other."""
    if count > MOST_RERANKED:
        raise ConfigError(
            f"--rerank: compares all crops with each other, expected at most {MOST_RERANKED:,} queries and gallery "
            f"crops together, received {count:,}; leave it out, or search a part of the gallery"
        )


def has_unit_length(crops: Crops) -> bool:
    """Whether the vectors are of length one, as a network's are; of many, some of them tell."""
    some = np.asarray(crops.vectors[:: max(1, len(crops) // _LOOKED_AT)], np.float64)
    return not (abs(np.sqrt(np.vecdot(some, some)) - 1) > _UNIT).any()  # what is not finite, the search names


def reranked(queries: Crops, gallery: Crops, metric: str, k1: int, k2: int, weight: float) -> Find:
    """Return a search by k-reciprocal re-ranking among all crops: from how many to find to what was found.

    Args:
        queries: what is looked for.
        gallery: what is looked through.
        metric: the distance to start from.
        k1: see `kreid.ranking.reranking.rerank`, as all after it.
        k2: the same.
        weight: the same.

    Raises:
        ConfigError: there are too many crops.
    """
    check_rerankable(len(queries) + len(gallery))
    both = np.concatenate([queries.vectors[:], gallery.vectors[:]])
    distance = reciprocal(both, len(queries), k1, k2, weight, metric)
    order = np.argsort(distance, axis=1, kind="stable")

    def find(k: int) -> Found:
        return Found(order[:, :k], np.take_along_axis(distance, order[:, :k], axis=1))

    return find


def without_themselves(find: Find, queries: Crops, gallery: Crops, top: int) -> tuple[Found, int]:
    """Find the nearest crops that are not the query itself: the same file, or the same row of the same file.

    Args:
        find: the search, asked for some more than wanted.
        queries: what is looked for.
        gallery: what is looked through.
        top: how many to find for each query.

    Returns:
        What was found, where a row has fewer than others -1 and infinity at its end; and how many queries are crops of
        the gallery too, of which none is among its own.
    """
    more = 1
    while True:
        found = find(min(top + more, len(gallery)))
        same = _same(found, queries, gallery)
        if same.sum(axis=1).max(initial=0) <= more or found.index.shape[1] == len(gallery):
            break
        more *= 4  # a file that stands in the gallery several times
    left_out = int(same.any(axis=1).sum()) + _further(found, same, queries, gallery)
    index, distance = np.where(same, -1, found.index), np.where(same, np.inf, found.distance)
    order = np.argsort(same, axis=1, kind="stable")[:, :top]
    index, distance = (np.take_along_axis(values, order, axis=1) for values in (index, distance))
    width = int((index >= 0).sum(axis=1).max(initial=0))
    return Found(index[:, :width], distance[:, :width]), left_out


def _further(found: Found, same: np.ndarray, queries: Crops, gallery: Crops) -> int:
    """Count the queries that are crops of the gallery behind all that were found, which are equal to them."""
    wanted: dict[Hashable, list[int]] = {}
    unseen = np.flatnonzero(~same.any(axis=1)).tolist() if 0 < same.shape[1] < len(gallery) else []
    for row in unseen:
        if queries.key(row) is not None and _alike(queries, row, gallery, int(found.index[row, -1])):
            wanted.setdefault(queries.key(row), []).append(row)
    members = range(len(gallery)) if wanted else ()
    there = [(row, member) for member in members for row in wanted.get(gallery.key(member), ())]
    return len({row for row, member in there if _alike(queries, row, gallery, member)})


def _same(found: Found, queries: Crops, gallery: Crops) -> np.ndarray:
    """Return (Q, k) bool: which of the found crops are the query itself."""
    same = np.zeros(found.index.shape, bool)
    keys: dict[int, Hashable] = {}
    for row, members in enumerate(found.index.tolist()):
        key = queries.key(row)
        if key is None:
            continue
        for place, member in enumerate(members):
            if member not in keys:
                keys[member] = gallery.key(member)
            same[row, place] = key == keys[member] and _alike(queries, row, gallery, member)
    return same


def _alike(queries: Crops, row: int, gallery: Crops, member: int) -> bool:
    """Whether the vectors are those of one image: a name that was stored may mean another file by now."""
    one, other = queries.vectors[row : row + 1], gallery.vectors[member : member + 1]
    return bool(paired(one, other)[0] <= _ALIKE * np.linalg.norm(one.astype(np.float64)))
