"""Maps in horizontal stripes, each pooled or fused for itself: by the formula, looked through, and refused."""

from itertools import pairwise

import checks
import keras
import numpy as np
import pytest
from checks import infer
from configurations import changed

from kreid.config.loading import check
from kreid.errors import ConfigError
from kreid.look.viewer import Viewer
from kreid.losses.objective import build_losses
from kreid.models.cost import cost
from kreid.models.embedders import build_model

pytestmark = pytest.mark.usefixtures("short_resnet")

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 64, 32, 3)).astype("float32")
ROWS = {1: [0, 8], 3: [0, 2, 5, 8], 8: list(range(9))}  # where the stripes of 8 rows begin and end


def build(config, stripes, **model):
    return build_model(changed(config, model={"image_size": [64, 32], "stripes": stripes, **model}).model)


def striped(values, stripes):
    return [values[:, top:bottom] for top, bottom in pairwise(ROWS[stripes])]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def one_stream(tiny_one):
    """One stream whose map has 8 rows."""
    stream = {**tiny_one.model.appearance.model_dump(), "layer": "conv3"}
    return changed(tiny_one, model={"appearance": stream, "fc": []})


POOLINGS = {
    "mean": lambda x: x.mean((1, 2)),
    "gem": lambda x: (np.maximum(x, 1e-6) ** 3).mean((1, 2)) ** (1 / 3),
}


@pytest.mark.backend
@pytest.mark.parametrize(("pooling", "stripes"), [("mean", 1), ("mean", 3), ("gem", 8)])
def test_each_stripe_is_pooled_for_itself(one_stream, pooling, stripes):
    model = build(one_stream, stripes, pooling=pooling)
    values = infer(model.get_layer("appearance"), IMAGES)["conv3"]
    expected = unit(np.concatenate([POOLINGS[pooling](one) for one in striped(values, stripes)], axis=1))
    np.testing.assert_allclose(infer(model, IMAGES)["embedding"], expected, atol=1e-5)


def test_each_stripe_is_fused_for_itself(tiny):
    model = build(tiny, 3, bilinear={"output_dim": 32, "signed_sqrt": True})
    inputs = [model.get_layer(f"{stream}_stripe_1").input for stream in ("appearance", "part")]
    maps = infer(keras.Model(model.input, dict(zip("ap", inputs, strict=True))), IMAGES)
    fusion = model.get_layer("fusion")
    pairs = zip(striped(maps["a"], 3), striped(maps["p"], 3), strict=True)
    expected = unit(np.concatenate([keras.ops.convert_to_numpy(fusion(pair)) for pair in pairs], axis=1))
    np.testing.assert_allclose(infer(model, IMAGES)["embedding"], expected, atol=1e-5)
    assert cost(model).gmacs == pytest.approx(cost(build(tiny, 1, bilinear={"output_dim": 32})).gmacs)


@pytest.mark.parametrize("embedder", ["one_stream", "two_stream"])
def test_what_makes_a_pair_alike_sums_to_its_similarity(one_stream, tiny, embedder):
    config = one_stream if embedder == "one_stream" else tiny
    viewer = Viewer(build(config, 3, heads={"layers": ["conv2"], "dim": 4, "hidden": []}, embedding="concat"))
    first, second, *_ = viewer.see(IMAGES)
    pair = viewer.compare(first, second)
    assert pair.values.shape[1:3] == (16, 8)  # of conv2, the finer of the two
    assert pair.parts[0] == ("appearance" if embedder == "one_stream" else "nose")
    np.testing.assert_allclose(pair.values.sum((1, 2, 3)) + pair.rest, pair.similarity, atol=1e-5)


@pytest.mark.backend
def test_a_striped_network_passes_the_shared_check(one_stream):
    config = changed(one_stream, model={"stripes": 8, "image_size": [64, 32]})
    labels = np.array([[0, 0], [0, 0], [1, 0], [1, 0]])
    checks.check_model(lambda: build_model(config.model), IMAGES, lambda out: build_losses(config.loss, out), labels)


def test_more_stripes_than_rows_are_refused(one_stream, tiny):
    for config in (one_stream, tiny):
        with pytest.raises(ConfigError, match=r"^model.stripes: the appearance map is 8 rows high, which is too few"):
            build(config, 9)


def test_a_class_token_has_no_stripes():
    model = {"embedder": "one_stream", "appearance": {"backbone": "vit_s16", "weights": None}, "stripes": 2}
    with pytest.raises(ConfigError, match="model.stripes: a class token has no rows to divide; .* received 2$"):
        check({"model": {**model, "pooling": "class_token"}})
    with pytest.raises(ConfigError, match="model.stripes: a class token has no rows to divide"):
        check({"model": {**model, "appearance": {**model["appearance"], "layer": "class_token"}}})
    check({"model": {**model, "pooling": "concat"}})
