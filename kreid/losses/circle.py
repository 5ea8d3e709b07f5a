"""Pairs of a batch, each pulled or pushed as far as it is from where it should be."""

from typing import Any

import keras
from keras import ops

from kreid.errors import check_number
from kreid.layers.normalization import l2_normalize
from kreid.losses.pairs import FAR, PairLoss, mean_over, pair_masks
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class CircleLoss(PairLoss):
    """Circle loss of each anchor: `log(1 + sum_n e^(c a_n (s_n - m)) sum_p e^(-c a_p (s_p - (1 - m))))`, s = cosine.

    A pair pulls in proportion to its distance from the best there is: `a_p = max(1 + m - s_p, 0)`,
    `a_n = max(s_n + m, 0)`, both held constant in the gradient. Anchors without a positive or without a negative do
    not count.

    Args:
        margin: m, in (-1, 1); 0.25 is the paper's for person re-identification.
        scale: c, positive; 128 is the paper's for person re-identification.
        same_action: negatives only from the anchor's own action.

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for a margin outside (-1, 1) or a scale that is not positive.

    Example:
        >>> loss = CircleLoss(margin=0.25, scale=128.0)

    Reference:
        Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization, CVPR 2020, equations 4, 5 and 8.
    """

    def __init__(
        self,
        margin: float = 0.25,
        scale: float = 128.0,
        same_action: bool = True,
        name: str = "circle",
        **kwargs: Any,
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        check_number("margin", margin, whole=False)
        check_number("scale", scale, whole=False)
        if not -1 < margin < 1:
            raise ValueError(f"margin: expected a number in (-1, 1), received {margin}")
        if not scale > 0:
            raise ValueError(f"scale: expected a positive number, received {scale}")
        self.margin = margin
        self.scale = scale

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        rows = l2_normalize(y_pred)
        similarity = ops.matmul(rows, ops.transpose(rows))
        to_pull = ops.stop_gradient(ops.relu(1.0 + self.margin - similarity))
        to_push = ops.stop_gradient(ops.relu(similarity + self.margin))
        pull = -self.scale * to_pull * (similarity - (1.0 - self.margin))
        push = self.scale * to_push * (similarity - self.margin)
        # The logarithm of the product of both sums; about -FAR where one is empty, whose softplus and gradient are 0.
        together = ops.logsumexp(ops.where(positive, pull, -FAR), axis=1) + ops.logsumexp(
            ops.where(negative, push, -FAR), axis=1
        )
        valid = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
        return mean_over(ops.softplus(together), valid)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "scale": self.scale}
