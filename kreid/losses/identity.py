"""Cross entropy of the person."""

from typing import Any

import keras
from keras import ops

from kreid.errors import check_number
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class IdentityLoss(keras.losses.Loss):
    """Cross entropy of the person (paper II.E), optionally with label smoothing.

    The target is `1 - e` on the person and `e / C` spread over all C classes.

    Args:
        label_smoothing: e in [0, 1); 0 is the paper's plain cross entropy.

    Input shape:
        `y_true` `(N, 2)` integers [person, action] with person in [0, C), `y_pred` logits `(N, C)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for smoothing outside [0, 1).

    Example:
        >>> loss = IdentityLoss(label_smoothing=0.1)

    Reference:
        Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "identity", **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(name=name, **kwargs)
        check_number("label_smoothing", label_smoothing, whole=False)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing: expected a number in [0, 1), received {label_smoothing}")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image (N,)."""
        log_probability = ops.log_softmax(y_pred, axis=1)
        person = ops.cast(y_true[:, :1], "int32")
        own = ops.squeeze(ops.take_along_axis(log_probability, person, axis=1), axis=1)
        spread = ops.mean(log_probability, axis=1)
        return -(1.0 - self.label_smoothing) * own - self.label_smoothing * spread

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction, "label_smoothing": self.label_smoothing}
