"""Vectors of length one."""

import keras
from keras import ops

from kreid.types import Tensor


def l2_normalize(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """Divide each row of `x` (N, D) by its L2 norm; a row up to `epsilon` long becomes zeros and has the gradient 0.

    It has no direction. To divide by `epsilon` would multiply its gradient by 1e12, which float16 does not hold, nor an
    optimiser's mean of squares.
    """
    x = ops.cast(x, "float32")
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)
    is_short = squared <= epsilon**2
    return ops.where(is_short, 0.0, x * ops.rsqrt(ops.where(is_short, 1.0, squared)))


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
