"""Cross entropy of what is known of some images only: the base of the losses of roles and of jersey numbers."""

from typing import Any

import keras
from keras import ops

from kreid.losses.pairs import mean_over
from kreid.types import Tensor


class AttributeLoss(keras.losses.Loss):
    """Cross entropy of classes from 0, -1 where unknown: its mean over a batch is that of the images that tell theirs.

    Args:
        name: the loss's name in logs.
        reduction: as in `keras.losses.Loss`; the default is the mean over the batch.
    """

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(name=name, **kwargs)

    def cross_entropy(self, classes: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of each image (N,), for classes (N,) and logits (N, C)."""
        classes = ops.cast(classes, "int32")
        own = ops.take_along_axis(ops.log_softmax(logits, axis=1), ops.maximum(classes, 0)[:, None], axis=1)
        known = classes >= 0
        return mean_over(ops.where(known, -own[:, 0], 0.0), known)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}
