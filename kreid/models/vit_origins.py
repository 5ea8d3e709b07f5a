"""Tables of the Vision Transformers: how one origin's network differs from another's, and how large each size is."""

import re
from typing import NamedTuple

from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD

HEAD_WIDTH = 64  # of every size
CLIP_MEAN = (122.7709383, 116.7460125, 104.09373615)  # 255 * (0.48145466, 0.4578275, 0.40821073), RGB
CLIP_STD = (68.5005327, 66.6321945, 70.32316335)  # 255 * (0.26862954, 0.26130258, 0.27577711), RGB


class Origin(NamedTuple):
    """How one origin's Vision Transformer differs from another's, and how its tensors are called."""

    patches: str = "patch_embed.proj"  # the convolution that makes tokens of patches
    class_token: str = "cls_token"
    positions: str = "pos_embed"
    first_norm: str | None = None  # before the blocks; CLIP's has one, and its patches no bias
    block: str = "blocks.{}"
    norms: tuple[str, str] = ("norm1", "norm2")
    attention: tuple[str, str] = ("attn.qkv", "attn.proj")
    dense: tuple[str, str] = ("mlp.fc1", "mlp.fc2")
    last_norm: str = "norm"
    activation: str = "gelu"
    epsilon: float = 1e-6
    scaled: bool = False  # LayerScale behind attention and dense layers
    resampling: str = "bicubic_antialias"  # of position embeddings
    square: bool = False  # position embeddings in files are of a square grid whatever size was trained on
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)


class Size(NamedTuple):
    """Heads, of `HEAD_WIDTH` channels each; blocks; pixels of a patch's side."""

    heads: int
    depth: int
    patch: int


_CLIP = Origin(
    patches="conv1",
    class_token="class_embedding",
    positions="positional_embedding",
    first_norm="ln_pre",
    block="transformer.resblocks.{}",
    norms=("ln_1", "ln_2"),
    attention=("attn.in_proj", "attn.out_proj"),
    dense=("mlp.c_fc", "mlp.c_proj"),
    last_norm="ln_post",
    activation="quick_gelu",
    epsilon=1e-5,
    mean=CLIP_MEAN,
    std=CLIP_STD,
)
ORIGINS = {
    "clip": _CLIP,
    "clip_gelu": _CLIP._replace(activation="gelu"),
    "dinov2": Origin(scaled=True, resampling="bicubic_offset", square=True, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "dinov2_registers": Origin(scaled=True, square=True, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "timm": Origin(),
    "deit": Origin(mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "transreid": Origin(resampling="bilinear"),
}
SIZES = {
    "s14": Size(6, 12, 14),
    "s16": Size(6, 12, 16),
    "b14": Size(12, 12, 14),
    "b16": Size(12, 12, 16),
    "b32": Size(12, 12, 32),
    "l14": Size(16, 24, 14),
}
PROJECTIONS = {"b32": 512, "b16": 512, "l14": 768}  # width of CLIP's `feature`

_BLOCKS = re.compile(
    "|".join(sorted({re.escape(origin.block).replace(r"\{\}", r"(\d+)") for origin in ORIGINS.values()}))
)


def block_number(layer: str) -> int | None:
    """The block, from 0, that a layer of a Vision Transformer belongs to by its name; None outside of blocks."""
    found = _BLOCKS.match(layer)
    return int(next(filter(None, found.groups()))) if found else None
