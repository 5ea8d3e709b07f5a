"""Better rankings from embeddings one has: k-reciprocal re-ranking, query expansion, joined embeddings; NumPy only.

Everything stays inside an action, since a query's gallery ends there.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kreid.errors import ConfigError, check_kind, check_number, received
from kreid.ranking.distances import check_metric, pairwise, unit_float32
from kreid.ranking.embeddings import Embeddings, Images, same_rows
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import rank_by
from kreid.ranking.protocols import parts

LARGEST = 5_000  # images of an action that are re-ranked: all with all, in a dozen matrices, take some 2 GB
_BLOCK = 1 << 22  # comparisons of neighbourhoods held at once (32 MiB)


def rerank(
    embeddings: Embeddings,
    k1: int = 3,
    k2: int = 2,
    weight: float = 0.3,
    metric: str = "euclidean",
    limit: float = 0.25,
    protocol: str | None = None,
    nearest: int | None = None,
) -> Ranking:
    """Rank every query's gallery by k-reciprocal re-ranking within its action.

    The distance becomes `(1 - weight) * jaccard + weight * original`: `jaccard` compares the reciprocal neighbourhoods
    of two images, `original` is the squared distance over the largest one of the query.

    The paper's k1 = 20 and k2 = 6 are for galleries of thousands. In an action of 25 images with one or two a person
    they make everybody everybody's neighbour and cost points of mAP, so the defaults are smaller and shrink with it.

    Args:
        embeddings: the vectors and labels.
        k1: neighbours that count as near (default 3, ours).
        k2: neighbours, itself included, that a neighbourhood is averaged over (default 2, ours).
        weight: share of the original distance, 0 to 1 (default 0.3, the paper's).
        metric: the distance to start from; the paper's is "euclidean". SoccerNet's development kit passes
            "squared_euclidean", which is then squared once more.
        limit: k1 and k2 are at most this share of an action's images, and at least 1 (default 0.25, ours); 1 to take
            them as they are.
        protocol: which gallery images count, as in `rank`; the others are neighbours all the same.
        nearest: as in `rank`.

    Returns:
        The new ranking; its distances are between 0 and 1, never NaN.

    Raises:
        ValueError: k1 or k2 is below 1, weight or limit is outside 0 to 1, or an action has more than `LARGEST` images.

    Reference: Zhong et al., Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017.
    """
    check_kind("embeddings", embeddings, Embeddings)
    check_metric(metric)
    _check(k1, k2, weight)
    check_number("limit", limit, whole=False)
    if not 0 <= limit <= 1:
        raise ValueError(f"limit: expected a share of an action's images, 0 to 1, received {limit}")
    vectors = embeddings.vectors
    check_rerankable(embeddings.images)

    def distances(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        return reciprocal(vectors[np.concatenate([query, gallery])], len(query), k1, k2, weight, metric, limit)

    return rank_by(embeddings.images, distances, protocol, nearest)


def check_rerankable(images: Images) -> None:
    """Raise ValueError, before anything is computed, for an action whose images cannot be compared all with all."""
    action, counts = np.unique(images.action, return_counts=True)
    large = np.flatnonzero(counts > LARGEST)
    if len(large):
        raise ValueError(
            f"embeddings: action {action[large[0]]} has {counts[large[0]]:,} images, and re-ranking, which compares "
            f"all with all, takes {LARGEST:,} at most; rank them without it, or expand the queries instead"
        )


def reciprocal(
    vectors: np.ndarray,
    queries: int,
    k1: int = 3,
    k2: int = 2,
    weight: float = 0.3,
    metric: str = "euclidean",
    limit: float = 0.25,
) -> np.ndarray:
    """Return re-ranked distances from the first vectors of a set to the others, as `rerank` measures in an action.

    Args:
        vectors: (n, D), the queries first; n x n distances are held several times over.
        queries: how many of them are queries.
        k1: see `rerank`, as all after it.
        k2: the same.
        weight: the same.
        metric: the same.
        limit: the same, of these n.

    Returns:
        (queries, n - queries) float64.
    """
    most = max(1, int(limit * len(vectors)))
    return k_reciprocal(pairwise(vectors, vectors, metric), queries, min(k1, most), min(k2, most), weight)


def k_reciprocal(distances: np.ndarray, queries: int, k1: int = 20, k2: int = 6, weight: float = 0.3) -> np.ndarray:
    """Return re-ranked distances from the first images of a set to the others.

    Args:
        distances: (n, n) symmetric, finite, not negative: between all images, the queries first.
        queries: how many of them are queries.
        k1: neighbours that count as near (default 20, the paper's); from n - 1 on, everybody is.
        k2: neighbours a neighbourhood is averaged over (default 6, the paper's); at most n are there.
        weight: share of the original distance, 0 to 1 (default 0.3, the paper's).

    Returns:
        (queries, n - queries) float64.

    Raises:
        ValueError: k1 or k2 is below 1, or weight is outside 0 to 1.
    """
    _check(k1, k2, weight)
    squared = np.square(distances)
    largest = squared.max(axis=0, initial=0.0)
    original = squared.T / np.where(largest > 0, largest, 1)[:, None]  # all images equal: 0, not 0 / 0

    order = np.argsort(_self_first(original), axis=1, kind="stable")
    near = _reciprocal(order, k1)
    closer = _reciprocal(order, round(k1 / 2))
    shared = near.astype(np.float32) @ closer.T.astype(np.float32)  # images that are near i and closer to j, counted
    joins = near & (3 * shared > 2 * closer.sum(axis=1))
    near |= joins.astype(np.float32) @ closer.astype(np.float32) > 0

    encoding = np.exp(-original) * near
    encoding /= encoding.sum(axis=1, keepdims=True)  # never 0: an image is its own neighbour
    encoding = sum(encoding[column] for column in order.T[:k2]) / min(k2, len(order))
    jaccard = _jaccard(encoding[:queries], encoding[queries:])
    return (1 - weight) * jaccard + weight * original[:queries, queries:]


def expand_queries(embeddings: Embeddings, k: int = 1, alpha: float = 3.0) -> Embeddings:
    """Move every query towards its nearest gallery images: the weighted average of itself and them.

    The query counts 1 and each of its k nearest gallery images `max(cosine, 0) ** alpha`.

    Args:
        embeddings: the vectors and labels.
        k: gallery images to add (default 1, ours: a person has few images in an action); at most the gallery's size.
        alpha: 0 weighs all k like the query (plain average); larger trusts near ones more (default 3, the paper's).

    Returns:
        Unit vectors (zero ones stay zero), the gallery's included, so that every metric still makes sense.

    Raises:
        ValueError: k or alpha is negative.

    Reference: Radenović et al., Fine-tuning CNN Image Retrieval with No Human Annotation, TPAMI 2019, section 3.5.
    """
    check_kind("embeddings", embeddings, Embeddings)
    check_number("k", k)
    check_number("alpha", alpha, whole=False)
    if k < 0 or alpha < 0:
        raise ValueError(f"k, alpha: expected neither to be negative, received {k} and {alpha}")
    vectors = unit_float32(embeddings.vectors)
    for queries, gallery in embeddings.images.actions():
        members = vectors[gallery]
        for query in parts(queries, max(len(gallery), k * vectors.shape[1]), _BLOCK):
            cosine = 1 - pairwise(vectors[query], members, "squared_euclidean") / 2  # (q, g)
            order = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
            share = np.maximum(np.take_along_axis(cosine, order, axis=1), 0) ** alpha  # (q, k)
            moved = vectors[query] + (share[:, None] @ members[order])[:, 0]  # (q, 1, k) @ (q, k, D)
            vectors[query] = unit_float32(moved)
    return replace(embeddings, vectors=vectors)


def combine(members: Sequence[Embeddings], how: str = "concat") -> Embeddings:
    """Return one `Embeddings` made of several over the same images, every member scaled to unit vectors first.

    Args:
        members: at least one; they may list the images in different orders.
        how: "concat" (default) sets the vectors side by side, which averages the squared distances: the way for
            different networks. "mean" averages the vectors: only inside one embedding space (an image's flips, crops).

    Returns:
        Unit vectors (zero ones stay zero), in the order, and with the labels and records, of the first member.

    Raises:
        ValueError: members differ in their images, labels or protocol, or, for "mean", in width.
    """
    if how not in ("concat", "mean"):
        raise ValueError(f"how: expected concat or mean, received {how!r}")
    if not isinstance(members, Sequence) or isinstance(members, str):
        raise ConfigError(f"members: expected a list of Embeddings, received {received(members)}")
    if not members:
        raise ValueError("members: expected at least one Embeddings, received none")
    for number, member in enumerate(members):
        check_kind(f"members: number {number}", member, Embeddings)
    first = members[0]
    parts = []
    for number, member in enumerate(members):
        order, rows = same_rows(first.images, member.images, f"members: number {number}")
        if member.protocol != first.protocol:
            raise ValueError(
                f"members: number 0 is scored by protocol {first.protocol!r}, number {number} by {member.protocol!r}; "
                "make them alike: dataclasses.replace(embeddings, protocol=...)"
            )
        if how == "mean" and member.vectors.shape != first.vectors.shape:
            width, other = first.vectors.shape[1], member.vectors.shape[1]
            raise ValueError(f"members: numbers 0 and {number} are {width} and {other} wide; use how='concat'")
        aligned = np.empty_like(member.vectors)
        aligned[order] = unit_float32(member.vectors)[rows]
        parts.append(aligned)
    vectors = np.concatenate(parts, axis=1) if how == "concat" else np.mean(parts, axis=0)
    return replace(first, vectors=unit_float32(vectors))


def _check(k1: int, k2: int, weight: float) -> None:
    check_number("weight", weight, whole=False)
    for name, value in (("k1", k1), ("k2", k2)):
        check_number(name, value)
        if value < 1:
            raise ValueError(f"{name}: expected 1 or more neighbours, received {value}")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight: expected the original distance's share, 0 to 1, received {weight}")


def _self_first(distances: np.ndarray) -> np.ndarray:
    """Return a copy in which every image is nearest to itself, as it would not be among equal ones."""
    distances = distances.copy()
    np.fill_diagonal(distances, -1.0)
    return distances


def _reciprocal(order: np.ndarray, k: int) -> np.ndarray:
    """Return (n, n) bool: which images are among each other's k nearest, every image with itself included."""
    near = np.zeros(order.shape, bool)
    np.put_along_axis(near, order[:, : k + 1], True, axis=1)
    return near & near.T


def _jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return 1 - |A and B| / |A or B| of fuzzy sets whose members sum to one: (q, n) and (g, n) to (q, g)."""
    common = np.empty((len(first), len(second)))
    step = max(1, _BLOCK // max(second.size, 1))
    for start in range(0, len(first), step):
        common[start : start + step] = np.minimum(first[start : start + step, None], second[None]).sum(axis=2)
    common = np.minimum(common, 1)  # rounding may pass it between equal sets
    return 1 - common / (2 - common)
