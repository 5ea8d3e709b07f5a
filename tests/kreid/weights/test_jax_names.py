"""Files of JAX's Vision Transformers: the tensors of timm's recorded network, laid out as JAX has them."""

import fill
import numpy as np
import pytest
from paths import GOLDEN

from kreid.weights.jax_names import as_timm

HEADS = 2
NUMBERED = {  # of the first files, and of big_vision's
    "in a row": ("LayerNorm_2", "MultiHeadDotProductAttention_1", "MlpBlock_3"),
    "by kind": ("LayerNorm_1", "MultiHeadDotProductAttention_0", "MlpBlock_0"),
}


@pytest.fixture(scope="module")
def timm():
    return fill.build(fill.load(GOLDEN / "vit_timm_narrow_256x128.npz"))


def as_jax(timm, numbers, prefix=""):
    norm, attention, mlp = NUMBERED[numbers]
    found = {"cls": timm["cls_token"], "Transformer/posembed_input/pos_embedding": timm["pos_embed"]}
    found["embedding/kernel"] = timm["patch_embed.proj.weight"].transpose(2, 3, 1, 0)
    found["embedding/bias"] = timm["patch_embed.proj.bias"]
    found |= {"head/kernel": timm["head.weight"].T, "head/bias": timm["head.bias"]}
    found |= {f"Transformer/encoder_norm/{k}": timm[f"norm.{t}"] for k, t in (("scale", "weight"), ("bias", "bias"))}
    for block in range(3):
        theirs, ours = f"Transformer/encoderblock_{block}", f"blocks.{block}"
        for module, name in (("LayerNorm_0", "norm1"), (norm, "norm2")):
            found[f"{theirs}/{module}/scale"] = timm[f"{ours}.{name}.weight"]
            found[f"{theirs}/{module}/bias"] = timm[f"{ours}.{name}.bias"]
        for module, name in ((f"{mlp}/Dense_0", "mlp.fc1"), (f"{mlp}/Dense_1", "mlp.fc2")):
            found[f"{theirs}/{module}/kernel"] = timm[f"{ours}.{name}.weight"].T
            found[f"{theirs}/{module}/bias"] = timm[f"{ours}.{name}.bias"]
        kernels = np.split(timm[f"{ours}.attn.qkv.weight"], 3)
        biases = np.split(timm[f"{ours}.attn.qkv.bias"], 3)
        for part, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True):
            found[f"{theirs}/{attention}/{part}/kernel"] = kernel.T.reshape(64, HEADS, -1)
            found[f"{theirs}/{attention}/{part}/bias"] = bias.reshape(HEADS, -1)
        found[f"{theirs}/{attention}/out/kernel"] = timm[f"{ours}.attn.proj.weight"].T.reshape(HEADS, -1, 64)
        found[f"{theirs}/{attention}/out/bias"] = timm[f"{ours}.attn.proj.bias"]
    return {prefix + name: tensor for name, tensor in found.items()}


@pytest.mark.parametrize("prefix", ["", "params/"])
@pytest.mark.parametrize("numbers", NUMBERED)
def test_every_tensor_gets_timms_name_and_layout(timm, numbers, prefix):
    found = as_timm(as_jax(timm, numbers, prefix))
    assert set(found) == set(timm)
    for name, tensor in timm.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


def test_tensors_of_others_stay_as_they_are(timm):
    assert as_timm(timm) is timm


def test_what_is_not_known_keeps_its_name(timm):
    given = as_jax(timm, "in a row") | {"pre_logits/kernel": np.zeros((2, 2)), "extra": np.zeros(1)}
    del given["Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/bias"]
    found = as_timm(given)
    assert {"pre_logits/kernel", "extra"} <= set(found)
    assert "blocks.1.attn.qkv.bias" not in found  # hence reported as missing
