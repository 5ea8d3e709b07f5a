"""From the vectors of a track's crops to one vector: a mean, or one in which good crops count for more; NumPy only.

Crops come in pieces of whole tracks, so that memory is bounded by the largest of 4,096 crops and the longest track, not
by how many crops there are.
"""

from collections.abc import Callable, Iterator

import numpy as np

from kreid.errors import received
from kreid.ranking.distances import paired, unit
from kreid.tracks.tracks import Tracks

POOLS = ("mean", "weighted")
_CROPS = 4096  # crops whose vectors are there at once, or those of one track
_EPSILON = 1e-6  # between vectors of length one: what float32 leaves of nothing


def check_pool(how: str) -> None:
    """Raise ValueError unless `how` is one of `POOLS`."""
    if not isinstance(how, str) or how not in POOLS:
        raise ValueError(f"pool: expected one of {', '.join(POOLS)}, received {received(how)}")


def pool(
    tracks: Tracks,
    vectors: Callable[[np.ndarray], np.ndarray],
    how: str = "mean",
    areas: Callable[[np.ndarray], np.ndarray] | None = None,
    crops: int = _CROPS,
) -> np.ndarray:
    """Return one vector of length one a track.

    Args:
        tracks: the tracks.
        vectors: called with rows of crops (n,), returns (n, D) finite numbers.
        how: "mean" (default), of the crops' vectors scaled to length one; "weighted", the same by `weights`.
        areas: called with rows of crops (n,), returns their sizes in pixels, 0 where unknown; for "weighted". None
            where all are.
        crops: how many to ask for at once; a longer track comes whole.

    Returns:
        (T, D) float64.

    Raises:
        ValueError: a track's vectors are not finite, or cancel out; names it. Or `how` is unknown.
    """
    check_pool(how)
    pooled: list[np.ndarray] = []
    for first, stop in _pieces(tracks.offsets, crops):
        start = tracks.offsets[first]
        rows = tracks.crops[start : tracks.offsets[stop]]
        found = vectors(rows)
        area = areas(rows) if areas is not None and how == "weighted" else np.zeros(len(rows))
        for track in range(first, stop):
            part = slice(tracks.offsets[track] - start, tracks.offsets[track + 1] - start)
            if not np.isfinite(found[part]).all():
                raise ValueError(f"track {tracks.describe(track)}: a vector is not finite; look for a diverged model")
            pooled.append(_pooled(unit(found[part]), how, area[part], tracks.describe(track)))
    return np.stack(pooled)


def weights(vectors: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Return how much each crop of a track counts: a large one, and one near the track's own mean, for more.

    The product of `sqrt(area / largest area)`, since a crop twice as high and wide tells about twice as much, and of
    `1 / (1 + (d / median d)^2)`, where d is the distance to the mean's direction: 1/2 for an ordinary crop, little for
    one of another player who passed in front. Both are ours.

    Args:
        vectors: (n, D) of length one.
        areas: (n,) in pixels; where one is unknown, 0, sizes do not count.

    Returns:
        (n,) float64, in 0 to 1.
    """
    size = np.sqrt(areas / areas.max()) if (areas > 0).all() else np.ones(len(vectors))
    mean = unit(vectors.mean(axis=0, keepdims=True))
    distance = paired(vectors, np.broadcast_to(mean, vectors.shape))
    ordinary = max(np.median(distance), _EPSILON)  # rounding does not tell equal crops apart
    return size / (1 + (distance / ordinary) ** 2)


def _pooled(vectors: np.ndarray, how: str, areas: np.ndarray, name: str) -> np.ndarray:
    share = weights(vectors, areas) if how == "weighted" else np.ones(len(vectors))
    mean = share @ vectors / share.sum()
    if not np.sqrt(mean @ mean) > _EPSILON:
        raise ValueError(f"track {name}: the vectors of its crops are all zeros or cancel out, so it has no direction")
    return unit(mean[None])[0]


def _pieces(offsets: np.ndarray, crops: int) -> Iterator[tuple[int, int]]:
    """Yield runs of whole tracks, first and behind the last, of at most so many crops, and of at least one track."""
    first, count = 0, len(offsets) - 1
    while first < count:
        stop = int(np.searchsorted(offsets, offsets[first] + crops, side="right")) - 1
        stop = max(stop, first + 1)
        yield first, stop
        first = stop
