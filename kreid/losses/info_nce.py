"""The contrast of positives with all negatives."""

from typing import Any

import keras
from keras import ops

from kreid.losses.pairs import FAR, PairLoss, mean_over, pair_masks, pairwise_distances
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class InfoNCELoss(PairLoss):
    """Contrast of each positive with all negatives: `-log(e^(s_ap/t) / (e^(s_ap/t) + sum_n e^(s_an/t)))`, s = cosine.

    The mean over the positive pairs (a, p) of the batch; other positives of a are not in the denominator.

    Args:
        temperature: t, positive; 0.1 is ours.
        same_action: negatives only from the anchor's own action.

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for a temperature that is not positive.

    Example:
        >>> loss = InfoNCELoss(temperature=0.1)

    Reference:
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018.
    """

    def __init__(
        self, temperature: float = 0.1, same_action: bool = True, name: str = "info_nce", **kwargs: Any
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        if not temperature > 0:
            raise ValueError(f"temperature: expected a positive number, received {temperature}")
        self.temperature = temperature

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        scores = (1.0 - pairwise_distances(y_pred, y_pred, "cosine")) / self.temperature
        against = ops.logsumexp(ops.where(negative, scores, -FAR), axis=1, keepdims=True)
        pair = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        values = ops.where(pair, ops.softplus(ops.where(pair, against - scores, 0.0)), 0.0)
        return mean_over(ops.sum(values, axis=1), pair)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}
