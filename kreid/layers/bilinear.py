"""Bilinear pooling: the outer product of appearance and part maps, pooled, whole or as a tensor sketch."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from kreid.layers.normalization import l2_normalize
from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class BilinearPooling(keras.layers.Layer):
    """Outer product of two maps, pooled over places (paper II.C): `f = 1/S sum_xy vec(a_xy (x) p_xy)`.

    The product `A^T P` over the places is the pooled outer product itself, so no map of C1 * C2 channels is ever made.

    Args:
        pool: `"mean"` (the paper's) or `"sum"` over the places; the same after normalisation.
        signed_sqrt: take `sign(f) sqrt(|f|)` before normalising; off, as in the paper.
        normalize: scale to length one, `f / |f|` (the paper's).

    Input shape:
        A list `[appearance, part]` of `(N, H, W, C1)` and `(N, H, W, C2)`.

    Output shape:
        `(N, C1 * C2)`; entry `i * C2 + j` belongs to appearance channel i and part channel j.

    Raises:
        ValueError: for an unknown `pool`, for inputs that are not two maps of one height and width.

    Example:
        >>> embedding = BilinearPooling()([appearance, part])

    Reference:
        Lin et al., Bilinear CNN Models for Fine-grained Visual Recognition, ICCV 2015.
    """

    def __init__(self, pool: str = "mean", signed_sqrt: bool = False, normalize: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pool not in ("mean", "sum"):
            raise ValueError(f'pool: expected "mean" or "sum", received {pool!r}')
        self.pool = pool
        self.signed_sqrt = signed_sqrt
        self.normalize = normalize

    def build(self, input_shape: Sequence[tuple]) -> None:
        """Check that two maps of one grid come in."""
        if len(input_shape) != 2 or any(len(shape) != 4 for shape in input_shape):
            raise ValueError(f"{self.name}: expected [appearance, part], two (N, H, W, C) maps, received {input_shape}")
        appearance, part = input_shape
        if tuple(appearance[1:3]) != tuple(part[1:3]):
            raise ValueError(
                f"{self.name}: appearance map {appearance} and part map {part} differ in height or width; "
                "align them first, for example with AveragePooling2D"
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Fuse `[appearance, part]` into one vector an image."""
        appearance, part = inputs
        outer = self._outer(appearance, part)
        return self._finish(ops.reshape(outer, (-1, appearance.shape[-1] * part.shape[-1])))

    def _outer(self, appearance: Tensor, part: Tensor) -> Tensor:
        """Pool the outer product over the places, in float32: (N, H, W, C1), (N, H, W, C2) -> (N, C1, C2)."""
        places = ops.shape(appearance)[1] * ops.shape(appearance)[2]
        a = ops.cast(ops.reshape(appearance, (-1, places, appearance.shape[-1])), "float32")
        p = ops.cast(ops.reshape(part, (-1, places, part.shape[-1])), "float32")
        outer = ops.matmul(ops.transpose(a, (0, 2, 1)), p)
        return outer / ops.cast(places, "float32") if self.pool == "mean" else outer

    def _finish(self, pooled: Tensor) -> Tensor:
        if self.signed_sqrt:
            pooled = ops.sign(pooled) * ops.sqrt(ops.abs(pooled) + 1e-12)
        if self.normalize:
            pooled = l2_normalize(pooled)
        return ops.cast(pooled, self.compute_dtype)

    def compute_output_shape(self, input_shape: Sequence[tuple]) -> tuple:
        """Return `(N, C1 * C2)`."""
        appearance, part = input_shape
        return (appearance[0], appearance[-1] * part[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"pool": self.pool, "signed_sqrt": self.signed_sqrt, "normalize": self.normalize}
        return {**super().get_config(), **own}


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


@keras.saving.register_keras_serializable(package="kreid")
class CompactBilinearPooling(BilinearPooling):
    """Tensor sketch of the pooled outer product (paper II.C, "Compact Bilinear Pooling").

    Entry k of the sketch is the sum of `s1[i] s2[j] f[i, j]` over the pairs with `(h1[i] + h2[j]) mod d = k`. That is
    computed as written: pool the outer product exactly, then one segment sum. It equals the usual form, the product
    of two Fourier-transformed count sketches, needs no complex numbers and is several times faster.

    The hashes are drawn once from `seed` and kept as non-trainable weights, in the order h1, s1, h2, s2, so that they
    are saved with the model; `layer.set_weights([h1, s1, h2, s2])` takes those of another implementation.

    Args:
        output_dim: length d of the sketch; 8192 is ours, the paper gives none.
        seed: seed of the hash vectors.
        pool: `"mean"` (the paper's) or `"sum"` over the places; the same after normalisation.
        signed_sqrt: take `sign(f) sqrt(|f|)` before normalising; off, as in the paper.
        normalize: scale to length one, `f / |f|` (the paper's).

    Input shape:
        A list `[appearance, part]` of `(N, H, W, C1)` and `(N, H, W, C2)`.

    Output shape:
        `(N, output_dim)`.

    Raises:
        ValueError: for an `output_dim` below 1, an unknown `pool`, inputs that are not two maps of one grid.

    Example:
        >>> layer = CompactBilinearPooling(output_dim=8192, seed=0)
        >>> embedding = layer([appearance, part])

    Reference:
        Gao et al., Compact Bilinear Pooling, CVPR 2016, algorithm 2; Pham and Pagh, KDD 2013.
    """

    def __init__(
        self,
        output_dim: int = 8192,
        seed: int = 0,
        pool: str = "mean",
        signed_sqrt: bool = False,
        normalize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool=pool, signed_sqrt=signed_sqrt, normalize=normalize, **kwargs)
        if not _is_whole(output_dim) or output_dim < 1:
            raise ValueError(f"output_dim: expected a whole number, 1 or more, received {output_dim!r}")
        self.output_dim = output_dim
        self.seed = seed

    def build(self, input_shape: Sequence[tuple]) -> None:
        """Draw the hashes: for each input, bins h in [0, output_dim) and signs s in {-1, 1}."""
        super().build(input_shape)
        rng = np.random.default_rng(self.seed)
        for number, shape in enumerate(input_shape, start=1):
            bins = rng.integers(self.output_dim, size=shape[-1]).astype("int32")
            signs = rng.choice(np.array([-1.0, 1.0], "float32"), size=shape[-1])
            self._add_constant(f"h{number}", bins)
            self._add_constant(f"s{number}", signs)

    def _add_constant(self, name: str, value: np.ndarray) -> None:
        weight = self.add_weight(
            shape=value.shape,
            dtype=str(value.dtype),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(value, dtype=dtype),
            trainable=False,
            autocast=False,  # bins and signs stay exact under mixed precision
            name=name,
        )
        setattr(self, name, weight)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Fuse `[appearance, part]` into one sketch an image."""
        appearance, part = inputs
        signs = self.s1[:, None] * self.s2[None, :]
        bins = ops.mod(self.h1[:, None] + self.h2[None, :], self.output_dim)
        signed = self._outer(appearance, part) * signs
        # One sum for the whole batch, image n at the segments from n * d on: number by number is twice as fast on a
        # CPU as pair by pair with the images side by side.
        batch = ops.shape(signed)[0]
        segments = ops.arange(batch, dtype="int32")[:, None, None] * self.output_dim + bins
        sketch = ops.segment_sum(
            ops.reshape(signed, (-1,)), ops.reshape(segments, (-1,)), num_segments=batch * self.output_dim
        )
        return self._finish(ops.reshape(sketch, (-1, self.output_dim)))

    def compute_output_shape(self, input_shape: Sequence[tuple]) -> tuple:
        """Return `(N, output_dim)`."""
        return (input_shape[0][0], self.output_dim)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "output_dim": self.output_dim, "seed": self.seed}
