"""Cross entropy of a person's role, such as player, goalkeeper or referee."""

from typing import Any

import keras

from kreid.losses.attribute import AttributeLoss
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class RoleLoss(AttributeLoss):
    """Cross entropy of a person's role, such as player, goalkeeper or referee.

    Input shape:
        `y_true` `(N, 4)` integers [person, action, role, jersey], -1 where unknown, `y_pred` logits `(N, C)`.

    Output shape:
        `(N,)` before reduction; 0 where it is unknown.

    Example:
        >>> loss = RoleLoss()

    Reference:
        Somers et al., "Multi-task Learning for Joint Re-identification, Team Affiliation, and Role Classification for
        Sports Visual Tracking" (PRTReID), 2023, whose auxiliary tasks are of this kind.
    """

    def __init__(self, name: str = "role", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image (N,)."""
        return self.cross_entropy(y_true[:, 2], y_pred)
