"""Vision Transformers of four origins: CLIP's image tower, DINOv2, timm's (and DeiT's) and TransReID's.

One network: patches become tokens, a class token leads them, blocks of attention and two dense layers follow. The
origins differ by a row of `kreid.models.vit_origins.ORIGINS`.
"""

from functools import partial

import keras
from keras import layers

from kreid.errors import ConfigError
from kreid.layers.attention import SelfAttention, quick_gelu
from kreid.layers.cameras import CameraEmbedding
from kreid.layers.drop_path import DropPath, DropPathDraws
from kreid.layers.preprocessing import ImagePreprocessing
from kreid.layers.tokens import LayerScale, LearnedTokens, PositionEmbedding
from kreid.models.blocks import check_input_shape, narrow
from kreid.models.vit_origins import HEAD_WIDTH, ORIGINS, PROJECTIONS, SIZES, Origin, Size
from kreid.types import Tensor

CAMERAS = "sie_embed"  # TransReID's name of the cameras' vectors
CAMERA_SCALE = 3.0  # its lambda of them
Images = tuple[int, int, int]


def clip_vit(
    size: str,
    input_shape: Images | None = None,
    *,
    variant: str = "quick_gelu",
    width_divisor: int = 1,
    depth: int | None = None,
    drop_path: float = 0.0,
) -> keras.Model:
    """Build the image tower of CLIP: `vit` with a norm before the blocks and the projection `feature`.

    Args:
        size: of the table: `b32`, `b16` or `l14`.
        input_shape: as of `vit`.
        variant: how the file was trained, which its tensors do not tell: `"quick_gelu"`, OpenAI's and what open_clip
            calls `-quickgelu`, or `"gelu"`, its others, such as LAION-2B's and DataComp's.
        width_divisor: as of `vit`.
        depth: as of `vit`.
        drop_path: as of `vit`.

    Returns:
        The model of `vit`, its outputs and `"feature"`: the class token, projected to the space that CLIP shares with
        text, 512 numbers (768 of `l14`).

    Raises:
        ConfigError: as `vit`, and for an unknown variant.

    Example:
        >>> kreid.models.build_backbone("clip_vit_b16")(images)["feature"].shape
        (32, 512)

    Reference:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020;
        names as in OpenAI's `clip/model.py`, which open_clip's files have too.
    """
    if variant not in ("quick_gelu", "gelu"):
        raise ConfigError(f"variant: expected quick_gelu or gelu, received {variant!r}")
    return vit(
        input_shape,
        ORIGINS["clip" if variant == "quick_gelu" else "clip_gelu"],
        SIZES[size],
        projection=narrow(PROJECTIONS[size], width_divisor),
        width_divisor=width_divisor,
        depth=depth,
        drop_path=drop_path,
        name=f"clip_vit_{size}",
    )


def dinov2_vit(
    size: str,
    input_shape: Images | None = None,
    *,
    registers: int = 0,
    width_divisor: int = 1,
    depth: int | None = None,
    drop_path: float = 0.0,
) -> keras.Model:
    """Build DINOv2: `vit` with LayerScale and, in its later form, registers beside the class token.

    Args:
        size: of the table: `s14`, `b14` or `l14`.
        input_shape: as of `vit`.
        registers: 0, or 4 for the files named `_reg4`.
        width_divisor: as of `vit`.
        depth: as of `vit`.
        drop_path: as of `vit`.

    Returns:
        The model of `vit`.

    Raises:
        ConfigError: as `vit`, and for another number of registers.

    Example:
        >>> kreid.models.build_backbone("dinov2_vit_s14", (252, 126, 3), registers=4)(images)["last"].shape
        (32, 18, 9, 384)

    Reference:
        Oquab et al., "DINOv2", arXiv 2304.07193; Darcet et al., "Vision Transformers Need Registers", arXiv
        2309.16588; names as in `dinov2/models/vision_transformer.py`, position embeddings as its hub resamples them.
    """
    if registers not in (0, 4):
        raise ConfigError(f"registers: expected 0 or 4, received {registers!r}")
    origin = ORIGINS["dinov2_registers" if registers else "dinov2"]
    return vit(
        input_shape,
        origin,
        SIZES[size],
        registers=registers,
        width_divisor=width_divisor,
        depth=depth,
        drop_path=drop_path,
        name=f"dinov2_vit_{size}",
    )


def timm_vit(
    size: str,
    input_shape: Images | None = None,
    *,
    variant: str = "augreg",
    width_divisor: int = 1,
    depth: int | None = None,
    drop_path: float = 0.0,
) -> keras.Model:
    """Build timm's Vision Transformer, which DeiT's is too but for the input it was trained on.

    Args:
        size: of the table: `s16` or `b16`.
        input_shape: as of `vit`.
        variant: `"augreg"`, whose files want grey levels from -1 to 1, or `"deit"`, ImageNet's mean and deviation.
        width_divisor: as of `vit`.
        depth: as of `vit`.
        drop_path: as of `vit`.

    Returns:
        The model of `vit`.

    Raises:
        ConfigError: as `vit`, and for an unknown variant.

    Example:
        >>> kreid.models.build_backbone("vit_s16", variant="deit")(images)["class_token"].shape
        (32, 384)

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", arXiv 2010.11929; Touvron et al., "Training data-efficient
        image transformers", arXiv 2012.12877; names as in timm's `vision_transformer.py`.
    """
    if variant not in ("augreg", "deit"):
        raise ConfigError(f"variant: expected augreg or deit, received {variant!r}")
    origin = ORIGINS["timm" if variant == "augreg" else "deit"]
    return vit(
        input_shape,
        origin,
        SIZES[size],
        width_divisor=width_divisor,
        depth=depth,
        drop_path=drop_path,
        name=f"vit_{size}",
    )


def transreid_vit(
    size: str,
    input_shape: Images | None = None,
    *,
    stride: int = 16,
    cameras: int = 0,
    camera_names: tuple[str, ...] = (),
    width_divisor: int = 1,
    depth: int | None = None,
    drop_path: float = 0.0,
) -> keras.Model:
    """Build TransReID's Vision Transformer: `vit` with overlapping patches and a learned vector for each camera.

    Args:
        size: of the table: `s16` or `b16`.
        input_shape: as of `vit`; with a stride of 12, whatever is left at the right and below is not seen.
        stride: pixels from patch to patch: 16, or 12, so that they overlap.
        cameras: of the `sie_embed` of a file, 0 for none. The model then takes `[images, camera]`, the second `(N,)`
            integers.
        camera_names: as of `vit`.
        width_divisor: as of `vit`.
        depth: as of `vit`.
        drop_path: as of `vit`.

    Returns:
        The model of `vit`.

    Raises:
        ConfigError: as `vit`, and for another stride or number of cameras.

    Example:
        >>> kreid.models.build_backbone("transreid_vit_b16", stride=12)(images)["last"].shape
        (32, 21, 10, 768)

    Reference:
        He et al., "TransReID", arXiv 2102.04378, sections 3.1 and 3.3; names as in `model/backbones/vit_pytorch.py`.
    """
    if stride not in (12, 16):
        raise ConfigError(f"stride: expected 12 or 16, received {stride!r}")
    return vit(
        input_shape,
        ORIGINS["transreid"],
        SIZES[size],
        stride=stride,
        cameras=cameras,
        camera_names=camera_names,
        width_divisor=width_divisor,
        depth=depth,
        drop_path=drop_path,
        name=f"transreid_vit_{size}",
    )


def vit(
    input_shape: Images | None,
    origin: Origin,
    size: Size,
    *,
    stride: int | None = None,
    registers: int = 0,
    cameras: int = 0,
    camera_names: tuple[str, ...] = (),
    projection: int | None = None,
    width_divisor: int = 1,
    depth: int | None = None,
    drop_path: float = 0.0,
    name: str = "vit",
) -> keras.Model:
    """Build a Vision Transformer as named feature maps; layers are called as the origin's tensors are.

    Args:
        input_shape: `(height, width, 3)` in pixels, multiples of the patch unless patches overlap; None for those next
            to 256 x 128. It fixes the grid, which files' position embeddings are resampled to.
        origin: of `ORIGINS`.
        size: of `SIZES`.
        stride: pixels from patch to patch; None for the patch's side.
        registers: learned tokens behind the class token.
        cameras: how many cameras have a learned vector; the model's second input is then the camera of each image.
        camera_names: theirs, see `CameraEmbedding`.
        projection: width of the output `feature`; None for none.
        width_divisor: heads have `max(4, 64 // width_divisor)` channels each; 1 is the real network.
        depth: the first so many blocks; None for all.
        drop_path: probability, while it learns, that an image passes by what the last block adds; it rises evenly from
            0 at the first block.
        name: of the model.

    Returns:
        A model from RGB 0-255 images `(N, height, width, 3)` to `{"block_1": (N, h, w, D), ..., "last", "class_token":
        (N, D)}`: the places' tokens behind each block, those behind the last norm, and the class token behind it.

    Raises:
        ConfigError: for an argument out of its range.

    Example:
        >>> tiny = vit((64, 32, 3), ORIGINS["timm"], Size(heads=2, depth=3, patch=16))
    """
    stride = size.patch if stride is None else stride
    if input_shape is None:
        input_shape = (round(256 / size.patch) * size.patch, round(128 / size.patch) * size.patch, 3)
    grid = _grid(name, check_input_shape(name, input_shape, smallest=size.patch), size.patch, stride)
    width = size.heads * narrow(HEAD_WIDTH, width_divisor)
    depth = _checked_depth(depth, size.depth)
    if not isinstance(cameras, int) or cameras < 0:
        raise ConfigError(f"cameras: expected 0 or a positive integer, received {cameras!r}")
    special = 1 + registers

    # === Functional Model ===
    inputs = [keras.Input(input_shape, name="images")]
    x = ImagePreprocessing(mean=origin.mean, std=origin.std, name="preprocessing")(inputs[0])
    x = _patches(x, origin, width, size.patch, stride)
    x = PositionEmbedding(grid, origin.resampling, origin.square, name=origin.positions)(x)
    if registers:
        x = LearnedTokens(registers, position=1, name="register_tokens")(x)
    if cameras:
        inputs.append(keras.Input((), dtype="int32", name="camera"))
        x = layers.Add(name="sie")([x, _camera(inputs[1], CameraEmbedding(cameras, width, camera_names, name=CAMERAS))])
    if origin.first_norm:
        x = _norm(x, origin.first_norm, origin)
    kept = _drop_path(x, drop_path, depth)
    maps = {}
    for number in range(depth):
        x = _block(x, size.heads, number, origin, kept)
        maps[f"block_{number + 1}"] = _map(x, grid, special, f"block_{number + 1}")
    x = _norm(x, origin.last_norm, origin)
    maps["last"] = _map(x, grid, special, "last")
    token = layers.Cropping1D((0, x.shape[1] - 1), name="class_token.crop")(x)
    maps["class_token"] = layers.Flatten(name="class_token")(token)
    if projection:
        maps["feature"] = layers.Dense(projection, use_bias=False, name="proj")(maps["class_token"])
    return keras.Model(inputs if cameras else inputs[0], maps, name=name)


def _grid(name: str, shape: tuple[int | None, ...], patch: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the patches."""
    height, width, _ = shape
    if height is None or width is None:
        raise ConfigError(f"{name}: input_shape: expected a height and a width, which fix its grid, received {shape}")
    if stride == patch and (height % patch or width % patch):
        raise ConfigError(
            f"{name}: input_shape: expected multiples of {patch} pixels, its patch, received {height} x {width} "
            "(model.image_size)"
        )
    return (height - patch) // stride + 1, (width - patch) // stride + 1


def _checked_depth(depth: int | None, most: int) -> int:
    if depth is None:
        return most
    if not isinstance(depth, int) or not 1 <= depth <= most:
        raise ConfigError(f"depth: expected 1 to {most} blocks, received {depth!r}")
    return depth


def _patches(x: Tensor, origin: Origin, width: int, patch: int, stride: int) -> Tensor:
    """Make tokens of patches, a class token before them."""
    convolution = layers.Conv2D(
        width,
        patch,
        strides=stride,
        use_bias=origin.first_norm is None,
        kernel_initializer=_glorot(),
        name=origin.patches,
    )
    x = convolution(x)
    x = layers.Reshape((x.shape[1] * x.shape[2], width), name=f"{origin.patches}.tokens")(x)
    return LearnedTokens(name=origin.class_token)(x)


def _camera(camera: Tensor, embedding: CameraEmbedding) -> Tensor:
    """The learned vector of each image's camera, for all its tokens: (N,) -> (N, 1, D)."""
    x = layers.Reshape((1, embedding.output_dim), name="sie.row")(embedding(camera))
    return layers.Rescaling(CAMERA_SCALE, name="sie.scale")(x)


def _drop_path(x: Tensor, most: float, depth: int) -> Tensor | None:
    """What of each image's shortcuts stays, two a block: (N, 2 * depth); None where all does always."""
    if not 0 <= most < 1:
        raise ConfigError(f"drop_path: expected a probability below 1, received {most!r}")
    rates = [most * number / max(depth - 1, 1) for number in range(depth) for _ in range(2)]
    return DropPathDraws(rates, name="drop_path")(x) if most else None


def _block(x: Tensor, heads: int, number: int, origin: Origin, kept: Tensor | None) -> Tensor:
    """Add attention and two dense layers, each behind a norm and beside a shortcut."""
    width, name = x.shape[-1], origin.block.format(number)
    qkv, out = (f"{name}.{part}" for part in origin.attention)
    first, second = (f"{name}.{part}" for part in origin.dense)
    y = _norm(x, f"{name}.{origin.norms[0]}", origin)
    y = layers.Dense(3 * width, kernel_initializer=_glorot(), name=qkv)(y)
    y = SelfAttention(heads, name=f"{name}.attn")(y)
    y = layers.Dense(width, kernel_initializer=_glorot(), name=out)(y)
    if origin.scaled:
        y = LayerScale(name=f"{name}.ls1")(y)
    if kept is not None:
        y = DropPath(2 * number, name=f"{name}.drop_path1")([y, kept])
    x = layers.Add(name=f"{name}.attended")([x, y])
    y = _norm(x, f"{name}.{origin.norms[1]}", origin)
    y = layers.Dense(4 * width, kernel_initializer=_glorot(), name=first)(y)
    y = layers.Activation(quick_gelu if origin.activation == "quick_gelu" else "gelu", name=f"{name}.mlp.act")(y)
    y = layers.Dense(width, kernel_initializer=_glorot(), name=second)(y)
    if origin.scaled:
        y = LayerScale(name=f"{name}.ls2")(y)
    if kept is not None:
        y = DropPath(2 * number + 1, name=f"{name}.drop_path2")([y, kept])
    return layers.Add(name=name)([x, y])


def _map(x: Tensor, grid: tuple[int, int], special: int, name: str) -> Tensor:
    """The places' tokens as a map (N, h, w, D)."""
    x = layers.Cropping1D((special, 0), name=f"{name}.crop")(x)
    return layers.Reshape((*grid, x.shape[-1]), name=name)(x)


def _norm(x: Tensor, name: str, origin: Origin) -> Tensor:
    return layers.LayerNormalization(epsilon=origin.epsilon, name=name)(x)


def _glorot() -> keras.initializers.Initializer:
    """One for each layer: an initializer's seed is fixed when it is made."""
    return keras.initializers.GlorotNormal()


VITS = {
    **{f"clip_vit_{size}": partial(clip_vit, size) for size in ("b32", "b16", "l14")},
    **{f"dinov2_vit_{size}": partial(dinov2_vit, size) for size in ("s14", "b14", "l14")},
    **{f"vit_{size}": partial(timm_vit, size) for size in ("s16", "b16")},
    **{f"transreid_vit_{size}": partial(transreid_vit, size) for size in ("s16", "b16")},
}
