"""OSNet: omni-scale blocks, whose streams see 3, 5, 7 and 9 pixels and are weighed by one shared gate."""

import keras

from kreid.errors import ConfigError
from kreid.models.blocks import (
    TORCH_BATCH_NORM,
    check_input_shape,
    he_normal,
    imagenet_preprocessing,
    narrow,
    pad_same,
)
from kreid.types import Tensor

STREAMS = (("conv2a", 1), ("conv2b", 2), ("conv2c", 3), ("conv2d", 4))  # name, 3x3 convolutions in a row
STAGES = (("conv2", True), ("conv3", True), ("conv4", False))  # two blocks each, and whether they halve the map
GATE_REDUCTION = 16
BOTTLENECK_REDUCTION = 4


def osnet_x1_0(
    input_shape: tuple[int | None, int | None, int] = (256, 128, 3),
    *,
    width_divisor: int = 1,
    name: str = "osnet_x1_0",
) -> keras.Model:
    """Build OSNet at its full width: `osnet` with (64, 256, 384, 512) channels, 2.17 M parameters with its head.

    Args:
        input_shape: `(height, width, 3)` in pixels, at least 16 each; None for a size that varies.
        width_divisor: as of `osnet`.
        name: of the model.

    Returns:
        The model of `osnet`.

    Example:
        >>> kreid.models.build_backbone("osnet_x1_0")(images)["conv5"].shape
        (32, 16, 8, 512)
    """
    return osnet(input_shape, channels=(64, 256, 384, 512), width_divisor=width_divisor, name=name)


def osnet_x0_25(
    input_shape: tuple[int | None, int | None, int] = (256, 128, 3),
    *,
    width_divisor: int = 1,
    name: str = "osnet_x0_25",
) -> keras.Model:
    """Build OSNet at a quarter of its width: `osnet` with (16, 64, 96, 128) channels, 0.2 M parameters with its head.

    Args:
        input_shape: `(height, width, 3)` in pixels, at least 16 each; None for a size that varies.
        width_divisor: as of `osnet`, on top of the quarter.
        name: of the model.

    Returns:
        The model of `osnet`.

    Example:
        >>> kreid.models.build_backbone("osnet_x0_25")(images)["conv5"].shape
        (32, 16, 8, 128)
    """
    return osnet(input_shape, channels=(16, 64, 96, 128), width_divisor=width_divisor, name=name)


def osnet(
    input_shape: tuple[int | None, int | None, int] = (256, 128, 3),
    *,
    channels: tuple[int, int, int, int],
    width_divisor: int = 1,
    name: str = "osnet",
) -> keras.Model:
    """Build OSNet of any width without its 512-d head, as named feature maps.

    A block adds to its input `conv3(sum over t of G(x_t) * x_t)`, where `x_t` went through t = 1..4 separable 3x3
    convolutions and `G` is the unified aggregation gate: one small network from the mean over places to a weight per
    channel, the same for the four streams.

    Args:
        input_shape: `(height, width, 3)` in pixels, at least 16 each; None for a size that varies.
        channels: of `conv1`, and out of `conv2`, `conv3` and `conv4`; (64, 256, 384, 512) is the paper's.
        width_divisor: channels become `max(4, channels // width_divisor)`; 1 is the real network.
        name: of the model.

    Returns:
        A model from RGB 0-255 images `(N, height, width, 3)` to `{"conv1": 1/2 of the sides, "conv2": 1/8,
        "conv3": 1/16, "conv4": 1/16, "conv5": 1/16}`, each as upstream's module of that name returns it; layers are
        called by upstream's module paths.

    Raises:
        ConfigError: for an argument out of its range.

    Example:
        >>> half = osnet(channels=(32, 128, 192, 256), name="osnet_x0_5")

    Reference:
        Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", arXiv 1905.00953, Table 1 and Fig. 4;
        names as in torchreid's `torchreid/models/osnet.py`.
    """
    shape = check_input_shape(name, input_shape, smallest=16)
    if len(channels) != 4:
        raise ConfigError(f"channels: expected four, of conv1 to conv4, received {channels}")
    stem, *widths = (narrow(count, width_divisor) for count in channels)

    # === Functional Model ===
    images = keras.Input(shape, name="images")
    x = imagenet_preprocessing()(images)
    maps = {"conv1": _conv(pad_same(x, 7, name="conv1.pad"), stem, 7, "conv1", stride=2)}
    x = pad_same(maps["conv1"], 3, name="maxpool.pad")
    x = keras.layers.MaxPooling2D(3, strides=2, name="maxpool")(x)
    for (stage, halve), width in zip(STAGES, widths, strict=True):
        x = _block(x, width, f"{stage}.0")
        x = _block(x, width, f"{stage}.1")
        if halve:
            x = _conv(x, width, 1, f"{stage}.2.0")
            x = keras.layers.AveragePooling2D(2, name=f"{stage}.2.1")(x)
        maps[stage] = x
    maps["conv5"] = _conv(x, widths[-1], 1, "conv5")
    return keras.Model(images, maps, name=name)


def _block(x: Tensor, filters: int, name: str) -> Tensor:
    """Add one omni-scale block of `filters` outputs."""
    middle = max(4, filters // BOTTLENECK_REDUCTION)
    reduced = _conv(x, middle, 1, f"{name}.conv1")
    gate = _gate(middle, f"{name}.gate")
    streams = []
    for stream, depth in STREAMS:
        y = reduced
        for index in range(depth):
            # upstream's first stream is one layer, the others are sequences of them
            y = _light_conv(y, middle, f"{name}.{stream}" if depth == 1 else f"{name}.{stream}.{index}")
        streams.append(keras.layers.Multiply(name=f"{name}.{stream}.gated")([y, gate(y)]))
    y = keras.layers.Add(name=f"{name}.sum")(streams)
    y = _conv(y, filters, 1, f"{name}.conv3", activate=False)
    if x.shape[-1] != filters:
        x = _conv(x, filters, 1, f"{name}.downsample", activate=False)
    return keras.layers.ReLU(name=name)(keras.layers.Add(name=f"{name}.add")([y, x]))


def _gate(filters: int, name: str) -> Tensor:
    """Return the unified aggregation gate: x (N, h, w, c) -> weights (N, 1, 1, c), the same layers at every call."""
    pool = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.global_avgpool")
    fewer = max(1, filters // GATE_REDUCTION)
    fc1 = keras.layers.Conv2D(fewer, 1, activation="relu", kernel_initializer=he_normal(), name=f"{name}.fc1")
    fc2 = keras.layers.Conv2D(filters, 1, activation="sigmoid", kernel_initializer=he_normal(), name=f"{name}.fc2")
    return lambda x: fc2(fc1(pool(x)))


def _light_conv(x: Tensor, filters: int, name: str) -> Tensor:
    """Add a separable 3x3 convolution, the 1x1 first, then batch norm and ReLU."""
    x = keras.layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=he_normal(), name=f"{name}.conv1")(x)
    x = keras.layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, depthwise_initializer=he_normal(), name=f"{name}.conv2"
    )(x)
    x = keras.layers.BatchNormalization(**TORCH_BATCH_NORM, name=f"{name}.bn")(x)
    return keras.layers.ReLU(name=name)(x)


def _conv(x: Tensor, filters: int, kernel: int, name: str, *, stride: int = 1, activate: bool = True) -> Tensor:
    """Add a convolution without padding, batch norm, and ReLU unless `activate` is False."""
    x = keras.layers.Conv2D(
        filters, kernel, strides=stride, use_bias=False, kernel_initializer=he_normal(), name=f"{name}.conv"
    )(x)
    x = keras.layers.BatchNormalization(**TORCH_BATCH_NORM, name=f"{name}.bn")(x)
    return keras.layers.ReLU(name=name)(x) if activate else x
