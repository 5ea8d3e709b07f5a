"""What the backbones share: argument checks, ImageNet preprocessing, convolutions that pad as PyTorch pads them."""

from collections.abc import Sequence
from numbers import Integral

import keras

from kreid.errors import ConfigError, received
from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ImagePreprocessing
from kreid.types import Tensor

TORCH_BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.9}  # PyTorch's momentum 0.1 weighs the new value, Keras's the old


def check_input_shape(network: str, input_shape: Sequence[int | None], smallest: int) -> tuple[int | None, ...]:
    """Return `input_shape` as a tuple, or say why the network cannot take it.

    Args:
        network: name for the message.
        input_shape: `(height, width, 3)` in pixels; None for a size that varies.
        smallest: fewest pixels a side can have.

    Returns:
        `(height, width, 3)`.

    Raises:
        ValueError: unless there are three entries, the last is 3 and the sides are at least `smallest`.
    """
    if isinstance(input_shape, str) or not isinstance(input_shape, Sequence):
        raise ValueError(f"{network}: input_shape: expected (height, width, 3), received {received(input_shape)}")
    shape = tuple(input_shape)
    if len(shape) != 3 or shape[-1] != 3:
        raise ValueError(f"{network}: input_shape: expected (height, width, 3), received {shape}")
    if any(not isinstance(side, Integral | None) for side in shape):
        raise ValueError(f"{network}: input_shape: expected whole numbers of pixels or None, received {shape}")
    if any(side is not None and side < smallest for side in shape[:2]):
        raise ConfigError(
            f"{network}: input_shape: expected sides of at least {smallest} pixels, received {shape}; "
            "its strides leave too little of smaller images, enlarge them first (model.image_size)"
        )
    return shape


def narrow(filters: int, width_divisor: int) -> int:
    """Return the filters of a network that is `width_divisor` times as narrow: `max(4, filters // width_divisor)`.

    Args:
        filters: of the real network.
        width_divisor: 1 leaves the network as it is; larger numbers are for tests and demonstrations.

    Raises:
        ConfigError: unless `width_divisor` is a positive integer.
    """
    if not isinstance(width_divisor, int) or width_divisor < 1:
        raise ConfigError(f"width_divisor: expected a positive integer, received {width_divisor!r}")
    return filters if width_divisor == 1 else max(4, filters // width_divisor)


def imagenet_preprocessing() -> ImagePreprocessing:
    """Return the layer that normalises RGB 0-255 as torchvision's ImageNet networks expect."""
    return ImagePreprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD, name="preprocessing")


def he_normal() -> keras.initializers.Initializer:
    """Return the initial values that PyTorch's re-identification networks use: He's normal, by outputs.

    One for each layer: an initializer's seed is fixed when it is made, so sharing one would start equal shapes equal.
    """
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def pad_same(x: Tensor, kernel: int, name: str) -> Tensor:
    """Pad `x` (N, H, W, C) by `kernel // 2` zeros on every side, PyTorch's `padding=kernel // 2`.

    Keras's `"same"` puts the odd zero at the bottom right once the stride is 2, which moves every value by a pixel.
    """
    return keras.layers.ZeroPadding2D(kernel // 2, name=name)(x)
