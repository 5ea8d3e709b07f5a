"""Attention between the tokens of an image, and the activation of CLIP's transformers."""

from typing import Any

import keras
from keras import ops

from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class SelfAttention(keras.layers.Layer):
    """Scaled dot-product attention over queries, keys and values that one layer before has computed, side by side.

    Each head mixes the values by `softmax(q k^T / sqrt(width of a head))`. It has no weights: those before and behind
    are dense layers, which bear the names of their tensors in a file.

    Args:
        heads: how many; a divisor of D.

    Input shape:
        `(N, T, 3 D)`: queries, keys, values, each head by head, as PyTorch's and timm's networks have them.

    Output shape:
        `(N, T, D)`.

    Raises:
        ValueError: where the input's width is not three times a multiple of `heads`.

    Example:
        >>> attended = SelfAttention(12, name="blocks.0.attn")(keras.layers.Dense(3 * 768)(tokens))

    Reference:
        Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, equation 1.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape: tuple) -> None:
        """Check that the heads divide the width."""
        if input_shape[-1] % (3 * self.heads):
            raise ValueError(f"heads: expected 3 x {self.heads} to divide the input's width, received {input_shape}")

    def call(self, x: Tensor) -> Tensor:
        """Attend within `x` (N, T, 3 D)."""
        length, width = x.shape[1], x.shape[-1] // 3
        # (N, T, 3, heads, width of a head)
        split = ops.reshape(x, (-1, length, 3, self.heads, width // self.heads))
        # JAX sums products of float16 in float32, for which it has no kernel on a processor.
        dtype = "float32" if self.compute_dtype == "float16" else self.compute_dtype
        queries, keys, values = (ops.cast(split[:, :, part], dtype) for part in range(3))
        attended = ops.cast(ops.dot_product_attention(queries, keys, values), self.compute_dtype)
        return ops.reshape(attended, (-1, length, width))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `input_shape` with a third of the width."""
        return (*input_shape[:-1], input_shape[-1] // 3)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="kreid")
def quick_gelu(x: Tensor) -> Tensor:
    """Return `x * sigmoid(1.702 x)`, which CLIP was trained with in place of GELU."""
    return x * ops.sigmoid(1.702 * x)
