"""Whole networks, built from configurations as a user builds them, against recorded outputs of their authors' code."""

import fill
import keras
import numpy as np
import pytest
import torchreid
from checks import infer
from unfilled import unfilled

from kreid import weights
from kreid.config.loading import check
from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from kreid.models.embedders import build_model

TORCHVISION = {"backbone": "resnet50", "weights": None, "variant": "torchvision"}
RELEASED = {
    "embedder": "two_stream",
    "appearance": {**TORCHVISION, "last_stride": 1, "reduce_dim": 128, "reduce_kernel": 7},
    "part": {"arch": "coco", "paf_stages": 2, "confidence_stages": 2, "features": "concat", "embed_dim": 128},
    "align": "max",
    "bilinear": {"output_dim": 512, "pool": "sum"},
}
ONE_STREAM = {
    "resnet50_fc512": ({"appearance": {**TORCHVISION, "last_stride": 1}, "fc": [512]}, "fc.2"),
    "resnet50mid": (
        {"appearance": {**TORCHVISION, "last_stride": 2}, "mid": {"layers": ["conv5_1", "conv5_2"], "dim": 1024}},
        "mid",
    ),
    "osnet_x1_0": ({"appearance": {"backbone": "osnet_x1_0", "weights": None}, "fc": [512]}, "fc.2"),
}


@unfilled()
def build(section):
    return build_model(check({"model": section}).model, pretrained=False)


@pytest.mark.slow
@pytest.mark.backend
@pytest.mark.parametrize("name", ONE_STREAM)
def test_one_stream_equals_torchreids(name):
    section, feature = ONE_STREAM[name]
    golden, tensors = torchreid.read(name)
    model = build({"embedder": "one_stream", **section})
    torchreid.assign(model, tensors)
    probe = keras.Model(model.input, {"feature": model.get_layer(feature).output, **model.output})
    actual = infer(probe, golden["images"].astype("float32"))
    expected = golden["out/feature"]
    assert torchreid.difference(actual["feature"], expected) < 1e-4
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert torchreid.difference(actual["embedding"], unit) < 1e-4


@pytest.mark.slow
@pytest.mark.backend
def test_two_stream_equals_the_authors_released_network():
    golden = fill.load(torchreid.GOLDEN / "paper_resnet_cpm.npz")
    model = build(RELEASED)
    # Upstream's part stream sees the ImageNet-normalised RGB image times 0.0039, which is not what OpenPose expects.
    preprocessing = model.get_layer("part").get_layer("preprocessing")
    preprocessing.mean, preprocessing.channel_order = IMAGENET_MEAN, "rgb"
    preprocessing.std = tuple(std / 0.0039 for std in IMAGENET_STD)
    model.get_layer("fusion").set_weights([golden[f"sketch/{name}"] for name in ("h1", "s1", "h2", "s2")])

    appearance, part = "app_feat_extractor.", "part_feat_extractor."
    stems = {"appearance_reduce": f"{appearance}conv2", "part_embed": f"{part}pose1", "part_norm": f"{part}bn"}
    names = {**stems, "fusion": None}
    names |= {layer.name: appearance + layer.name for layer in model.get_layer("appearance").layers}
    names |= {layer.name: part + layer.name for layer in model.get_layer("part").layers}
    report = weights.assign(model, fill.build(golden), names=names)
    assert all(name.startswith((f"{appearance}fc.", f"{appearance}classifier.")) for name in report.unused)

    taps = {name: model.get_layer(name).output for name in ("appearance_reduce", "part_norm", "fusion")}
    probe = keras.Model(model.input, {**taps, **model.output})
    actual = infer(probe, golden["images"].astype("float32"))
    recorded = {"appearance_reduce": "app_map_full", "part_norm": "part_map_full"}
    for layer, key in recorded.items():
        assert torchreid.difference(actual[layer][:1], golden[f"inter/{key}"].transpose(0, 2, 3, 1)) < 1e-4, layer
    assert torchreid.difference(actual["fusion"], golden["out/fused_before_l2"]) < 1e-4
    assert torchreid.difference(actual["embedding"], golden["out/feature"]) < 1e-4
