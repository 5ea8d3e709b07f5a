"""From the tokens of a Vision Transformer to one vector: each pooling by its formula, and looking through it."""

import keras
import numpy as np
import pytest
from checks import infer

from kreid.config.loading import check
from kreid.look.viewer import Viewer
from kreid.models import BACKBONES, vit_origins
from kreid.models.embedders import build_model

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)).astype("float32")


@pytest.fixture
def build(monkeypatch):
    monkeypatch.setitem(vit_origins.SIZES, "b16", vit_origins.Size(heads=2, depth=2, patch=16))

    def make(appearance=(), **model):
        stream = {"backbone": "clip_vit_b16", "weights": None, "width_divisor": 16, **dict(appearance)}
        section = {"embedder": "one_stream", "image_size": [64, 32], "appearance": stream, **model}
        return build_model(check({"model": section}).model, pretrained=False)

    return make


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


POOLINGS = {
    "mean": lambda maps: maps["last"].mean((1, 2)),
    "gem": lambda maps: (np.maximum(maps["last"], 1e-6) ** 3).mean((1, 2)) ** (1 / 3),
    "class_token": lambda maps: maps["class_token"],
    "concat": lambda maps: np.concatenate([maps["class_token"], maps["last"].mean((1, 2))], axis=1),
}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_pooling_is_what_its_formula_says(build, pooling):
    model = build(pooling=pooling)
    maps = infer(model.get_layer("appearance"), IMAGES)
    assert {"block_1", "block_2", "last", "class_token"} == set(maps)  # those on the way are free, `feature` is not
    found = infer(model, IMAGES)["embedding"]
    np.testing.assert_allclose(found, unit(POOLINGS[pooling](maps)), atol=1e-5)


@pytest.mark.parametrize("pooling", ["gem", "concat"])
def test_what_makes_a_pair_alike_sums_to_its_similarity(build, pooling):
    viewer = Viewer(build(pooling=pooling))
    assert viewer.layers == ("block_1", "block_2", "last")
    first, second = viewer.see(IMAGES)
    pair = viewer.compare(first, second)
    np.testing.assert_allclose(pair.values.sum((1, 2, 3)) + pair.rest, pair.similarity, atol=1e-5)
    np.testing.assert_allclose(pair.rest, 0, atol=1e-4)


def test_clips_projection_can_be_what_is_ranked(build):
    model = build({"layer": "feature"}, heads={"layers": ["block_1", "class_token"], "hidden": [], "dim": 8})
    outputs = infer(model, IMAGES)
    assert outputs["embedding"].shape == (2, 32)
    assert outputs["block_1"].shape == outputs["class_token"].shape == (2, 8)


def test_a_network_without_a_class_token_says_so(build, monkeypatch):
    def plain(input_shape, width_divisor):
        image = keras.Input(input_shape)
        return keras.Model(image, {"conv1": keras.layers.Conv2D(2, 1, name="conv1")(image)}, name="plain")

    monkeypatch.setitem(BACKBONES, "plain", plain)
    with pytest.raises(ValueError, match=r"^model\.pooling: plain has no map 'class_token'; it has conv1$"):
        build({"backbone": "plain", "layer": "conv1"}, pooling="class_token")
