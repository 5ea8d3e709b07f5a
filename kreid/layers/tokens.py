"""What a Vision Transformer learns beside its blocks: tokens of its own, places, and how much a block adds.

Their weights stand in files as bare tensors, `cls_token` or `visual.positional_embedding`, in shapes that differ from
origin to origin: `adapt` makes of such a tensor what the layer holds, and `kreid.weights` asks for it.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kreid.layers.resampling import METHODS, resample
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class LearnedTokens(keras.layers.Layer):
    """Put learned tokens among those of an image: the class token, or registers.

    Args:
        count: how many.
        position: how many tokens stay in front of them.

    Input shape:
        `(N, T, D)`.

    Output shape:
        `(N, T + count, D)`.

    Raises:
        ValueError: for a `count` below 1 or a `position` below 0.

    Example:
        >>> tokens = LearnedTokens(name="cls_token")(patches)
    """

    def __init__(self, count: int = 1, position: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if count < 1 or position < 0:
            raise ValueError(f"count, position: expected at least 1 and 0, received {count} and {position}")
        self.count = count
        self.position = position

    def build(self, input_shape: tuple) -> None:
        """Make the tokens, near zero as everybody starts them."""
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.tokens = self.add_weight(shape=(self.count, input_shape[-1]), initializer=initializer, name="tokens")

    def call(self, x: Tensor) -> Tensor:
        """Put the tokens into `x` (N, T, D)."""
        tokens = ops.broadcast_to(self.tokens, (ops.shape(x)[0], self.count, x.shape[-1]))
        if not self.position:
            return ops.concatenate([tokens, x], axis=1)
        return ops.concatenate([x[:, : self.position], tokens, x[:, self.position :]], axis=1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `input_shape` with so many tokens more."""
        batch, length, width = input_shape
        return (batch, None if length is None else length + self.count, width)

    def adapt(self, tensor: np.ndarray) -> np.ndarray:
        """Return a file's tensor without the ones in its shape, or as it is where it holds other tokens."""
        shape = tuple(self.tokens.shape)
        bare = tuple(side for side in tensor.shape[:-1] if side != 1) or (1,)
        return tensor.reshape(shape) if (*bare, *tensor.shape[-1:]) == shape else tensor

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "count": self.count, "position": self.position}


@keras.saving.register_keras_serializable(package="kreid")
class PositionEmbedding(keras.layers.Layer):
    """Add a learned vector to the class token and to each place of a grid.

    Args:
        grid: rows and columns of the tokens behind the class token.
        method: how a file's embedding of another grid is resampled, of `kreid.layers.resampling.METHODS`.
        square: files hold the embedding of a square grid always, as DINOv2's do, which resamples at every call; one of
            as many places as `grid` is otherwise taken for one of this very grid, as open_clip, timm and TransReID do.

    Input shape:
        `(N, 1 + rows * columns, D)`, places row by row.

    Output shape:
        As the input's.

    Raises:
        ValueError: for an unknown method or a grid without places.

    Example:
        >>> tokens = PositionEmbedding((16, 8), name="pos_embed")(tokens)
    """

    def __init__(
        self, grid: tuple[int, int], method: str = "bicubic_antialias", square: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if method not in METHODS:
            raise ValueError(f"method: expected one of {', '.join(METHODS)}, received {method!r}")
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f"grid: expected rows and columns, received {grid}")
        self.grid = (grid[0], grid[1])
        self.method = method
        self.square = square

    def build(self, input_shape: tuple) -> None:
        """Make the embedding, near zero as everybody starts it."""
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        shape = (1 + math.prod(self.grid), input_shape[-1])
        self.embedding = self.add_weight(shape=shape, initializer=initializer, name="embedding")

    def call(self, x: Tensor) -> Tensor:
        """Add the embedding to `x` (N, 1 + rows * columns, D)."""
        return x + self.embedding

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `input_shape`."""
        return tuple(input_shape)

    def adapt(self, tensor: np.ndarray) -> np.ndarray:
        """Return a file's embedding on this grid: that of a square one is resampled; what is neither stays as it is."""
        places, width = self.embedding.shape
        bare = tensor.reshape(tensor.shape[-2:]) if tensor.ndim == 3 and len(tensor) == 1 else tensor
        if bare.ndim != 2 or bare.shape[1] != width or not len(bare):
            return tensor
        side = math.isqrt(len(bare) - 1)
        fits = self.grid == (side, side) if self.square else len(bare) == places
        if fits or side == 0 or side * side != len(bare) - 1:
            return bare
        resampled = resample(bare[1:].reshape(side, side, width), self.grid, self.method)
        return np.concatenate([bare[:1], resampled.reshape(-1, width)]).astype("float32")

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "grid": self.grid, "method": self.method, "square": self.square}


@keras.saving.register_keras_serializable(package="kreid")
class LayerScale(keras.layers.Layer):
    """Multiply each channel by a learned factor, `gamma`, which starts at one as DINOv2's published networks do.

    Input shape:
        `(..., D)`.

    Output shape:
        As the input's.

    Example:
        >>> x = x + LayerScale(name="blocks.0.ls1")(attended)

    Reference:
        Touvron et al., "Going deeper with Image Transformers", arXiv 2103.17239, equation 2.
    """

    def build(self, input_shape: tuple) -> None:
        """Make the factors."""
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")

    def call(self, x: Tensor) -> Tensor:
        """Scale the channels of `x` (..., D)."""
        return x * self.gamma

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `input_shape`."""
        return tuple(input_shape)
