"""Files of Transformers' weights: which fit, and what is said of one that is another variant's."""

import fill
import numpy as np
import pytest
from paths import GOLDEN

from kreid.config.loading import check
from kreid.models import build_backbone, vit_origins
from kreid.models.embedders import build_model
from kreid.models.files import fitting, load
from kreid.models.vit_origins import ORIGINS, SIZES, Size


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Some of the table as wide and deep as the recordings, whose 64 channels are one head here."""
    for name in ("s14", "b16", "b32"):
        monkeypatch.setitem(vit_origins.SIZES, name, Size(heads=1, depth=3, patch=int(name[1:])))
        monkeypatch.setitem(vit_origins.PROJECTIONS, name, 48)


@pytest.fixture
def recorded(tmp_path):
    def write(name, prefix="", without=(), extra=()):
        tensors = fill.build(fill.load(GOLDEN / f"vit_{name}.npz"))
        tensors = {prefix + key: value for key, value in tensors.items() if key not in without}
        tensors |= {prefix + key: np.ones(64, "float32") for key in extra}
        np.savez(tmp_path / "x.npz", **tensors)
        return tmp_path / "x.npz"

    return write


def test_a_patch_of_another_size_names_the_variant_that_fits(recorded):
    appearance = {"backbone": "clip_vit_b32", "weights": str(recorded("clip_narrow"))}
    model = {"embedder": "one_stream", "image_size": [64, 64], "appearance": appearance}
    with pytest.raises(
        ValueError, match=r"^model\.appearance\.weights: .*conv1\.weight: expected .* 32, 32.*; it fits clip_vit_b16$"
    ):
        build_model(check({"model": model}).model)
    appearance["backbone"] = "clip_vit_b16"
    assert build_model(check({"model": model}).model).output["embedding"].shape == (None, 64)


@pytest.mark.parametrize(
    ("given", "registers", "message"),
    [
        ("dinov2_reg_narrow", 0, r"it has registers, the network none; set registers: 4$"),
        ("dinov2_narrow", 4, r"register_tokens.*; it fits dinov2_vit_s14 with registers: 0$"),
        ("timm_narrow_256x128", 0, r"; it fits vit_b16 and transreid_vit_b16$"),
    ],
)
def test_registers_are_not_left_out_in_silence(recorded, given, registers, message):
    with pytest.raises(ValueError, match=message):
        load(build_backbone("dinov2_vit_s14", (28, 14, 3), registers=registers), recorded(given))


@pytest.mark.parametrize(
    "name", ["blocks.2.ls1.gamma", "blocks.0.attn.q_norm.weight", "blocks.1.gamma_1", "norm_pre.weight", "dist_token"]
)
def test_what_a_block_has_no_place_for_is_not_left_out_in_silence(recorded, name):
    path = recorded("timm_narrow_256x128", "module.", extra=[name])
    with pytest.raises(ValueError, match=rf"x\.npz: vit_b16 has no place for module\.{name}, and would compute"):
        load(build_backbone("vit_b16"), path)


TIMM = {  # its names for what other files have, and what the message calls them
    "clip_narrow": (
        {"class_embedding": "cls_token", "positional_embedding": "pos_embed", "conv1.": "patch_embed.proj.",
         "ln_pre": "norm_pre", "transformer.resblocks": "blocks", "ln_1": "norm1", "ln_2": "norm2", "ln_post": "norm"},
        "a CLIP by timm's names; take OpenAI's or OpenCLIP's own file",
    ),
    "dinov2_reg_narrow": ({"register_tokens": "reg_token"}, "with registers by timm's names, .* take Meta's own file"),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMM)
@pytest.mark.parametrize("backbone", ["clip_vit_b16", "dinov2_vit_s14", "vit_b16"])
def test_transformers_by_timms_names_are_called_so(tmp_path, name, backbone):
    names, said = TIMM[name]
    tensors = fill.build(fill.load(GOLDEN / f"vit_{name}.npz"))
    for old, new in names.items():
        tensors = {key.replace(old, new): value for key, value in tensors.items()}
    np.savez(tmp_path / "timm.npz", **tensors)
    with pytest.raises(ValueError, match=rf"timm\.npz.*; it is .*{said}") as refused:
        load(build_backbone(backbone), tmp_path / "timm.npz")
    assert "it fits" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_deeper_blocks_and_heads_are_left_out(recorded):
    load(build_backbone("vit_b16", depth=2), recorded("timm_narrow_256x128", extra=["head_dist.weight"]))


def test_a_file_that_was_cut_says_what_is_missing(recorded):
    with pytest.raises(ValueError, match=r"1 of 42 tensors are missing \(norm\.bias\).*nothing was loaded"):
        load(build_backbone("vit_b16"), recorded("timm_narrow_256x128", without=("norm.bias",)))


def described(origin, heads, depth, patch, prefix="", **more):
    """Tensors of a real size by name, of which every value is the same one."""
    width = 64 * heads
    names = {f"{origin.patches}.weight": (width, 3, patch, patch), origin.class_token: (width,), **more}
    names |= {f"{origin.block.format(number)}.{origin.norms[0]}.weight": (width,) for number in range(depth)}
    return {prefix + name: np.broadcast_to(np.float32(0), shape) for name, shape in names.items()}


def test_every_published_size_is_known_by_its_tensors(monkeypatch):
    monkeypatch.undo()
    for name in ("b32", "b16", "l14"):
        assert fitting(described(ORIGINS["clip"], *SIZES[name], "module.visual.")) == f"clip_vit_{name}"
    for name in ("s16", "b16"):
        size = SIZES[name]
        assert fitting(described(ORIGINS["timm"], *size)) == f"vit_{name} and transreid_vit_{name}"
        cameras = described(ORIGINS["transreid"], *size, sie_embed=(6, 1, 64 * size.heads))
        assert fitting(cameras) == f"transreid_vit_{name} with cameras: 6"
    for name in ("s14", "b14", "l14"):
        scales = {"blocks.0.ls1.gamma": (64,), "register_tokens": (1, 4, 64)}
        four = described(ORIGINS["dinov2_registers"], *SIZES[name], "teacher.", **scales)
        assert fitting(four) == f"dinov2_vit_{name} with registers: 4"
    assert fitting(described(ORIGINS["clip"], *SIZES["s16"])) is None
    assert fitting(described(ORIGINS["timm"], 3, 12, 16)) is None  # ViT-Ti
    assert fitting(described(ORIGINS["timm"], 6, 11, 16)) is None
    assert fitting({"conv1.weight": np.zeros((64, 3, 7, 7))}) is None
