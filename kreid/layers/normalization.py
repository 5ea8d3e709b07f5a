"""Vectors of length one."""

import keras
from keras import ops

from kreid.types import Tensor


def l2_normalize(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Divide each row of `x` (N, D) by its L2 norm, or by `epsilon` where that is larger: the gradient stays finite."""
    x = ops.cast(x, "float32")
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), epsilon**2))


@keras.saving.register_keras_serializable(package="kreid")
class L2Normalization(keras.layers.Layer):
    """Scale each embedding to length one: `f / |f|` (paper II.C), computed in float32 under any policy.

    Input shape:
        `(N, D)`.

    Output shape:
        `(N, D)`.

    Example:
        >>> unit = L2Normalization(name="embedding")
    """

    def call(self, x: Tensor) -> Tensor:
        """Normalise the rows of `x` (N, D)."""
        return ops.cast(l2_normalize(x), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `input_shape`."""
        return tuple(input_shape)
