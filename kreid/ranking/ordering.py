"""From distances to rankings, or straight to figures: for every query the gallery of its own action, and nothing else.

268,804 pairs on SoccerNet's real valid set, where a query x gallery matrix has 400 million. Where one action is the
whole set, as in Market-1501, its queries come block after block, so that no matrix of that size is ever there.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kreid.ranking.distances import check_metric, pairwise
from kreid.ranking.embeddings import Embeddings, Images, describe
from kreid.ranking.figures import TIES, QueryFigures, check_ties, figures_of_lists
from kreid.ranking.lists import Lists, Ranking
from kreid.ranking.protocols import parts, protocol_of

MEMORY = 256 << 20  # bytes that ranking takes beside the embeddings, unless told otherwise
_PAIR = 64  # bytes that a pair of query and gallery image takes at most on its way to figures, as tracemalloc counts

Distances = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From (q,) rows of queries and (g,) rows of gallery images to (q, g) finite numbers, small is near."""


def rank(
    embeddings: Embeddings,
    metric: str = "euclidean",
    protocol: str = "action",
    nearest: int | None = None,
    memory: int = MEMORY,
) -> Ranking:
    """Rank, for every query, the gallery of its own action by distance, equal distances by bbox index.

    Args:
        embeddings: the vectors and labels; the order of their rows does not matter.
        metric: "euclidean" (default; plain L2), "squared_euclidean" (its square) or "cosine" (1 - cosine).
        protocol: which gallery images count, one of `kreid.ranking.PROTOCOLS`: "action" (default), all of the action,
            or "cross_camera", Market-1501's, without those of the query's person on its own camera.
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
        evaluate(rank(embeddings))["mAP"]
    """
    return rank_by(embeddings.images, _distances(embeddings, metric), protocol, nearest, memory)


def rank_by(
    images: Images,
    distances: Distances,
    protocol: str = "action",
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
    if nearest is not None and nearest < 1:
        raise ValueError(f"nearest: expected 1 or more images a query, received {nearest}")
    blocks = [_first(lists, nearest) for lists in _sorted(images, distances, protocol, memory)]
    sizes = [np.diff(lists.offsets) for lists in blocks]
    empty = np.zeros(0, np.int64)
    return Ranking(
        images,
        query=np.concatenate([empty, *(lists.query for lists in blocks)]),
        offsets=np.concatenate([[0], *sizes]).cumsum(),
        gallery=np.concatenate([empty, *(lists.gallery for lists in blocks)]),
        distance=np.concatenate([np.zeros(0), *(lists.distance for lists in blocks)]),
        protocol=protocol,
        nearest=nearest,
    )


def figures_of(
    embeddings: Embeddings,
    metric: str = "euclidean",
    protocol: str = "action",
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
    protocol: str = "action",
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
    images = embeddings.images
    unit = protocol_of(protocol, images).unit(images)
    found: dict[str, list[QueryFigures]] = {how: [] for how in ties}
    for lists in _sorted(images, _distances(embeddings, metric), protocol, memory):
        for how, figures in zip(ties, figures_of_lists(images, lists, unit, ties), strict=True):
            found[how].append(figures)
    return {how: QueryFigures.joined(blocks) for how, blocks in found.items()}


def _distances(embeddings: Embeddings, metric: str) -> Distances:
    check_metric(metric)
    vectors = embeddings.vectors
    if metric == "cosine" and (zero := ~vectors.any(axis=1)).any():
        row = int(np.argmax(zero))
        image = describe(embeddings.images, row)
        raise ValueError(f"vectors: row {row} ({image}) is all zeros and has no cosine; use metric='euclidean'")
    return lambda query, gallery: pairwise(vectors[query], vectors[gallery], metric)


def _sorted(images: Images, distances: Distances, protocol: str, memory: int | None) -> Iterator[Lists]:
    """Yield the lists of all queries, as many at a time as memory allows."""
    if memory is not None and memory < 1:
        raise ValueError(f"memory: expected a number of bytes, such as {MEMORY:,}, received {memory}")
    counts = protocol_of(protocol, images).counts
    for query, gallery in images.actions():
        whole = max(1, len(query) * len(gallery))
        for part in parts(query, len(gallery), whole if memory is None else memory // _PAIR):
            near = np.asarray(distances(part, gallery), dtype=np.float64)  # (q, g)
            counted = None if counts is None else counts(images, part[:, None], gallery)
            yield _lists(part, gallery, near, counted)


def _lists(query: np.ndarray, gallery: np.ndarray, near: np.ndarray, counted: np.ndarray | None) -> Lists:
    """Sort a block: (q, g) distances, and which of them count."""
    sizes = np.full(len(query), len(gallery))
    if counted is not None:
        near = np.where(counted, near, np.inf)  # behind all others, where they are cut off
        sizes = counted.sum(axis=1)
    order = np.argsort(near, axis=1, kind="stable")
    near = np.take_along_axis(near, order, axis=1)
    kept = np.arange(len(gallery)) < sizes[:, None]
    return Lists(query, np.append(0, sizes.cumsum()), gallery[order[kept]], near[kept])


def _first(lists: Lists, nearest: int | None) -> Lists:
    """Cut every list after its first entries."""
    if nearest is None:
        return lists
    sizes = np.diff(lists.offsets)
    place = np.arange(len(lists.gallery)) - np.repeat(lists.offsets[:-1], sizes)
    kept = place < nearest
    ends = np.append(0, np.minimum(sizes, nearest).cumsum())
    return Lists(lists.query, ends, lists.gallery[kept], lists.distance[kept])
