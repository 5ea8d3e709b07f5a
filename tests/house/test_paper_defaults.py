"""What the paper leaves open: a key of the configuration each, with the default that the README's table states."""

import inspect

import pytest
from paths import CONFIGS

from kreid.config.loading import check, load_config
from kreid.models import BACKBONES
from kreid.models.embedders import build_model

# Open point of the paper -> keys and their defaults.
DEFAULTS = {
    "1 pretraining of the appearance stream": {"model.appearance.weights": "imagenet"},
    "2 part stream from scratch or from OpenPose": {"model.part.weights": None},
    "3 which OpenPose": {"model.part.arch": "body_25"},
    "4 T_P and T_C": {"model.part.paf_stages": 4, "model.part.confidence_stages": 2},
    "5 what is fused": {"model.part.features": "confidence", "model.part.embed_dim": None},
    "6 two grids": {"model.appearance.last_stride": 1, "model.align": "average"},
    "7 pooling over places": {"model.bilinear.pool": "mean"},
    "8 length of the sketch": {"model.bilinear.output_dim": 8192, "model.bilinear.mode": "compact"},
    "9 hashes": {"model.bilinear.seed": 0},
    "10 signed square root": {"model.bilinear.signed_sqrt": False},
    "11 distance": {"loss.distance": "euclidean"},
    "12 margin and mining": {"loss.margin": 0.3, "loss.mining": "hard"},
    "13 negatives of the same action": {"data.persons": 8, "data.views": 4, "loss.same_action": True},
    "14 cross entropy": {"loss.identity_weight": 0.0, "loss.label_smoothing": 0.0},
    "15 layer-wise heads": {"model.heads.hidden": (512,), "model.heads.dim": 256, "model.embedding": "final"},
    "16 optimisation": {
        "train.epochs": 60,
        "train.optimizer": "adam",
        "train.learning_rate": 1e-5,
        "train.schedule": "step",
        "train.decay": 0.1,
        "train.decay_epochs": 20,
        "train.weight_decay": 0.0,
        "train.seed": 1,
        "data.flip": 0.5,
    },
}
UNSET = {"model.appearance.last_stride": 1}  # None leaves it to the backbone, whose own default this is


def value(config, key):
    for part in key.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize("point", DEFAULTS)
def test_default_of_an_open_point(point):
    for config in (check({"model": {"embedder": "two_stream"}}), load_config(CONFIGS / "two_stream.yaml")):
        for key, default in DEFAULTS[point].items():
            assert value(config, key) == default or (key in UNSET and value(config, key) is None), key


def test_the_backbone_has_the_default_that_the_configuration_leaves_to_it():
    assert inspect.signature(BACKBONES["resnet50"]).parameters["last_stride"].default == 1


def test_the_layerwise_configuration_has_the_heads_of_the_paper():
    """Point 15: conv3, conv4 and conv5, equal weights, ranked by the final embedding."""
    config = load_config(CONFIGS / "layerwise.yaml")
    assert config.model.heads.layers == ("conv3", "conv4", "conv5")
    assert (config.loss.triplet_weight, config.loss.head_weight) == (1.0, 1.0)


@pytest.mark.parametrize("name", ["two_stream", "two_stream_released", "layerwise", "resnet50", "osnet"])
def test_the_papers_configurations_train_on_a_tenth(name):
    """Points 16 and 18: batches of 32 from 10 % of the actions."""
    data = load_config(CONFIGS / f"{name}.yaml").data
    assert (data.fraction, data.persons * data.views) == (0.1, 32)


def test_preprocessing_is_inside_the_model(tiny):
    """Point 17: each stream has its own, and the model takes RGB 0-255."""
    model = build_model(tiny.model, pretrained=False)
    orders = [model.get_layer(stream).get_layer("preprocessing") for stream in ("appearance", "part")]
    assert [layer.channel_order for layer in orders] == ["bgr", "bgr"]
    assert orders[0].mean != orders[1].mean
