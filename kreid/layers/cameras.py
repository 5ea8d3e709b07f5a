"""A learned vector for each camera, TransReID's side information embedding, and the cameras' names."""

from collections.abc import Sequence
from typing import Any

import keras

from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class CameraEmbedding(keras.layers.Embedding):
    """Look up the learned vector of each image's camera.

    Args:
        cameras: how many there are.
        width: D, numbers of a vector.
        names: the cameras', in the order of their vectors, so that the numbers of any records can be told; none where
            nobody has named them yet.

    Input shape:
        `(N,)`, integers from 0 to `cameras - 1`.

    Output shape:
        `(N, D)`.

    Raises:
        ValueError: for another number of names.

    Example:
        >>> vectors = CameraEmbedding(6, 768, names=["c1", "c2", "c3", "c4", "c5", "c6"], name="sie_embed")(camera)

    Reference:
        He et al., "TransReID", arXiv 2102.04378, section 3.3.
    """

    def __init__(self, cameras: int, width: int, names: Sequence[str] = (), **kwargs: Any) -> None:
        if names and len(names) != cameras:
            raise ValueError(f"names: expected {cameras}, one a camera, received {len(names)}")
        # Near zero, as TransReID starts them.
        super().__init__(cameras, width, keras.initializers.TruncatedNormal(stddev=0.02), **kwargs)
        self.names = tuple(names)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the vectors of cameras `inputs` (N,)."""
        return super().call(inputs)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = keras.layers.Layer.get_config(self)
        return {**own, "cameras": self.input_dim, "width": self.output_dim, "names": self.names}
