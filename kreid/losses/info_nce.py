"""The contrast of positives with all negatives."""

import math
from typing import Any

import keras
from keras import ops

from kreid.errors import check_number
from kreid.losses.pairs import FAR, PairLoss, mean_over, pair_masks, pairwise_distances
from kreid.types import Tensor

_LEAST_TEMPERATURE = 0.01  # CLIP's, which keeps a training stable


@keras.saving.register_keras_serializable(package="kreid")
class InfoNCELoss(PairLoss):
    """Contrast of each positive with all negatives: `-log(e^(s_ap/t) / (e^(s_ap/t) + sum_n e^(s_an/t)))`, s = cosine.

    The mean over the positive pairs (a, p) of the batch; other positives of a are not in the denominator. Each image of
    a pair is once the anchor, so that the loss is symmetric as CLIP's is.

    Args:
        temperature: t, positive; 0.1 is ours.
        learn_temperature: t is learnt from there on, as CLIP learns it, though never below 0.01: `trainable_variables`
            holds its logarithm. `kreid.training` trains it; under `model.fit`, which knows the model's variables alone,
            it stays as it is.
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
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018; the learnt temperature:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021, section 2.5.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        same_action: bool = True,
        learn_temperature: bool = False,
        name: str = "info_nce",
        **kwargs: Any,
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        check_number("temperature", temperature, whole=False)
        if not temperature > 0:
            raise ValueError(f"temperature: expected a positive number, received {temperature}")
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        start = math.log(temperature)
        self.trainable_variables = [keras.Variable(start, name="log_temperature")] if learn_temperature else []

    def current_temperature(self) -> Tensor | float:
        """The temperature as it is now."""
        if not self.trainable_variables:
            return self.temperature
        return ops.exp(ops.maximum(self.trainable_variables[0], math.log(_LEAST_TEMPERATURE)))

    def figures(self) -> dict[str, Tensor]:
        """The temperature, where it is learnt."""
        return {"temperature": ops.convert_to_tensor(self.current_temperature())} if self.trainable_variables else {}

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        scores = (1.0 - pairwise_distances(y_pred, y_pred, "cosine")) / self.current_temperature()
        against = ops.logsumexp(ops.where(negative, scores, -FAR), axis=1, keepdims=True)
        pair = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        values = ops.where(pair, ops.softplus(ops.where(pair, against - scores, 0.0)), 0.0)
        return mean_over(ops.sum(values, axis=1), pair)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"temperature": self.temperature, "learn_temperature": self.learn_temperature}
        return {**super().get_config(), **own}
