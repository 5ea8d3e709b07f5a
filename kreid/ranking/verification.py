"""Whether two images show one person, by a threshold on their distance: what trackers need of a network. NumPy only.

Every pair of a query and a gallery image that a protocol compares is a decision: positive where both show one person,
negative else. A threshold accepts what is at most so far apart. The share of negatives it accepts is the false accept
rate (FAR), of positives the true accept rate (TAR); 1 - TAR is the false reject rate. Thresholds are the distances of
positives: between two of them nothing but the FAR changes, for the worse.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np

from kreid.ranking.distances import paired_rows, pairwise
from kreid.ranking.embeddings import Embeddings, check_labelled
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import checked_vectors
from kreid.ranking.protocols import blocks

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
_PAIRS = 1 << 20  # distances held at once (8 MiB)


class Accepted(TypedDict):
    """The largest share of positives that is accepted at no more than a FAR, and up to which distance."""

    far: float
    tar: float
    threshold: float | None


class Verification(TypedDict):
    """What `metrics_<split>.json` holds as "verification"; distances are by `metric`.

    `eer` is the mean of both error rates at `threshold`, where they are nearest to one another. `accepted` lacks rates
    that so few negatives cannot show; its threshold is None where no positive can be accepted.
    """

    metric: str
    positives: int
    negatives: int
    eer: float
    threshold: float
    accepted: list[Accepted]


class Curve(NamedTuple):
    """Both rates at every threshold.

    Attributes:
        threshold: (P,) float64, the distances of the positives, rising.
        far: (P,) float64, the share of negatives at most so far apart.
        tar: (P,) float64, the share of positives.
        negatives: how many there are.
    """

    threshold: np.ndarray
    far: np.ndarray
    tar: np.ndarray
    negatives: int


def verify(embeddings: Embeddings, metric: str = "euclidean", protocol: str | None = None) -> Verification | None:
    """Return equal error rate and TAR at usual FARs, None where there are no positives or no negatives.

    Exact, in one pass over all pairs, a block at a time; what grows with the set are the distances of positives.

    Args:
        embeddings: the vectors and labels.
        metric: as in `kreid.ranking.rank`.
        protocol: as there; a pair that it leaves out is no decision.

    Raises:
        ValueError: as `rank`, or labels are withheld.

    Example:
        verify(embeddings, "cosine")["threshold"]
    """
    curve = roc(embeddings, metric, protocol)
    if not len(curve.threshold) or not curve.negatives:
        return None
    apart = np.abs(curve.far - (1 - curve.tar))
    best = int(np.argmin(apart))
    return {
        "metric": str(metric),
        "positives": len(curve.threshold),
        "negatives": curve.negatives,
        "eer": float(curve.far[best] + 1 - curve.tar[best]) / 2,
        "threshold": float(curve.threshold[best]),
        "accepted": accepted(curve),
    }


def accepted(curve: Curve, fars: Sequence[float] = FARS) -> list[Accepted]:
    """Return the TAR at each of some FARs; one that is below a single negative is left out."""
    found: list[Accepted] = []
    for far in fars:
        if far * curve.negatives < 1:
            continue
        below = int(np.searchsorted(curve.far, far, side="right"))  # FAR never falls
        tar = float(curve.tar[below - 1]) if below else 0.0
        found.append({"far": far, "tar": tar, "threshold": float(curve.threshold[below - 1]) if below else None})
    return found


def roc(embeddings: Embeddings, metric: str = "euclidean", protocol: str | None = None) -> Curve:
    """Return FAR and TAR at the distance of every positive; arguments as in `verify`."""
    vectors, images = checked_vectors(embeddings, metric), embeddings.images
    check_labelled(images, np.flatnonzero(images.is_query))
    positives = [np.zeros((2, 0), np.int64)]
    for query, gallery, same, _ in _pairs(embeddings, protocol):
        row, column = np.nonzero(same)
        positives.append(np.stack([query[row], gallery[column]]))
    rows, others = np.concatenate(positives, axis=1)
    threshold = np.sort(paired_rows(vectors, vectors, rows, others, metric))
    negatives = (
        pairwise(vectors[query], vectors[gallery], metric)[different]
        for query, gallery, _, different in _pairs(embeddings, protocol)
    )
    return _curve(threshold, negatives)


def roc_of_ranking(ranking: Ranking) -> Curve:
    """Return the same of the distances that a ranking holds; its lists must be whole.

    Raises:
        ValueError: labels are withheld, or the lists were cut.
    """
    if ranking.nearest is not None:
        raise ValueError(
            f"ranking: holds the nearest {ranking.nearest} images of each query, and a threshold is held against all; "
            "take `roc` of the embeddings, or rank them without nearest"
        )
    match = ranking.match
    return _curve(np.sort(ranking.distance[match]), [ranking.distance[~match]])


def _curve(threshold: np.ndarray, blocks_of_negatives: Iterable[np.ndarray]) -> Curve:
    counts, negatives = np.zeros(len(threshold) + 1, np.int64), 0
    for distance in blocks_of_negatives:
        # At which threshold each begins to be accepted: behind all others for those that never are.
        counts += np.bincount(np.searchsorted(threshold, distance), minlength=len(counts))
        negatives += len(distance)
    reached = np.searchsorted(threshold, threshold, side="right")  # equal distances are accepted together
    far = counts.cumsum()[:-1] / max(negatives, 1)
    return Curve(threshold, far, reached / max(len(threshold), 1), negatives)


def _pairs(
    embeddings: Embeddings, protocol: str | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows of queries (q,) and gallery images (g,), which pairs (q, g) are positive and which are negative."""
    images = embeddings.images
    for query, gallery, counted in blocks(images, protocol, _PAIRS):
        if counted is None:
            check_labelled(images, gallery)
            counted = np.ones((len(query), len(gallery)), bool)
        same = images.person[query][:, None] == images.person[gallery]
        yield query, gallery, same & counted, ~same & counted
