"""From distances to rankings: for every query the gallery of its own action, and nothing else.

268,804 pairs on the real valid set, where a query x gallery matrix has 400 million.
"""

from collections.abc import Callable

import numpy as np

from kreid.ranking.distances import check_metric, pairwise
from kreid.ranking.embeddings import Embeddings, Images, describe
from kreid.ranking.lists import Ranking


def rank(embeddings: Embeddings, metric: str = "euclidean") -> Ranking:
    """Rank, for every query, the gallery of its own action by distance, equal distances by bbox index.

    Args:
        embeddings: the vectors and labels; the order of their rows does not matter.
        metric: "euclidean" (default; plain L2), "squared_euclidean" (its square) or "cosine" (1 - cosine).

    Returns:
        The queries stand by action, then by bbox index. One whose action has no gallery gets an empty list.

    Raises:
        ValueError: unknown metric, or a zero vector under "cosine".

    Example:
        evaluate(rank(embeddings))["mAP"]
    """
    check_metric(metric)
    if metric == "cosine" and (zero := ~embeddings.vectors.any(axis=1)).any():
        row = int(np.argmax(zero))
        image = describe(embeddings.images, row)
        raise ValueError(f"vectors: row {row} ({image}) is all zeros and has no cosine; use metric='euclidean'")
    vectors = embeddings.vectors
    return rank_by(embeddings.images, lambda query, gallery: pairwise(vectors[query], vectors[gallery], metric))


def rank_by(images: Images, distances: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Ranking:
    """Rank every query's gallery by any distance.

    Args:
        images: the labels.
        distances: called once per action with the rows of its queries (q,) and of its gallery (g,), both by bbox index;
            returns (q, g) finite numbers, small is near.

    Returns:
        As `rank`.
    """
    queries, rows, values, sizes = [], [], [], []
    for query, gallery in images.actions():
        if not len(query):
            continue
        near = np.asarray(distances(query, gallery), dtype=np.float64)  # (q, g)
        order = np.argsort(near, axis=1, kind="stable")
        queries.append(query)
        rows.append(gallery[order].ravel())
        values.append(near[np.arange(len(query))[:, None], order].ravel())
        sizes.append(np.full(len(query), len(gallery)))
    offsets = np.concatenate([[0], *sizes]).cumsum()
    empty = np.zeros(0, np.int64)
    return Ranking(
        images,
        query=np.concatenate([empty, *queries]),
        offsets=offsets,
        gallery=np.concatenate([empty, *rows]),
        distance=np.concatenate([np.zeros(0), *values]),
    )
