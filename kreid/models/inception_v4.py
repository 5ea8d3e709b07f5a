"""InceptionV4 as tables of its blocks' branches."""

from typing import NamedTuple

import keras

from kreid.models.blocks import check_input_shape, he_normal, imagenet_preprocessing, narrow
from kreid.types import Tensor

BATCH_NORM = {"epsilon": 1e-3, "momentum": 0.9}


class Conv(NamedTuple):
    """One convolution of a branch, with batch norm and ReLU after it; `name` is upstream's, within its block."""

    name: str
    filters: int
    kernel: int | tuple[int, int]  # side, or (height, width)
    stride: int = 1
    padding: str = "same"


class Pool(NamedTuple):
    """A 3x3 pooling of a branch: the mean at stride 1, or the maximum at stride 2."""

    name: str
    kind: str  # "average" or "max"


# Each block is its branches, in the order in which upstream concatenates them.
MIXED_3A = (
    (Pool("maxpool", "max"),),
    (Conv("conv", 96, 3, 2, "valid"),),
)
MIXED_4A = (
    (Conv("branch0.0", 64, 1), Conv("branch0.1", 96, 3, 1, "valid")),
    (
        Conv("branch1.0", 64, 1),
        Conv("branch1.1", 64, (1, 7)),
        Conv("branch1.2", 64, (7, 1)),
        Conv("branch1.3", 96, 3, 1, "valid"),
    ),
)
MIXED_5A = (
    (Conv("conv", 192, 3, 2, "valid"),),
    (Pool("maxpool", "max"),),
)
INCEPTION_A = (
    (Conv("branch0", 96, 1),),
    (Conv("branch1.0", 64, 1), Conv("branch1.1", 96, 3)),
    (Conv("branch2.0", 64, 1), Conv("branch2.1", 96, 3), Conv("branch2.2", 96, 3)),
    (Pool("branch3.0", "average"), Conv("branch3.1", 96, 1)),
)
REDUCTION_A = (
    (Conv("branch0", 384, 3, 2, "valid"),),
    (Conv("branch1.0", 192, 1), Conv("branch1.1", 224, 3), Conv("branch1.2", 256, 3, 2, "valid")),
    (Pool("branch2", "max"),),
)
INCEPTION_B = (
    (Conv("branch0", 384, 1),),
    (Conv("branch1.0", 192, 1), Conv("branch1.1", 224, (1, 7)), Conv("branch1.2", 256, (7, 1))),
    (
        Conv("branch2.0", 192, 1),
        Conv("branch2.1", 192, (7, 1)),
        Conv("branch2.2", 224, (1, 7)),
        Conv("branch2.3", 224, (7, 1)),
        Conv("branch2.4", 256, (1, 7)),
    ),
    (Pool("branch3.0", "average"), Conv("branch3.1", 128, 1)),
)
REDUCTION_B = (
    (Conv("branch0.0", 192, 1), Conv("branch0.1", 192, 3, 2, "valid")),
    (
        Conv("branch1.0", 256, 1),
        Conv("branch1.1", 256, (1, 7)),
        Conv("branch1.2", 320, (7, 1)),
        Conv("branch1.3", 320, 3, 2, "valid"),
    ),
    (Pool("branch2", "max"),),
)
# The last block's branches fork at their end: a path is the convolutions it shares, then the two that part.
INCEPTION_C = (
    ((Conv("branch0", 256, 1),), ()),
    ((Conv("branch1_0", 384, 1),), (Conv("branch1_1a", 256, (1, 3)), Conv("branch1_1b", 256, (3, 1)))),
    (
        (Conv("branch2_0", 384, 1), Conv("branch2_1", 448, (3, 1)), Conv("branch2_2", 512, (1, 3))),
        (Conv("branch2_3a", 256, (1, 3)), Conv("branch2_3b", 256, (3, 1))),
    ),
    ((Pool("branch3.0", "average"), Conv("branch3.1", 256, 1)), ()),
)

# Upstream's `features` from 3 to 18: blocks, how many of each, and the map they complete.
BLOCKS = (
    (MIXED_3A, 1, None),
    (MIXED_4A, 1, None),
    (MIXED_5A, 1, "stem"),
    (INCEPTION_A, 4, "inception_a"),
    (REDUCTION_A, 1, "reduction_a"),
    (INCEPTION_B, 7, "inception_b"),
    (REDUCTION_B, 1, "reduction_b"),
)


def inception_v4(
    input_shape: tuple[int | None, int | None, int] = (256, 128, 3),
    *,
    width_divisor: int = 1,
    name: str = "inception_v4",
) -> keras.Model:
    """Build InceptionV4 without its classifier, as named feature maps.

    Args:
        input_shape: `(height, width, 3)` in pixels, at least 75 each, since the strided convolutions do not pad; None
            for a size that varies.
        width_divisor: every convolution has `max(4, filters // width_divisor)` filters; 1 is the real network.
        name: of the model.

    Returns:
        A model from RGB 0-255 images `(N, height, width, 3)` to `{"stem", "inception_a", "reduction_a",
        "inception_b", "reduction_b", "inception_c"}`; at 256 x 128 from 29 x 13 x 384 to 6 x 2 x 1536. The mean over
        the places of the last is torchreid's 1536-d feature. Layers are called by upstream's module paths.

    Raises:
        ValueError: for an argument out of its range.

    Example:
        >>> kreid.models.build_backbone("inception_v4")(images)["inception_c"].shape
        (32, 6, 2, 1536)

    Reference:
        Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", arXiv
        1602.07261, Fig. 3-9; names as in torchreid's `torchreid/models/inceptionv4.py`.
    """
    shape = check_input_shape(name, input_shape, smallest=75)

    # === Functional Model ===
    images = keras.Input(shape, name="images")
    x = imagenet_preprocessing()(images)
    stem = (Conv("0", 32, 3, 2, "valid"), Conv("1", 32, 3, 1, "valid"), Conv("2", 64, 3))
    x = _chain(x, stem, "features", width_divisor)
    maps, index = {}, len(stem)
    for branches, count, stage in BLOCKS:
        for _ in range(count):
            block = f"features.{index}"
            ends = [_chain(x, branch, block, width_divisor) for branch in branches]
            x = keras.layers.Concatenate(name=block)(ends)
            index += 1
        if stage is not None:
            maps[stage] = x
    for block in (f"features.{index + offset}" for offset in range(3)):
        x = _inception_c(x, block, width_divisor)
    maps["inception_c"] = x
    return keras.Model(images, maps, name=name)


def _inception_c(x: Tensor, block: str, width_divisor: int) -> Tensor:
    ends = []
    for shared, forks in INCEPTION_C:
        end = _chain(x, shared, block, width_divisor)
        ends += [_chain(end, (fork,), block, width_divisor) for fork in forks] or [end]
    return keras.layers.Concatenate(name=block)(ends)


def _chain(x: Tensor, units: tuple[Conv | Pool, ...], block: str, width_divisor: int) -> Tensor:
    """Add `units` one after another, their names under `block`."""
    for unit in units:
        name = f"{block}.{unit.name}"
        if isinstance(unit, Conv):
            x = _conv(x, unit, narrow(unit.filters, width_divisor), name)
        elif unit.kind == "max":
            x = keras.layers.MaxPooling2D(3, strides=2, name=name)(x)
        else:  # "same" leaves the padding out of the mean, upstream's count_include_pad=False
            x = keras.layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)
    return x


def _conv(x: Tensor, unit: Conv, filters: int, name: str) -> Tensor:
    x = keras.layers.Conv2D(
        filters,
        unit.kernel,
        strides=unit.stride,
        padding=unit.padding,
        use_bias=False,
        kernel_initializer=he_normal(),
        name=f"{name}.conv",
    )(x)
    x = keras.layers.BatchNormalization(**BATCH_NORM, name=f"{name}.bn")(x)
    return keras.layers.ReLU(name=name)(x)
