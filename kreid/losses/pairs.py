"""Losses over a batch of embeddings whose labels hold only inside an action.

Labels are `(N, 2)` integers `[person, action]`. Every loss returns one value an anchor, `(N,)`, so that Keras averages
it and scales it under a distribution strategy. Anchors without a positive or without a negative have no triplet: they
count neither in the sum nor in the mean, and a batch without any triplet has loss and gradient zero. All are computed
in float32, because in bfloat16 neighbouring identities would become one number.
"""

from typing import Any

import keras
from keras import ops

from kreid.layers.normalization import l2_normalize
from kreid.types import Tensor

DISTANCES = ("euclidean", "squared_euclidean", "cosine")
FAR = 1e30  # beyond any distance, and finite: inf - inf would be NaN


def pairwise_distances(x: Tensor, y: Tensor, distance: str = "euclidean") -> Tensor:
    """Distances between the rows of `x` (N, D) and of `y` (M, D): (N, M).

    Both are moved by the mean of `y` first. Distances do not change, but |x|^2 + |y|^2 - 2xy keeps its digits when all
    rows are alike, as they are when an embedding collapses, and on GPUs that multiply in TensorFloat-32.
    """
    if distance == "cosine":
        return 1.0 - ops.matmul(l2_normalize(x), ops.transpose(l2_normalize(y)))
    centre = ops.stop_gradient(ops.mean(y, axis=0, keepdims=True))
    x, y = x - centre, y - centre
    xx = ops.sum(ops.square(x), axis=1, keepdims=True)
    yy = ops.sum(ops.square(y), axis=1, keepdims=True)
    squared = ops.maximum(xx + ops.transpose(yy) - 2.0 * ops.matmul(x, ops.transpose(y)), 0.0)
    if distance == "squared_euclidean":
        return squared
    # sqrt has no finite gradient at 0: equal rows get distance 0 and gradient 0.
    is_zero = squared <= 1e-12
    return ops.where(is_zero, 0.0, ops.sqrt(ops.where(is_zero, 1.0, squared)))


def pair_masks(labels: Tensor, same_action: bool = True) -> tuple[Tensor, Tensor]:
    """Which pairs of a batch are positives, which negatives: two (N, N) boolean masks for labels (N, 2).

    Args:
        labels: `[person, action]` of each image.
        same_action: negatives only from the anchor's own action (the paper's II.E); otherwise from the whole batch.
    """
    person, action = labels[:, 0], labels[:, 1]
    same_person = person[:, None] == person[None, :]
    itself = ops.cast(ops.eye(ops.shape(labels)[0]), "bool")
    negative = ops.logical_not(same_person)
    if same_action:
        negative = ops.logical_and(negative, action[:, None] == action[None, :])
    return ops.logical_and(same_person, ops.logical_not(itself)), negative


def mean_over(values: Tensor, valid: Tensor) -> Tensor:
    """Scale per-anchor sums so that the batch mean is `sum(values) / sum(valid)`; 0 where nothing is valid."""
    count = ops.cast(ops.shape(values)[0], "float32")
    return values * count / ops.maximum(ops.sum(ops.cast(valid, "float32")), 1.0)


class PairLoss(keras.losses.Loss):
    """Base of the losses that compare images of a batch with each other.

    Keras hands labels over as float32, which holds integers below 2^24 = 16,777,216: number people and actions densely
    where theirs are larger, as `kreid.data` does.

    Args:
        same_action: negatives only from the anchor's own action.
        name: the loss's name in logs.
        reduction: as in `keras.losses.Loss`; the default is the mean over the batch.
    """

    def __init__(self, same_action: bool = True, name: str | None = None, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"  # see the module's docstring
        super().__init__(name=name, **kwargs)
        self.same_action = same_action

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction, "same_action": self.same_action}


def hardest(distances: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Farthest positive and nearest negative of each anchor, and which anchors have both: three (N,) tensors."""
    farthest = ops.max(ops.where(positive, distances, -FAR), axis=1)
    nearest = ops.min(ops.where(negative, distances, FAR), axis=1)
    return farthest, nearest, ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))


def hinge(difference: Tensor, margin: float | str) -> Tensor:
    """Return `max(difference + margin, 0)`, or softly `log(1 + exp(difference))`."""
    return ops.softplus(difference) if margin == "soft" else ops.relu(difference + margin)


def checked_margin(margin: float | str) -> float | str:
    """Return a margin that `hinge` takes; ValueError for another."""
    if margin != "soft" and (isinstance(margin, str) or margin < 0):
        raise ValueError(f'margin: expected a number >= 0 or "soft", received {margin!r}')
    return margin


def checked_distance(distance: str) -> str:
    """Return one of `DISTANCES`; ValueError for another."""
    if distance not in DISTANCES:
        raise ValueError(f"distance: expected one of {', '.join(DISTANCES)}, received {distance!r}")
    return distance
