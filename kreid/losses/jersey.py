"""Cross entropy of a person's jersey number, where the records tell it."""

from typing import Any

import keras

from kreid.losses.attribute import AttributeLoss
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class JerseyLoss(AttributeLoss):
    """Cross entropy of a person's jersey number, where the records tell it.

    Input shape:
        `y_true` `(N, 4)` integers [person, action, role, jersey], -1 where unknown, `y_pred` logits `(N, C)`.

    Output shape:
        `(N,)` before reduction; 0 where it is unknown.

    Example:
        >>> loss = JerseyLoss()

    Reference:
        as of `kreid.losses.RoleLoss`.
    """

    def __init__(self, name: str = "jersey", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image (N,)."""
        return self.cross_entropy(y_true[:, 3], y_pred)
