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
ENDS = {"conv2": "layer1", "conv3": "layer2", "conv4": "layer3", "conv5_1": "layer4.0"}
STEM = ("conv1", "maxpool", "conv2.0.conv1", "conv2.0.conv2a")
# Recording: model section, layer of the feature, which of torchreid's modules a layer or a map repeats, and how many
# parameters learn.
ONE_STREAM = {
    "resnet50_fc512": (
        {"appearance": {**TORCHVISION, "last_stride": 1}, "fc": [512]},
        "fc.2",
        {**{name: name for name in ("bn1", "maxpool", "layer1.0")}, **ENDS, "conv5": "layer4"},
        24_558_144,
    ),
    "resnet50mid": (
        {"appearance": {**TORCHVISION, "last_stride": 2}, "mid": {"layers": ["conv5_1", "conv5_2"], "dim": 1024}},
        "mid",
        {**ENDS, "conv5_2": "layer4.1", "conv5_3": "layer4.2"},
        27_705_408,
    ),
    **{
        name: (
            {"appearance": {"backbone": name, "weights": None}, "fc": [512]},
            "fc.2",
            {
                **{layer: layer for layer in (*STEM, "conv2.0", *(f"conv{stage}" for stage in range(2, 6)))},
                "conv2.0.conv2d.3": "conv2.0.conv2d",
                "conv2.0.conv3.bn": "conv2.0.conv3",
            },
            parameters,
        )
        for name, parameters in (("osnet_x1_0", 2_169_508), ("osnet_x0_25", 201_864))
    },
    "inceptionv4": (
        {"appearance": {"backbone": "inception_v4", "weights": None, "layer": "inception_c"}},
        "pool",
        {
            **{f"features.{number}": f"features.{number}" for number in (0, 2, 3, 4, 6, 11, 19)},
            "stem": "features.5",
            "reduction_a": "features.10",
            "reduction_b": "features.18",
            "inception_c": "features.21",
        },
        41_142_816,
    ),
}
# On JAX too, what comes out at the end: of OSNets the narrow one; a ResNet is in the two-stream network.
ON_JAX = ("osnet_x0_25", "inceptionv4")


@unfilled()
def build(section):
    return build_model(check({"model": section}).model, pretrained=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.backend] if name in ON_JAX else []) for name in ONE_STREAM]
)
def test_one_stream_equals_torchreids(name):
    section, feature, stages, parameters = ONE_STREAM[name]
    model = build({"embedder": "one_stream", **section})
    torchreid.check_against(name, model, feature, stages if keras.backend.backend() == "tensorflow" else {})
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters


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
