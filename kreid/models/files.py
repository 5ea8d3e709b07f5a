"""Files of weights into backbones, and what to do where one does not fit: it may be another variant's."""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from kreid import weights
from kreid.models.vit import CAMERAS, VITS
from kreid.models.vit_origins import HEAD_WIDTH, ORIGINS, SIZES, Origin
from kreid.weights.jax_names import as_timm

log = logging.getLogger("kreid")

REGISTERS = "register_tokens"
_BLOCK = re.compile(r"(transformer\.res)?blocks\.[0-9]+(?=\.)")
# What timm's other Transformers have before their blocks, and what a file with it is.
_FOREIGN = {
    "reg_token": "a Transformer with registers by timm's names, such as its DINOv2; take Meta's own file, such as "
    "dinov2_vits14_reg4_pretrain.pth",
    "norm_pre.weight": "a CLIP by timm's names; take OpenAI's or OpenCLIP's own file",
    "dist_token": "a distilled DeiT, which has a second token; take one that is not distilled",
}
FAMILIES = {"clip_vit": "clip", "dinov2_vit": "dinov2", "vit": "timm", "transreid_vit": "transreid"}  # and their origin


def load(backbone: keras.Model, path: str | Path) -> weights.Report:
    """Load a file of weights by upstream layer names.

    Args:
        backbone: from `build_backbone`.
        path: as for `kreid.weights.read`.

    Returns:
        As `kreid.weights.load`.

    Raises:
        ValueError: as `kreid.weights.load`, naming the backbone that the file fits if it is a known one; also for
            tensors of a Transformer's blocks and tokens that the backbone has no place for, such as DINOv2's registers,
            since it would compute something else without them.

    Example:
        >>> load(build_backbone("vit_s16"), "vit_small_patch16_224.safetensors")
    """
    try:
        report = weights.load(backbone, path, names=_names(backbone, path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}{remedy(backbone, path)}") from None
    if any(name.endswith(REGISTERS) for name in report.unused):
        raise ValueError(f"{path}: it has registers, the network none; set registers: 4")
    for name in report.unused:
        block = _BLOCK.search(name)
        if _foreign([name]) or (block and any(layer.name == block[0] for layer in backbone.layers)):
            other = _foreign(report.unused) or "another kind of Transformer's file"
            raise ValueError(
                f"{path}: {backbone.name} has no place for {name}, and would compute something else without it; it is "
                f"{other}"
            )
    return report


def _names(backbone: keras.Model, path: str | Path) -> dict[str, str | None] | None:
    """Vectors of cameras are learned for the set at hand: a file from elsewhere has none, and needs none."""
    learned = any(layer.name == CAMERAS for layer in backbone.layers)
    if learned and not any(CAMERAS in name for name in weights.read(path)):
        log.warning("%s: no vectors of cameras (%s), which start from random values", path, CAMERAS)
        return {CAMERAS: None}
    return None


def remedy(backbone: keras.Model, path: str | Path) -> str:
    """Return what to do about a file that does not fit, to stand behind the complaint, or nothing.

    Args:
        backbone: that was given the file.
        path: of the file.
    """
    try:
        tensors = weights.read(path)
    except (OSError, ValueError):
        return ""
    if any(layer.name == "conv1_conv" for layer in backbone.layers) and "layer1.0.conv1.weight" in tensors:
        return "; it is torchvision's ResNet50: set model.appearance.variant: torchvision"
    if foreign := _foreign(tensors):
        return f"; it is {foreign}"
    found = fitting(tensors)
    return f"; it fits {found}" if found else ""


def _foreign(names: Iterable[str]) -> str | None:
    """What Transformer that no backbone here is has tensors of such names; None where none tells."""
    return next((what for name in names for end, what in _FOREIGN.items() if name.endswith(end)), None)


def fitting(tensors: Mapping[str, np.ndarray]) -> str | None:
    """Return which Vision Transformer some tensors are of, with the option that they ask for, or None.

    Args:
        tensors: by name, whatever stands before the names, as `kreid.weights.read` returns them.

    Example:
        >>> fitting(kreid.weights.read("dinov2_vits14_reg4_pretrain.pth"))
        'dinov2_vit_s14 with registers: 4'
    """
    tensors = as_timm(tensors)
    if _foreign(tensors):
        return None
    families, option = _families(tensors)
    names = [f"{family}_{size}" for family in families for size in _sizes(tensors, ORIGINS[FAMILIES[family]])]
    known = [name for name in names if name in VITS]
    return " and ".join(known) + option if known else None


def _families(tensors: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], str]:
    """Which kinds of Transformer have such tensors, and the option that goes with them."""

    def has(end: str) -> bool:
        return any(name.endswith(end) for name in tensors)

    if has(ORIGINS["clip"].class_token):
        return ("clip_vit",), ""
    if has("blocks.0.ls1.gamma"):
        return ("dinov2_vit",), f" with registers: {4 if has(REGISTERS) else 0}"
    cameras = [tensor.shape[0] for name, tensor in tensors.items() if name.endswith(CAMERAS)]
    return (("transreid_vit",), f" with cameras: {cameras[0]}") if cameras else (("vit", "transreid_vit"), "")


def _sizes(tensors: Mapping[str, np.ndarray], origin: Origin) -> list[str]:
    """The keys of `SIZES` that tensors are of, if they bear the origin's names."""
    first = f"{origin.patches}.weight"
    for prefix in (name.removesuffix(first) for name in tensors if name.endswith(first)):
        shape = tensors[prefix + first].shape
        norm = f"{prefix}{origin.block}.{origin.norms[0]}.weight"
        depth = sum(norm.format(number) in tensors for number in range(99))
        if prefix + origin.class_token in tensors and len(shape) == 4:
            found = (shape[0], depth, *shape[2:])
            return [
                name
                for name, size in SIZES.items()
                if (size.heads * HEAD_WIDTH, size.depth, size.patch, size.patch) == found
            ]
    return []
