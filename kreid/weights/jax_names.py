"""Vision Transformers of JAX: their names and layouts as timm's, which the networks here bear."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

CERTAIN = "Transformer/encoder_norm/scale"  # in every such file, behind `params/` perhaps
# What stands behind `Transformer/encoderblock_N/` -> timm's name behind `blocks.N.`. Modules of a block are numbered in
# a row in the first files (`LayerNorm_2`, `MlpBlock_3`), each kind by itself in big_vision's (`LayerNorm_1`).
_IN_BLOCK = (
    (r"LayerNorm_0", "norm1"),
    (r"LayerNorm_[12]", "norm2"),
    (r"MultiHeadDotProductAttention_[01]/out", "attn.proj"),
    (r"MlpBlock_[03]/Dense_0", "mlp.fc1"),
    (r"MlpBlock_[03]/Dense_1", "mlp.fc2"),
)
_OUTSIDE = {
    "cls": "cls_token",
    "Transformer/posembed_input/pos_embedding": "pos_embed",
    "pos_embedding": "pos_embed",
    "Transformer/encoder_norm": "norm",
    "embedding": "patch_embed.proj",
    "head": "head",
}
_KINDS = {"scale": "weight", "kernel": "weight", "bias": "bias"}


def as_timm(tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return a JAX Vision Transformer's tensors by timm's names and in PyTorch's layouts, anything else as it is.

    Args:
        tensors: by name, as `kreid.weights.read` returns them.

    Example:
        >>> as_timm(read("ViT-B_16.npz"))["blocks.0.attn.qkv.weight"].shape
        (2304, 768)

    Reference:
        `vit_jax/models_vit.py` of google-research/vision_transformer, and big_vision's `models/vit.py`.
    """
    if not any(name.removeprefix("params/") == CERTAIN for name in tensors):
        return tensors
    plain = {name.removeprefix("params/"): np.asarray(tensor) for name, tensor in tensors.items()}
    return {**dict(_renamed(plain)), **_joined(plain)}


def _renamed(tensors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """All but queries, keys and values; a name that is not known stays."""
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition("/")
        block = re.fullmatch(r"Transformer/encoderblock_(\d+)/(.+)", module)
        if name in _OUTSIDE:
            yield _OUTSIDE[name], tensor
        elif block is None:
            yield (
                (f"{_OUTSIDE[module]}.{_KINDS[kind]}" if module in _OUTSIDE and kind in _KINDS else name),
                _torch(tensor),
            )
        elif not re.search(r"/(query|key|value)$", module):
            own = next((ours for theirs, ours in _IN_BLOCK if re.fullmatch(theirs, block[2])), None)
            known = own is not None and kind in _KINDS
            yield (f"blocks.{block[1]}.{own}.{_KINDS[kind]}" if known else name), _torch(tensor)


def _torch(tensor: np.ndarray) -> np.ndarray:
    """A tensor in PyTorch's layout: HWIO -> OIHW, (heads, width, D) -> (D, heads * width), IO -> OI."""
    if tensor.ndim == 4:
        return tensor.transpose(3, 2, 0, 1)
    return tensor.reshape(-1, tensor.shape[-1]).T if tensor.ndim > 1 else tensor


def _joined(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Queries, keys and values of a block as one: kernels (D, heads, width) -> (3 D, D)."""
    found = {}
    for name, queries in tensors.items():
        block = re.fullmatch(r"Transformer/encoderblock_(\d+)/(.+)/query/(kernel|bias)", name)
        three = [tensors.get(name.replace("/query/", f"/{part}/")) for part in ("query", "key", "value")]
        if block is None or any(part is None or part.shape != queries.shape for part in three):
            continue
        if block[3] == "bias":
            joined = np.concatenate([part.ravel() for part in three if part is not None])
        else:
            joined = np.concatenate([part.reshape(len(part), -1).T for part in three if part is not None])
        found[f"blocks.{block[1]}.attn.qkv.{_KINDS[block[3]]}"] = joined
    return found
