"""Vision Transformers against recorded outputs of CLIP's, DINOv2's, timm's and TransReID's own code."""

import math

import fill
import keras
import numpy as np
import pytest
from checks import infer
from paths import GOLDEN
from torchreid import difference
from unfilled import unfilled

from kreid import weights
from kreid.models import BACKBONES, build_backbone
from kreid.models.vit import vit
from kreid.models.vit_origins import ORIGINS, SIZES, Size

# Recording -> origin, and what it was recorded with; all are narrow: two heads of 32 channels, three blocks.
RECORDED = {
    "clip_narrow": ("clip", {"projection": 48}),
    "clip_narrow_256x128": ("clip", {"projection": 48}),
    "dinov2_narrow": ("dinov2", {}),
    "dinov2_reg_narrow": ("dinov2_registers", {"registers": 4}),
    "timm_narrow_256x128": ("timm", {}),
    "transreid_narrow_stride12": ("transreid", {"stride": 12}),
    "transreid_narrow_cameras": ("transreid", {"cameras": 2}),
}
LEFT = ("mask_token", "head.weight", "head.bias")


def read(name):
    golden = fill.load(GOLDEN / f"vit_{name}.npz")
    return golden, fill.build(golden)


def build(name, golden):
    origin, options = RECORDED[name]
    size = Size(heads=2, depth=3, patch=golden["meta"]["patch"])
    return vit(golden["images"].shape[1:], ORIGINS[origin], size, width_divisor=2, **options)


def run(model, golden):
    cameras = golden["meta"].get("cameras")
    return infer(model, golden["images"].astype("float32"), *([] if cameras is None else [np.int32(cameras)]))


@pytest.mark.backend
@pytest.mark.parametrize("name", RECORDED)
def test_equals_its_origin(name):
    golden, tensors = read(name)
    model = build(name, golden)
    report = weights.assign(model, tensors)
    assert set(report.unused) <= set(LEFT)
    actual = run(model, golden)
    height, width = golden["meta"]["grid"]
    for number in (1, 2, 3):
        tokens = actual[f"block_{number}"]
        assert tokens.shape[1:3] == (height, width)
        recorded = golden[f"inter/block_{number}/mean"]
        assert difference(tokens.mean(axis=(1, 2)), recorded) < 1e-4, number
    expected = {"class_token": golden["out/class_token"]}
    if "out/feature" in golden:
        expected["feature"] = golden["out/feature"]
        expected["block_3"] = golden["out/tokens_before_ln_post"][:, 1:]
    else:
        expected["last"] = golden["out/tokens"]
    for output, value in expected.items():
        assert difference(actual[output].reshape(value.shape), value) < 1e-4, output


def test_a_whole_clip_in_half_precision_behind_wrappers_gives_its_image_tower():
    golden, tensors = read("clip_narrow_256x128")
    text = {name.removeprefix("visual."): value for name, value in tensors.items() if "resblocks" in name}
    text |= {"positional_embedding": np.ones((77, 64)), "token_embedding.weight": np.ones((99, 64))}
    given = {f"module.{name}": np.float16(value) for name, value in (text | tensors).items()}
    model = build("clip_narrow_256x128", golden)
    report = weights.assign(model, given)
    assert len(report.loaded) == len(tensors)
    assert not report.unused
    assert difference(run(model, golden)["feature"], golden["out/feature"]) < 0.01


def test_the_camera_matters():
    golden, tensors = read("transreid_narrow_cameras")
    model = build("transreid_narrow_cameras", golden)
    weights.assign(model, tensors)
    images = golden["images"].astype("float32")
    swapped = infer(model, images, np.int32([1, 0]))["class_token"]
    assert difference(swapped, golden["out/class_token"]) > 0.1


@pytest.mark.backend
def test_a_clip_has_the_activation_it_was_trained_with():
    x = np.linspace(-4, 4, 33, dtype="float32")
    expected = {
        "quick_gelu": x / (1 + np.exp(-1.702 * x)),  # OpenAI's
        "gelu": [value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in x.tolist()],  # LAION-2B's
    }
    for variant, values in expected.items():
        with unfilled():
            model = build_backbone("clip_vit_b32", (32, 32, 3), variant=variant, width_divisor=16, depth=1)
        layer = model.get_layer("transformer.resblocks.0.mlp.act")
        np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), values, atol=1e-5)


def test_the_table_is_what_the_names_say():
    widths = {"s": 6, "b": 12, "l": 16}
    for name in (name for name in BACKBONES if "vit_" in name):
        letter, patch = name[-3], int(name[-2:])
        assert SIZES[f"{letter}{patch}"] == (widths[letter], 24 if letter == "l" else 12, patch), name
        with unfilled():
            model = build_backbone(name, (2 * patch, patch, 3), depth=1)
        assert model.output["block_1"].shape == (None, 2, 1, 64 * widths[letter]), name
        feature = {"clip_vit_b32": 512, "clip_vit_b16": 512, "clip_vit_l14": 768}.get(name)
        assert ("feature" in model.output) == (feature is not None)
        if feature:
            assert model.output["feature"].shape == (None, feature)


def test_backbones_have_a_size_of_their_own_that_fits():
    for name in ("dinov2_vit_s14", "clip_vit_l14", "clip_vit_b32"):
        model = build_backbone(name, width_divisor=16, depth=1)
        assert model.input_shape[1] > 1.9 * model.input_shape[2], name


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("clip_vit_b32", (250, 128, 3), {}, "clip_vit_b32: input_shape: expected multiples of 32 pixels.* 250 x 128"),
        ("dinov2_vit_s14", (256, 126, 3), {}, "expected multiples of 14 pixels"),
        ("vit_s16", (None, 128, 3), {}, "vit_s16: input_shape: expected a height and a width"),
        ("vit_s16", (64, 32, 3), {"variant": "keras"}, "variant: expected augreg or deit, received 'keras'"),
        ("clip_vit_b16", (64, 32, 3), {"variant": "laion"}, "variant: expected quick_gelu or gelu, received 'laion'"),
        ("dinov2_vit_s14", (28, 14, 3), {"registers": 2}, "registers: expected 0 or 4, received 2"),
        ("transreid_vit_s16", (64, 32, 3), {"stride": 8}, "stride: expected 12 or 16, received 8"),
        ("transreid_vit_s16", (64, 32, 3), {"cameras": -1}, "cameras: expected 0 or a positive integer, received -1"),
        ("vit_s16", (64, 32, 3), {"depth": 13}, "depth: expected 1 to 12 blocks, received 13"),
        ("vit_s16", (64, 32, 3), {"stride": 12}, "backbone vit_s16 has no option 'stride'"),
    ],
)
def test_mistakes_name_the_argument(name, shape, options, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(name, shape, **options)


def test_shortcuts_are_left_out_more_often_with_depth():
    """Evenly from none in the first block to the rate in the last, both of a block alike: timm's `drop_path_rate`."""
    model = vit((32, 16, 3), ORIGINS["timm"], Size(heads=1, depth=4, patch=16), drop_path=0.3)
    np.testing.assert_allclose(model.get_layer("drop_path").rates, np.repeat([0.0, 0.1, 0.2, 0.3], 2))
