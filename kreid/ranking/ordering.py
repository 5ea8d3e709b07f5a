"""From distances to rankings, or straight to figures: for every query the gallery of its own action, and nothing else.

268,804 pairs on SoccerNet's real valid set, where a query x gallery matrix has 400 million. Where one action is the
whole set, as in Market-1501, its queries come block after block, so that no matrix of that size is ever there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from kreid.errors import check_function, check_kind, check_number
from kreid.ranking.distances import check_metric, paired_rows, pairwise
from kreid.ranking.embeddings import Embeddings, Images, describe
from kreid.ranking.figures import TIES, QueryFigures, check_ties, figures_of_lists
from kreid.ranking.lists import Lists, Ranking
from kreid.ranking.protocols import parts, protocol_of
from kreid.ranking.sorting import Sorted, nearest_first, sort_rows

MEMORY = 256 << 20  # bytes that ranking takes beside the embeddings, unless told otherwise
_PAIR = 64  # bytes that a pair of query and gallery image takes at most on its way to figures, as tracemalloc counts

_Sort: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray | None], Sorted]
"""From (q,) rows of queries, (g,) rows of gallery images and (q, g) which of them count to their order."""


def rank(
    embeddings: Embeddings,
    metric: str = "euclidean",
    protocol: str | None = None,
    nearest: int | None = None,
    memory: int = MEMORY,
) -> Ranking:
    """Rank, for every query, the gallery of its own action by distance, equal distances by bbox index.

    Args:
        embeddings: the vectors and labels; the order of their rows does not matter.
        metric: "euclidean" (default; plain L2), "squared_euclidean" (its square) or "cosine" (1 - cosine).
        protocol: which gallery images count, one of `kreid.ranking.PROTOCOLS`: "action", all of the action, or
            "cross_camera", Market-1501's, without those of the query's person on its own camera. None (default) for
            what the embeddings say, which have it from their records.
        nearest: how many images of each list to keep; None (default) for all. Of large actions take a few to show, and
            `figures_of` for the scores.
        memory: bytes for the pairs looked at at once (default 256 MiB), at least one query's; a copy of an action's
            vectors and the ranking itself come on top.

    Returns:
        The queries stand by action, then by bbox index. One whose action has no gallery gets an empty list.

    Raises:
        ValueError: unknown metric or protocol, labels that the protocol needs and that are unknown, a zero vector under
            "cosine", or nearest or memory below 1.

    Example:
        >>> ranking = kreid.rank(embeddings, metric="cosine")
        >>> len(ranking) == int(embeddings.is_query.sum())
        True
    """
    vectors, images = checked_vectors(embeddings, metric), embeddings.images
    if nearest is None:  # every distance is kept, so every one is measured

        def distances(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
            return pairwise(vectors[query], vectors[gallery], metric)

        return rank_by(images, distances, protocol, memory=memory)
    lists = _joined(_blocks(images, _by_vectors(vectors, metric), protocol, memory), nearest)
    query = np.repeat(lists.query, np.diff(lists.offsets))
    exact = paired_rows(vectors, vectors, query, lists.gallery, metric)
    return Ranking(images, lists.query, lists.offsets, lists.gallery, exact, protocol or images.protocol, nearest)


def rank_by(
    images: Images,
    distances: Callable[[np.ndarray, np.ndarray], np.ndarray],
    protocol: str | None = None,
    nearest: int | None = None,
    memory: int | None = None,
) -> Ranking:
    """Rank every query's gallery by any distance.

    Args:
        images: the labels.
        distances: called with the rows of queries (q,) and of their action's gallery (g,), both by bbox index;
            returns (q, g) finite numbers, small is near. Once per action, or with `memory` once per block of queries.
        protocol: as in `rank`.
        nearest: as in `rank`.
        memory: as in `rank`; None (default) never to divide an action.

    Returns:
        As `rank`.
    """
    check_function("distances", distances, "rows of queries and of their gallery")

    def sort(query: np.ndarray, gallery: np.ndarray, counted: np.ndarray | None) -> Sorted:
        near = np.asarray(distances(query, gallery), dtype=np.float64)
        if near.shape != (len(query), len(gallery)):
            raise ValueError(f"distances: expected shape {(len(query), len(gallery))}, received {near.shape}")
        if not np.isfinite(near).all():
            image = describe(images, query[~np.isfinite(near).all(axis=1)][0])
            raise ValueError(f"distances: expected finite numbers, and those of {image} are not")
        return sort_rows(near, counted)

    blocks = _blocks(images, sort, protocol, memory)
    return Ranking(images, *_joined(blocks, nearest), protocol or images.protocol, nearest)


def figures_of(
    embeddings: Embeddings,
    metric: str = "euclidean",
    protocol: str | None = None,
    ties: str = "order",
    memory: int = MEMORY,
) -> QueryFigures:
    """Return what `QueryFigures.of(rank(embeddings, metric, protocol), ties)` does, without ever holding the ranking.

    Args:
        embeddings: the vectors and labels.
        metric: as in `rank`.
        protocol: as in `rank`.
        ties: as in `evaluate`.
        memory: as in `rank`; here nothing else grows with the number of pairs.

    Raises:
        ValueError: as `rank`, labels are withheld, or `ties` is unknown.

    Example:
        evaluate(figures_of(embeddings, protocol="cross_camera"))["mAP"]
    """
    return figures_by_ties(embeddings, metric, protocol, (ties,), memory)[ties]


def figures_by_ties(
    embeddings: Embeddings,
    metric: str = "euclidean",
    protocol: str | None = None,
    ties: Sequence[str] = TIES,
    memory: int = MEMORY,
) -> dict[str, QueryFigures]:
    """Return `figures_of` for several ways of breaking ties, in one pass over the pairs.

    Args:
        embeddings: the vectors and labels.
        metric: as in `rank`.
        protocol: as in `rank`.
        ties: the ways, as in `evaluate`; all three by default.
        memory: as in `figures_of`.

    Raises:
        ValueError: as `figures_of`.
    """
    for how in ties:
        check_ties(how)
    vectors, images = checked_vectors(embeddings, metric), embeddings.images
    unit = protocol_of(protocol, images).unit(images)
    found: dict[str, list[QueryFigures]] = {how: [] for how in ties}
    for lists in _blocks(images, _by_vectors(vectors, metric), protocol, memory):
        for how, figures in zip(ties, figures_of_lists(images, lists, unit, ties), strict=True):
            found[how].append(figures)
    return {how: QueryFigures.joined(blocks) for how, blocks in found.items()}


def checked_vectors(embeddings: Embeddings, metric: str) -> np.ndarray:
    """Return the vectors, sure that they have distances by this metric; ValueError where they have none."""
    check_kind("embeddings", embeddings, Embeddings)
    check_metric(metric)
    if metric == "cosine" and (zero := ~embeddings.vectors.any(axis=1)).any():
        row = int(np.argmax(zero))
        image = describe(embeddings.images, row)
        raise ValueError(f"vectors: row {row} ({image}) is all zeros and has no cosine; use metric='euclidean'")
    return embeddings.vectors


def _by_vectors(vectors: np.ndarray, metric: str) -> _Sort:
    return lambda query, gallery, counted: nearest_first(vectors[query], vectors[gallery], metric, counted)


def _blocks(images: Images, sort: _Sort, protocol: str | None, memory: int | None) -> Iterator[Lists]:
    """Yield the lists of all queries, as many at a time as memory allows."""
    if memory is not None:
        check_number("memory", memory, whole=False)
    if memory is not None and memory < 1:
        raise ValueError(f"memory: expected a number of bytes, such as {MEMORY:,}, received {memory}")
    counts = protocol_of(protocol, images).counts
    for query, gallery in images.actions():
        whole = max(1, len(query) * len(gallery))
        for part in parts(query, len(gallery), whole if memory is None else int(memory // _PAIR)):
            yield _lists(part, gallery, sort, None if counts is None else counts(images, part[:, None], gallery))


def _lists(query: np.ndarray, gallery: np.ndarray, sort: _Sort, counted: np.ndarray | None) -> Lists:
    """Sort a block and leave out what does not count, which `sort` puts behind all others."""
    order, distance = sort(query, gallery, counted)
    sizes = np.full(len(query), len(gallery)) if counted is None else counted.sum(axis=1)
    kept = np.arange(len(gallery)) < sizes[:, None]  # (q, g)
    return Lists(query, np.append(0, sizes.cumsum()), gallery[order[kept]], distance[kept])


def _joined(blocks: Iterable[Lists], nearest: int | None = None) -> Lists:
    """Set blocks of lists end to end, each list cut behind its nearest so many."""
    if nearest is not None:
        check_number("nearest", nearest)
    if nearest is not None and nearest < 1:
        raise ValueError(f"nearest: expected 1 or more images a query, received {nearest}")
    cut = [lists if nearest is None else _first(lists, nearest) for lists in blocks]
    empty = np.zeros(0, np.int64)
    return Lists(
        query=np.concatenate([empty, *(lists.query for lists in cut)]),
        offsets=np.concatenate([[0], *(np.diff(lists.offsets) for lists in cut)]).cumsum(),
        gallery=np.concatenate([empty, *(lists.gallery for lists in cut)]),
        distance=np.concatenate([np.zeros(0), *(lists.distance for lists in cut)]),
    )


def _first(lists: Lists, nearest: int) -> Lists:
    sizes = np.diff(lists.offsets)
    place = np.arange(len(lists.gallery)) - np.repeat(lists.offsets[:-1], sizes)
    kept = place < nearest
    ends = np.append(0, np.minimum(sizes, nearest).cumsum())
    return Lists(lists.query, ends, lists.gallery[kept], lists.distance[kept])
