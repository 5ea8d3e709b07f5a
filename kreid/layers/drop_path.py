"""Stochastic depth: what a block adds is left out for some images of a batch while a network learns.

One layer draws for all blocks at once, and one beside each shortcut applies its draw: so a block that is computed a
second time for its gradient (`train.remat`) leaves out the same.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class DropPathDraws(keras.layers.Layer):
    """Draw what stays: for each image and shortcut 0, with the shortcut's rate, or else 1 / (1 - rate).

    Args:
        rates: probability of each shortcut to be left out, in [0, 1).
        seed: of the draws; from Keras's global one by default.

    Input shape:
        `(N, ...)`; only N is looked at.

    Output shape:
        `(N, S)` for S rates; ones outside of training.

    Raises:
        ValueError: for no rate, or one out of its range.

    Example:
        >>> kept = DropPathDraws([0.0, 0.1], name="drop_path")(tokens)

    Reference:
        Huang et al., "Deep Networks with Stochastic Depth", arXiv 1603.09382; scaled as timm's `DropPath`.
    """

    def __init__(self, rates: Sequence[float], seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not rates or not all(0 <= rate < 1 for rate in rates):
            raise ValueError(f"rates: expected one or more in [0, 1), received {list(rates)}")
        self.rates = [float(rate) for rate in rates]
        self.seed = seed
        # A name of its own: states of a run know variables by their paths, whatever was built before in the process.
        self.seed_generator = keras.random.SeedGenerator(seed, name=f"{self.name}_seed")

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Return what stays of each image's shortcuts (N, S)."""
        shape = (ops.shape(x)[0], len(self.rates))
        if not training:
            return ops.ones(shape, self.compute_dtype)
        stays = 1.0 - ops.convert_to_tensor([self.rates], "float32")
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) < stays
        return ops.cast(ops.cast(drawn, "float32") / stays, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `(N, S)`."""
        return (input_shape[0], len(self.rates))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rates": self.rates, "seed": self.seed}


@keras.saving.register_keras_serializable(package="kreid")
class DropPath(keras.layers.Layer):
    """Leave out, for some images, what a shortcut adds.

    Args:
        shortcut: its number among the draws.

    Input shape:
        `[x, kept]`: `(N, T, D)` and the draws `(N, S)` of `DropPathDraws`.

    Output shape:
        `(N, T, D)`; outside of training `x` itself.

    Raises:
        ValueError: for a negative number.

    Example:
        >>> x = x + DropPath(3)([attended, kept])
    """

    def __init__(self, shortcut: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if shortcut < 0:
            raise ValueError(f"shortcut: expected 0 or more, received {shortcut}")
        self.shortcut = shortcut

    def call(self, inputs: list[Tensor], training: bool | None = None) -> Tensor:
        """Return `x` (N, T, D), zeros for the images whose draw is 0."""
        x, kept = inputs
        if not training:
            return x
        return x * ops.reshape(kept[:, self.shortcut], (-1, 1, 1))

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Return the shape of `x`."""
        return tuple(input_shape[0])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shortcut": self.shortcut}
