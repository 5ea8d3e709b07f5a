"""From RGB 0-255 to what a pretrained network expects, inside the model."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kreid.types import Tensor

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # 255 * (0.485, 0.456, 0.406), RGB
IMAGENET_STD = (58.395, 57.12, 57.375)  # 255 * (0.229, 0.224, 0.225), RGB


@keras.saving.register_keras_serializable(package="kreid")
class ImagePreprocessing(keras.layers.Layer):
    """What a pretrained network expects, computed inside the model: `(x - mean) / std` on RGB or BGR.

    Args:
        mean: one number, or one per channel in the order of `channel_order`, in grey levels (0-255).
        std: the same for the divisor; positive.
        channel_order: `"rgb"` keeps the channels, `"bgr"` reverses them first.

    Input shape:
        `(N, H, W, 3)`, RGB 0-255.

    Output shape:
        `(N, H, W, 3)`.

    Raises:
        ValueError: for an unknown channel order, or a `std` that is not positive.

    Example:
        >>> openpose = ImagePreprocessing(mean=128, std=256, channel_order="bgr")
    """

    def __init__(
        self,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        channel_order: str = "rgb",
        **kwargs: Any,
    ) -> None:
        # As the images come, whatever the policy: bfloat16 has no room for a grey level and its mean.
        super().__init__(**kwargs, autocast=False)
        if channel_order not in ("rgb", "bgr"):
            raise ValueError(f'channel_order: expected "rgb" or "bgr", received {channel_order!r}')
        if np.min(std) <= 0:
            raise ValueError(f"std: expected positive numbers, received {std}")
        self.mean = mean
        self.std = std
        self.channel_order = channel_order

    def call(self, images: Tensor) -> Tensor:
        """Normalise `images` (N, H, W, 3)."""
        images = ops.cast(images, "float32")
        if self.channel_order == "bgr":
            images = ops.flip(images, axis=-1)
        images = (images - ops.convert_to_tensor(self.mean, "float32")) / ops.convert_to_tensor(self.std, "float32")
        return ops.cast(images, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return `input_shape`."""
        return tuple(input_shape)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mean": self.mean, "std": self.std, "channel_order": self.channel_order}
