"""Triplets with centroids of people in place of single images."""

from typing import Any

import keras
from keras import ops

from kreid.losses.pairs import (
    FAR,
    PairLoss,
    checked_distance,
    checked_margin,
    hinge,
    mean_over,
    pair_masks,
    pairwise_distances,
)
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class CentroidTripletLoss(PairLoss):
    """Triplets of an image, its person's centroid, and the nearest centroid of another person.

    The positive centroid leaves the anchor out, so that an anchor cannot pull itself.

    Args:
        margin: in units of the distance, or `"soft"`.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        same_action: negatives only from the anchor's own action.

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for an unknown distance or a negative margin.

    Example:
        >>> loss = CentroidTripletLoss(margin=0.3)

    Reference:
        Wieczorek et al., On the Unreasonable Effectiveness of Centroids in Image Retrieval, ICONIP 2021.
    """

    def __init__(
        self,
        margin: float | str = 0.3,
        distance: str = "euclidean",
        same_action: bool = True,
        name: str = "centroid_triplet",
        **kwargs: Any,
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        self.margin = checked_margin(margin)
        self.distance = checked_distance(distance)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        others = ops.cast(positive, "float32")
        count = ops.sum(others, axis=1, keepdims=True)
        total = ops.matmul(others, y_pred)
        own = total / ops.maximum(count, 1.0)
        centroids = (total + y_pred) / (count + 1.0)
        to_centroids = pairwise_distances(y_pred, centroids, self.distance)
        # Only the diagonal is wanted, but N is small and one distance function serves all.
        to_own = ops.diagonal(pairwise_distances(y_pred, own, self.distance))
        nearest = ops.min(ops.where(negative, to_centroids, FAR), axis=1)
        valid = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
        return mean_over(ops.where(valid, hinge(to_own - nearest, self.margin), 0.0), valid)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "distance": self.distance}
