"""Triplets of an anchor, a positive and a negative: the loss, how they are mined, and how hard a batch is."""

from typing import Any

import keras
from keras import ops

from kreid.losses.pairs import (
    FAR,
    PairLoss,
    checked_distance,
    checked_margin,
    hardest,
    hinge,
    mean_over,
    pair_masks,
    pairwise_distances,
)
from kreid.types import Tensor

MININGS = ("hard", "all", "semi_hard")


@keras.saving.register_keras_serializable(package="kreid")
class TripletLoss(PairLoss):
    """Triplet loss over a batch (paper II.E): `max(d(a, p) - d(a, n) + margin, 0)`.

    Args:
        margin: in units of the distance (0.3, ours), or `"soft"` for `log(1 + exp(d(a, p) - d(a, n)))`.
        mining: `"hard"`, the farthest positive and nearest negative of each anchor (ours); `"all"`, the mean over every
            triplet that is not yet satisfied; `"semi_hard"`, for each positive the nearest negative beyond it, or the
            farthest negative where there is none.
        distance: `"euclidean"` (L2, not squared: the paper's), `"squared_euclidean"`, or `"cosine"` (1 - cosine).
        same_action: negatives only from the anchor's own action (the paper's).

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for an unknown mining or distance, or a negative margin.

    Example:
        >>> loss = TripletLoss(margin=0.3, mining="hard", same_action=True)
        >>> loss([[7, 1], [7, 1], [8, 1]], [[0.0, 1.0], [0.0, 0.9], [1.0, 0.0]])

    Reference:
        Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, 2017 (hard, all, soft margin);
        Schroff et al., FaceNet, CVPR 2015 (semi-hard).
    """

    def __init__(
        self,
        margin: float | str = 0.3,
        mining: str = "hard",
        distance: str = "euclidean",
        same_action: bool = True,
        name: str = "triplet",
        **kwargs: Any,
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        if mining not in MININGS:
            raise ValueError(f"mining: expected one of {', '.join(MININGS)}, received {mining!r}")
        self.mining = mining
        self.margin = checked_margin(margin)
        self.distance = checked_distance(distance)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        distances = pairwise_distances(y_pred, y_pred, self.distance)
        mine = {"hard": self._hard, "all": self._all, "semi_hard": self._semi_hard}[self.mining]
        return mine(distances, positive, negative)

    def _hard(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        farthest, nearest, valid = hardest(distances, positive, negative)
        return mean_over(ops.where(valid, hinge(farthest - nearest, self.margin), 0.0), valid)

    def _all(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        triplet = ops.logical_and(positive[:, :, None], negative[:, None, :])  # (anchor, positive, negative)
        values = ops.where(triplet, hinge(distances[:, :, None] - distances[:, None, :], self.margin), 0.0)
        active = values > 0.0
        return mean_over(ops.sum(values, axis=(1, 2)), active)

    def _semi_hard(self, distances: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        # For the pair (a, p), along the last axis: negatives of a that lie beyond p.
        beyond = ops.logical_and(negative[:, None, :], distances[:, None, :] > distances[:, :, None])
        nearest = ops.min(ops.where(beyond, distances[:, None, :], FAR), axis=2)
        farthest = ops.max(ops.where(negative, distances, -FAR), axis=1, keepdims=True)
        chosen = ops.where(ops.any(beyond, axis=2), nearest, farthest)
        pair = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        values = ops.where(pair, hinge(distances - chosen, self.margin), 0.0)
        return mean_over(ops.sum(values, axis=1), pair)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"margin": self.margin, "mining": self.mining, "distance": self.distance}
        return {**super().get_config(), **own}


def triplet_statistics(
    labels: Tensor, embeddings: Tensor, margin: float = 0.3, same_action: bool = True
) -> dict[str, Tensor]:
    """How hard a batch is, Euclidean: what the progress line and the logs show.

    Args:
        labels: `(N, 2)` [person, action].
        embeddings: `(N, D)`.
        margin: a triplet is active while `positive - negative + margin > 0`.
        same_action: negatives only from the anchor's own action.

    Returns:
        Scalars: `anchors`, how many have a triplet; `active`, the share of them whose hardest triplet is active;
        `positive` and `negative`, the mean hardest distances.
    """
    embeddings = ops.cast(embeddings, "float32")
    distances = pairwise_distances(embeddings, embeddings)
    farthest, nearest, valid = hardest(distances, *pair_masks(labels, same_action))
    weight = ops.cast(valid, "float32")
    count = ops.maximum(ops.sum(weight), 1.0)
    active = ops.cast(farthest - nearest + margin > 0.0, "float32")
    means = {"active": active, "positive": farthest, "negative": nearest}
    return {
        "anchors": ops.sum(weight),
        **{key: ops.sum(ops.where(valid, value, 0.0)) / count for key, value in means.items()},
    }
