"""Backbones of KerasHub: its own outputs as maps, from classes and presets, in runs that need the preset no more."""

import json
import math
import sys
from functools import partial

import keras
import numpy as np
import pytest
from checks import check_model, check_outputs, infer
from tiny_runs import command

from kreid import runs
from kreid.cli import weights
from kreid.config.loading import check, dump
from kreid.config.network import _is_hub_class
from kreid.errors import ConfigError
from kreid.losses.objective import build_losses
from kreid.models import build_backbone, hub, hub_source
from kreid.models.cost import cost
from kreid.models.embedders import build_model
from kreid.serving import written
from kreid.serving.crops import draw_crops
from kreid.serving.export_file import export_file
from kreid.training.layer_groups import named_layers, set_frozen
from kreid.training.run import resolve

keras_hub = pytest.importorskip("keras_hub")

VIT = {"patch_size": 16, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
DINO = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "num_register_tokens": 4}
RESNET = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 8],
    "stackwise_num_blocks": [1, 1],
    "stackwise_num_strides": [1, 2],
    "block_type": "basic_block",
}
HGNET = {
    "depths": [1, 1],
    "embedding_size": 8,
    "hidden_sizes": [8, 8],
    "stem_channels": [3, 8, 8],
    "hidden_act": "relu",
    "use_learnable_affine_block": True,
    "stackwise_stage_filters": [[8, 4, 8, 1, 1, 3], [8, 8, 12, 1, 1, 3]],
    "apply_downsample": [False, True],
    "use_lightweight_conv_block": [False, True],
}
# Class -> height and width, arguments, and the maps that there are: rows and columns, channels.
CASES = {
    "ViTBackbone": ((64, 32), VIT, {"last": (4, 2, 8)}),
    "DINOV3Backbone": (
        (64, 32),
        {**DINO, "patch_size": 16},
        dict.fromkeys(("stem", "stage1", "last"), (4, 2, 8)),
    ),
    "DINOV2Backbone": (
        (28, 28),
        {**DINO, "patch_size": 14, "position_embedding_shape": [42, 42, 3]},
        dict.fromkeys(("stem", "stage1", "last"), (2, 2, 8)),
    ),
    "SwinTransformerBackbone": (
        (64, 32),
        {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4},
        dict.fromkeys(("stage1", "stage2", "last"), (8, 4, 16)),
    ),
    "ResNetBackbone": ((70, 37), RESNET, {"P2": (18, 10, 64), "P3": (9, 5, 8), "last": (9, 5, 8)}),
    "HGNetV2Backbone": (
        (70, 37),
        HGNET,
        {"stem": (18, 10, 8), "stage1": (18, 10, 8), "stage2": (9, 5, 12), "last": (9, 5, 12)},
    ),
}


def pictures(height, width):
    return np.random.default_rng(0).uniform(0, 255, (2, height, width, 3)).astype("float32")


def saved(folder, name="ViTBackbone", scaling=None):
    """A preset of random weights, as KerasHub saves it; returns its backbone."""
    size, arguments, _ = CASES[name]
    network = getattr(keras_hub.models, name)(image_shape=(*size, 3), **arguments)
    network.save_to_preset(folder)
    if scaling:
        converter = getattr(keras_hub.layers, name.replace("Backbone", "ImageConverter"))(**scaling)
        converter.save_to_preset(folder)
    return network


def section(backbone, **changes):
    """The section `model` of one stream, at the size of ViT's case."""
    stream = {"backbone": backbone, **changes.pop("appearance", {})}
    return check({"model": {"embedder": "one_stream", "image_size": [64, 32], "appearance": stream, **changes}}).model


def of_class(**changes):
    return section("hub:ViTBackbone", appearance={"arguments": VIT}, **changes)


REPEATED = ("ViTBackbone", "ResNetBackbone")  # on JAX, which compiles for longer than these take here


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.backend] if name in REPEATED else []) for name in CASES]
)
def test_a_preset_gives_kerashubs_own_outputs(tmp_path, name):
    size, _, shapes = CASES[name]
    scaling = {"scale": [1 / 58, 1 / 57, 1 / 56], "offset": [-2.1, -2.0, -1.8]}
    own = saved(tmp_path, name, scaling)
    images = pictures(*size)
    backbone = build_backbone(f"hub:{tmp_path}", (*size, 3), weights="preset")
    found = check_outputs(backbone, images)
    assert {key: value.shape[1:] for key, value in found.items() if key != "class_token"} == shapes
    converter = keras_hub.layers.ImageConverter.from_preset(str(tmp_path))
    outputs = own.output if isinstance(own.output, dict) else {"last": own.output}
    outputs |= getattr(own, "pyramid_outputs", {})
    expected = infer(keras.Model(own.inputs[0], outputs), np.asarray(converter(images)))
    expected.setdefault("last", list(expected.values())[-1])
    for key, value in expected.items():
        rows, columns, channels = shapes[key]
        tokens = np.asarray(value).reshape(2, -1, channels)
        np.testing.assert_allclose(found[key].reshape(2, -1, channels), tokens[:, -rows * columns :], atol=1e-5)
        special = tokens.shape[1] - rows * columns
        assert special == {"ViTBackbone": 1, "DINOV2Backbone": 5, "DINOV3Backbone": 5}.get(name, 0)
        if special and key == "last":
            np.testing.assert_allclose(found["class_token"], tokens[:, 0], atol=1e-5)


@pytest.mark.parametrize("name", ["ViTBackbone", "ResNetBackbone"])
def test_a_class_passes_the_shared_check(name):
    size, arguments, _ = CASES[name]
    side = {"ViTBackbone": size, "ResNetBackbone": (64, 32)}[name]
    stream = {"backbone": f"hub:{name}", "arguments": arguments}
    model = {"embedder": "one_stream", "image_size": side, "appearance": stream}
    model["heads"] = {"layers": ["class_token" if name == "ViTBackbone" else "P2"], "hidden": [], "dim": 8}
    config = check({"model": model})
    images = np.kron(np.random.default_rng(0).uniform(0, 255, (4, 4, 4, 3)), np.ones((1, 16, 8, 1))).astype("float32")
    labels = np.array([[0, 0], [0, 0], [1, 0], [1, 0]])
    losses = (lambda outputs: build_losses(config.loss, outputs)) if name == "ResNetBackbone" else None
    check_model(lambda: build_model(config.model), images, losses, labels)


def test_without_an_image_converter_images_are_scaled_by_imagenets_mean(tmp_path):
    own = saved(tmp_path)
    images = pictures(64, 32)
    found = infer(build_backbone(f"hub:{tmp_path}", (64, 32, 3), weights="preset"), images)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    expected = np.asarray(own((images / 255 - mean) / std))
    np.testing.assert_allclose(found["class_token"], expected[:, 0], atol=1e-5)


def test_only_what_the_maps_need_is_kept():
    whole = build_backbone("hub:ResNetBackbone", (64, 32, 3), arguments=RESNET)
    stream = {"backbone": "hub:ResNetBackbone", "arguments": RESNET, "layer": "P2"}
    trimmed = build_model(section("hub:ResNetBackbone", appearance=stream)).get_layer("appearance")
    assert list(trimmed.output) == ["P2"]
    assert trimmed.count_params() < whole.count_params()
    assert not any("stack1" in layer.name for layer in trimmed.get_layer("hub").layers)


def test_layers_of_kerashub_are_frozen_and_named():
    model = build_model(of_class())
    names = ["appearance.vit_patching_and_embedding", "appearance.vit_encoder"]
    assert list(named_layers(model)) == names
    with pytest.raises(ConfigError, match="every layer is frozen"):
        set_frozen(model, ["appearance"], frozen=True)
    set_frozen(model, ["appearance"], frozen=False)
    set_frozen(model, names[:1], frozen=True)
    assert all("encoder" in variable.path for variable in model.trainable_variables)


def test_a_run_needs_its_preset_no_more(tmp_path, capsys):
    own = saved(tmp_path / "preset", scaling={"scale": 1 / 127.5, "offset": -1.0})
    config = check({"model": section(f"hub:{tmp_path / 'preset'}", pooling="class_token").model_dump(mode="json")})
    (tmp_path / "hub.yaml").write_text(dump(config), encoding="utf-8")
    run = tmp_path / "run"
    assert command(weights.app, "run", tmp_path / "hub.yaml", "--out", run) == 0
    (tmp_path / "preset").rename(tmp_path / "elsewhere")
    images = pictures(64, 32)
    found = infer(runs.load_model(run), images)["embedding"]
    expected = np.asarray(own(images / np.float32(127.5) - 1))[:, 0]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_training_records_the_preset(tmp_path):
    saved(tmp_path)
    config = check({"model": section(f"hub:{tmp_path}").model_dump(mode="json")})
    told = resolve(config, None).model.appearance.preset
    assert told["class_name"] == "ViTBackbone"
    assert told["arguments"] | VIT == told["arguments"] | {"patch_size": 16}
    assert check(resolve(config, None).model_dump(mode="json")) == resolve(config, None)


def test_constants_of_kerashub_go_into_an_exported_file(tmp_path, monkeypatch):
    monkeypatch.setattr(written, "draw_crops", partial(draw_crops, 20))
    stream = {"backbone": "hub:DINOV3Backbone", "arguments": CASES["DINOV3Backbone"][1]}
    model = build_model(section("hub:DINOV3Backbone", appearance=stream), pretrained=False)
    assert export_file(model, tmp_path / "hub.onnx", "onnx").distance < 1e-9


def test_a_file_that_the_class_saved_is_loaded(tmp_path):
    own = keras_hub.models.ViTBackbone(image_shape=(64, 32, 3), **VIT)
    own.save_weights(tmp_path / "own.weights.h5")
    stream = {"backbone": "hub:ViTBackbone", "arguments": VIT, "weights": str(tmp_path / "own.weights.h5")}
    model = build_model(section("hub:ViTBackbone", appearance=stream))
    for found, expected in zip(model.get_layer("appearance").weights, own.weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    deeper = {**stream, "arguments": {**VIT, "hidden_dim": 12}}
    with pytest.raises(ConfigError, match=r"weights: .*own.weights.h5: expected what ViTBackbone.save_weights wrote"):
        build_model(section("hub:ViTBackbone", appearance=deeper))


def test_a_preset_takes_other_arguments_and_other_sizes_where_its_positions_allow(tmp_path):
    saved(tmp_path, "DINOV3Backbone")
    taller = build_backbone(f"hub:{tmp_path}", (96, 48, 3), weights="preset", arguments={"attention_dropout": 0.5})
    assert taller.output["last"].shape == (None, 6, 3, 8)
    assert taller.get_layer("hub").arguments["attention_dropout"] == 0.5


def test_costs_are_counted_where_kerashub_shows_them():
    counted = cost(build_model(section("hub:ResNetBackbone", appearance={"arguments": RESNET})))
    first = 7 * 7 * 3 * 8 * 32 * 16
    assert first / 1e9 < counted.gmacs < 1
    assert math.isnan(cost(build_model(of_class())).gmacs)


WRONG = {
    "class": ("hub:VitBackbone", {}, r"hub:VitBackbone: KerasHub has no such class; did you mean ViTBackbone\?"),
    "text": ("hub:BertBackbone", {}, "BertBackbone makes no maps of an image; give one that does, such as hub:ViT"),
    "preset": ("hub:vit_base_patch16_224_imagenett", {}, "no preset of KerasHub and no folder; did you mean hub:vit_b"),
    "text preset": ("hub:bert_base_en", {}, "BertBackbone makes no maps of an image"),
    "argument": ("hub:ViTBackbone", {"patch": 16}, "arguments: ViTBackbone has no 'patch'; it has patch_size, num_l"),
    "missing argument": ("hub:ViTBackbone", {"patch_size": 16}, "hub:ViTBackbone: .*missing 4 required positional"),
    "size": ("hub:ViTBackbone", {**VIT, "image_shape": [64, 32, 3]}, "image_shape is told by model.image_size; leave"),
    "patch": ("hub:ViTBackbone", {**VIT, "patch_size": 24}, "Input height 64 should be divisible by patch size 24"),
    "square": ("hub:DINOV2Backbone", {**DINO, "patch_size": 16}, "expects the height and width to be the same"),
}


@pytest.mark.parametrize(("backbone", "arguments", "message"), WRONG.values(), ids=WRONG)
def test_mistakes_are_told_in_a_line(backbone, arguments, message):
    with pytest.raises(ConfigError, match=message) as raised:
        build_model(section(backbone, appearance={"arguments": arguments}))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_map_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match="layer: ViTBackbone has no map 'conv5'; it has last, class_token"):
        build_model(section("hub:ViTBackbone", appearance={"arguments": VIT, "layer": "conv5"}))


def test_another_size_than_fixed_positions_are_for_is_told_with_the_presets(tmp_path):
    saved(tmp_path)
    with pytest.raises(ConfigError, match=r"must match.*it is for images of 64 x 32: set model.image_size: \[64, 32\]"):
        build_model(section(f"hub:{tmp_path}", image_size=[96, 48]))
    assert build_model(section(f"hub:{tmp_path}", image_size=[96, 48]), pretrained=False)


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"class_name": "Dense"})])
def test_a_folder_of_something_else_is_no_preset(tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="save_to_preset wrote|KerasHub has no such class"):
        build_backbone(f"hub:{tmp_path}", (64, 32, 3))


def test_a_preset_that_cannot_be_fetched_is_told(monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("HTTPSConnectionPool(host='api.example'): Failed to resolve\nhost")

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", offline)
    for name in ("resnet_50_imagenet", "hf://timm/resnet18.a1_in1k"):
        with pytest.raises(ConfigError, match=f"backbone hub:{name}: HTTPS.*; without a network, give the folder of"):
            build_backbone(f"hub:{name}", (64, 32, 3))


def test_without_kerashub_a_run_says_what_to_install(monkeypatch):
    model = of_class()
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ConfigError, match=r"needs KerasHub \(.*\); pip install 'kreid\[hub\]'"):
        build_model(model, pretrained=False)


def test_other_backbones_width_is_refused():
    with pytest.raises(ConfigError, match="width_divisor: expected 1, received 2; narrow it by model.appearance.arg"):
        build_model(section("hub:ViTBackbone", appearance={"arguments": VIT, "width_divisor": 2}))
    with pytest.raises(ConfigError, match="backbone hub:ViTBackbone has no option 'registers'"):
        build_model(section("hub:ViTBackbone", appearance={"arguments": VIT, "registers": 4}))


def test_a_section_of_another_backbone_is_recorded_as_it_is(tiny_one):
    assert hub.recorded(tiny_one.model) is tiny_one.model
    model = of_class()
    assert hub.recorded(model) is model


@pytest.mark.parametrize("source", ["ViTBackbone", "resnet_50_imagenet", "./MyBackbone", "hf://a/b", "Backbone"])
def test_both_rooms_tell_a_class_from_a_preset_alike(source):
    assert hub_source.is_class(source) == _is_hub_class(f"hub:{source}")
