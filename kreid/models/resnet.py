"""ResNet50 in its two current forms, each with the layer names of the weights that people have for it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from kreid.errors import ConfigError
from kreid.layers.preprocessing import ImagePreprocessing
from kreid.models.blocks import (
    TORCH_BATCH_NORM,
    check_input_shape,
    he_normal,
    imagenet_preprocessing,
    narrow,
    pad_same,
)
from kreid.types import Tensor

STAGES = ((2, 64, 3), (3, 128, 4), (4, 256, 6), (5, 512, 3))  # stage, filters of the bottleneck, blocks
NOTOP_FILE = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"


class Variant(NamedTuple):
    """How one ResNet50 differs from another, and how its layers are called.

    Names are templates over `stage` (2-5) and `block` (1..), as Keras counts, `layer` (1-4) and `index` (0..), as
    torchvision counts, and `part` (1-3), the convolution within a block.
    """

    strided_part: int  # the convolution of a block that carries its stride
    use_bias: bool
    batch_norm: dict[str, float]
    initializer: Callable[[], keras.initializers.Initializer]  # called per layer: one instance repeats its values
    stem: tuple[str, ...]  # padding, convolution, batch norm, activation, padding, pooling
    conv: str
    bn: str
    relu: str
    shortcut: tuple[str, str]  # convolution, batch norm
    add: str
    out: str


VARIANTS = {
    "keras": Variant(
        strided_part=1,
        use_bias=True,
        batch_norm={"epsilon": 1.001e-5, "momentum": 0.99},
        initializer=keras.initializers.GlorotUniform,
        stem=("conv1_pad", "conv1_conv", "conv1_bn", "conv1_relu", "pool1_pad", "pool1_pool"),
        conv="conv{stage}_block{block}_{part}_conv",
        bn="conv{stage}_block{block}_{part}_bn",
        relu="conv{stage}_block{block}_{part}_relu",
        shortcut=("conv{stage}_block{block}_0_conv", "conv{stage}_block{block}_0_bn"),
        add="conv{stage}_block{block}_add",
        out="conv{stage}_block{block}_out",
    ),
    "torchvision": Variant(
        strided_part=2,
        use_bias=False,
        batch_norm=TORCH_BATCH_NORM,
        initializer=he_normal,
        stem=("conv1.pad", "conv1", "bn1", "relu", "maxpool.pad", "maxpool"),
        conv="layer{layer}.{index}.conv{part}",
        bn="layer{layer}.{index}.bn{part}",
        relu="layer{layer}.{index}.relu{part}",
        shortcut=("layer{layer}.{index}.downsample.0", "layer{layer}.{index}.downsample.1"),
        add="layer{layer}.{index}.add",
        out="layer{layer}.{index}",
    ),
}


def resnet50(
    input_shape: tuple[int | None, int | None, int] = (256, 128, 3),
    *,
    last_stride: int = 1,
    variant: str = "keras",
    weights: str | Path | None = None,
    width_divisor: int = 1,
    name: str = "resnet50",
) -> keras.Model:
    """Build ResNet50 without its classifier, as named feature maps.

    Variant `"keras"` is `keras.applications.ResNet50` layer by layer: biases, a stage's stride in its first 1x1
    convolution, BGR input minus the ImageNet mean. Variant `"torchvision"` is version 1.5, which torch checkpoints (and
    torchreid's `resnet50_fc512` and `resnet50mid`) hold: no biases, the stride in the 3x3, RGB by mean and deviation.

    Args:
        input_shape: `(height, width, 3)` in pixels, at least 32 each; None for a size that varies.
        last_stride: 2 as published, or 1, which doubles the last map's sides (16 x 8 at 256 x 128) with the same
            weights; re-identification's usual choice, and this project's for the paper's grids.
        variant: `"keras"` or `"torchvision"`.
        weights: None for random values; for variant `"keras"` also `"imagenet"` (Keras downloads and caches) or the
            path of that file. Weights of the other variant come through `kreid.weights`.
        width_divisor: every convolution has `max(4, filters // width_divisor)` filters, the last of a block four times
            that of its others; 1 is the real network.
        name: of the model.

    Returns:
        A model from RGB 0-255 images `(N, height, width, 3)` to `{"conv1": (N, height / 2, width / 2, 64), "conv2": ...
        256 at 1/4, "conv3": 512 at 1/8, "conv4": 1024 at 1/16, "conv5": 2048}`, all after their ReLU, and the outputs
        of the last stage's single blocks, `"conv5_1"`, `"conv5_2"` and `"conv5_3"` (the same as `"conv5"`).

    Raises:
        ConfigError: for an argument out of its range.
        ValueError: for weights that cannot be found or do not fit.

    Example:
        >>> maps = kreid.models.build_backbone("resnet50", weights="imagenet")(images)
        >>> maps["conv5"].shape
        (32, 16, 8, 2048)

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385, Table 1; torchvision's
        `torchvision/models/resnet.py` for version 1.5.
    """
    shape = check_input_shape(name, input_shape, smallest=32)
    if last_stride not in (1, 2):
        raise ConfigError(f"last_stride: expected 1 or 2, received {last_stride!r}")
    spec = _variant(variant)
    published = None if weights is None else _published(weights, variant, width_divisor)

    # === Functional Model ===
    images = keras.Input(shape, name="images")
    x = _preprocessing(variant)(images)
    maps = {"conv1": _stem(x, narrow(64, width_divisor), spec)}
    x = pad_same(maps["conv1"], 3, name=spec.stem[4])
    x = keras.layers.MaxPooling2D(3, strides=2, name=spec.stem[5])(x)
    for stage, filters, blocks in STAGES:
        for block in range(1, blocks + 1):
            stride = {2: 1, 5: last_stride}.get(stage, 2) if block == 1 else 1
            x = _block(x, narrow(filters, width_divisor), stride, stage, block, spec)
            if stage == 5:
                maps[f"conv5_{block}"] = x
        maps[f"conv{stage}"] = x
    model = keras.Model(images, maps, name=name)
    if published:
        _copy_weights(published, model)
    return model


def _variant(variant: str) -> Variant:
    if variant not in VARIANTS:
        raise ConfigError(f"variant: expected one of {', '.join(VARIANTS)}, received {variant!r}")
    return VARIANTS[variant]


def _preprocessing(variant: str) -> ImagePreprocessing:
    if variant == "torchvision":
        return imagenet_preprocessing()
    return ImagePreprocessing(mean=(103.939, 116.779, 123.68), channel_order="bgr", name="preprocessing")


def _stem(x: Tensor, filters: int, spec: Variant) -> Tensor:
    pad, conv, bn, relu = spec.stem[:4]
    x = pad_same(x, 7, name=pad)
    x = keras.layers.Conv2D(
        filters, 7, strides=2, use_bias=spec.use_bias, kernel_initializer=spec.initializer(), name=conv
    )(x)
    x = keras.layers.BatchNormalization(**spec.batch_norm, name=bn)(x)
    return keras.layers.ReLU(name=relu)(x)


def _block(x: Tensor, filters: int, stride: int, stage: int, block: int, spec: Variant) -> Tensor:
    """Add one bottleneck: 1x1, 3x3, 1x1 convolutions beside a shortcut, which the first block of a stage projects."""
    names = {"stage": stage, "block": block, "layer": stage - 1, "index": block - 1}

    def convolve(x: Tensor, filters: int, kernel: int, stride: int, conv: str, bn: str) -> Tensor:
        padding = "same"
        if kernel > 1 and stride > 1:
            x, padding = pad_same(x, kernel, name=f"{conv}.pad"), "valid"
        x = keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=spec.use_bias,
            kernel_initializer=spec.initializer(),
            name=conv,
        )(x)
        return keras.layers.BatchNormalization(**spec.batch_norm, name=bn)(x)

    shortcut = x
    if block == 1:
        shortcut = convolve(x, 4 * filters, 1, stride, *(template.format(**names) for template in spec.shortcut))
    for part, (width, kernel) in enumerate(((filters, 1), (filters, 3), (4 * filters, 1)), start=1):
        part_stride = stride if part == spec.strided_part else 1
        conv, bn, relu = (template.format(part=part, **names) for template in (spec.conv, spec.bn, spec.relu))
        x = convolve(x, width, kernel, part_stride, conv, bn)
        if part < 3:
            x = keras.layers.ReLU(name=relu)(x)
    x = keras.layers.Add(name=spec.add.format(**names))([shortcut, x])
    return keras.layers.ReLU(name=spec.out.format(**names))(x)


def _published(weights: str | Path, variant: str, width_divisor: int) -> keras.Model:
    """Return `keras.applications.ResNet50` with ImageNet weights, of Keras's download or of a file, which it checks."""
    if variant != "keras":
        raise ConfigError(
            f'weights: expected None for variant "{variant}", received {str(weights)!r}; read a torch file with '
            "kreid.weights.read and assign it"
        )
    if width_divisor != 1:
        raise ConfigError(
            f"weights: {str(weights)!r} fits width_divisor=1 only, received width_divisor={width_divisor}"
        )
    remedy = (
        f"Supply {NOTOP_FILE} (94 MB, from Keras's storage): give its path as model.appearance.weights or put it into "
        "~/.keras/models (or $KERAS_HOME/models); or set model.appearance.weights: null to start from random values"
    )
    if weights != "imagenet" and not Path(weights).is_file():
        raise ConfigError(f"weights: no such file: {weights}. {remedy}")
    try:
        return keras.applications.ResNet50(include_top=False, weights=str(weights), input_shape=(32, 32, 3))
    except Exception as error:  # keras.utils.get_file raises bare Exception, h5py what it likes
        wrong = "could not be downloaded" if weights == "imagenet" else "is not the file that was expected"
        raise ValueError(f"weights: {str(weights)!r} {wrong}: {error}. {remedy}") from error


def _copy_weights(published: keras.Model, model: keras.Model) -> None:
    for layer in published.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
