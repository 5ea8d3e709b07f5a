"""Pooling over places with a learned emphasis on the strong ones."""

from typing import Any

import keras
from keras import ops

from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class GeneralizedMeanPooling2D(keras.layers.Layer):
    """Average over places as `mean(max(x, epsilon)^p)^(1/p)`, `p` learned: 1 is the mean, towards infinity the maximum.

    Computed in float32 under any policy, and of each channel's share in its strongest place: powers soon overflow.

    Args:
        power: the first `p`, as in the paper.
        epsilon: the smallest value that counts; positive.

    Input shape:
        `(N, h, w, C)`.

    Output shape:
        `(N, C)`.

    Raises:
        ValueError: for a `power` or an `epsilon` that is not positive.

    Example:
        >>> vector = GeneralizedMeanPooling2D(name="pool")(feature_map)

    Reference:
        Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", arXiv 1711.02512, equation 3.
    """

    def __init__(self, power: float = 3.0, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if power <= 0 or epsilon <= 0:
            raise ValueError(f"power, epsilon: expected positive numbers, received {power} and {epsilon}")
        self.power = power
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        """Make `p`."""
        constant = keras.initializers.Constant(self.power)
        self.p = self.add_weight(shape=(1,), initializer=constant, name="p", autocast=False)

    def call(self, x: Tensor) -> Tensor:
        """Pool `x` (N, h, w, C)."""
        x = ops.maximum(ops.cast(x, "float32"), self.epsilon)
        strongest = ops.stop_gradient(ops.max(x, axis=(1, 2), keepdims=True))
        mean = ops.mean(ops.power(x / strongest, self.p), axis=(1, 2))
        return ops.cast(strongest[:, 0, 0] * ops.power(mean, 1 / self.p), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `(N, C)`."""
        return (input_shape[0], input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "power": self.power, "epsilon": self.epsilon}
