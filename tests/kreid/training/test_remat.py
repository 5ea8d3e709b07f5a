"""Blocks that are computed anew for their gradients: the same figures and gradients, and less that is kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from configurations import changed

from kreid.errors import ConfigError
from kreid.models.embedders import build_model
from kreid.training.remat import rematerialized

pytestmark = pytest.mark.usefixtures("short_vit")

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 32, 16, 3)).astype("float32")


@pytest.fixture(scope="module")
def model(tiny_vit):
    """A Transformer of four blocks, three of which it uses, with a head on the first, and drop path."""
    keras.utils.set_random_seed(0)
    appearance = {**tiny_vit.model.appearance.model_dump(), "drop_path": 0.5}
    return build_model(changed(tiny_vit, model={"appearance": appearance}).model, pretrained=False)


def gradients(model, forward):
    """The outputs, and the gradient of a sum of them by every weight."""
    for layer in model.get_layer("appearance").layers:
        if layer.name == "drop_path":
            layer.seed_generator.state.assign(np.array([1, 0], "uint32"))
    with tf.GradientTape() as tape:
        outputs = forward(tf.constant(IMAGES))
        total = sum(tf.reduce_sum(value[:, 0]) for value in outputs.values())
    return outputs, tape.gradient(total, model.trainable_variables)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_outputs_and_gradients_are_those_of_the_plain_network(model, compiled):
    """With what drop path leaves out being the same the second time, or else gradients would differ."""
    again = rematerialized(model)
    again = tf.function(again, autograph=False) if compiled else again
    expected, plain = gradients(model, lambda images: model(images, training=True))
    found, computed = gradients(model, again)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    for ours, theirs, variable in zip(computed, plain, model.trainable_variables, strict=True):
        scale = np.abs(theirs).max() + 1e-6
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-4, err_msg=variable.path)


def test_blocks_are_computed_twice_and_the_rest_once(model, monkeypatch):
    calls = []
    call = keras.layers.Dense.call
    monkeypatch.setattr(
        keras.layers.Dense,
        "call",
        lambda layer, *args, **kwargs: calls.append(layer.name) or call(layer, *args, **kwargs),
    )
    forward = rematerialized(model)  # which traces symbolically
    calls.clear()
    gradients(model, forward)
    inside = [name for name in calls if name.startswith("blocks.")]
    assert inside
    assert {inside.count(name) for name in inside} == {2}
    assert {calls.count(name) for name in calls if name not in inside} == {1}


def test_cameras_come_along(tiny_vit):
    appearance = {**tiny_vit.model.appearance.model_dump(), "backbone": "transreid_vit_s16", "cameras": 2}
    model = build_model(changed(tiny_vit, model={"appearance": appearance}).model, pretrained=False)
    table = model.get_layer("appearance").get_layer("sie_embed").embeddings
    table.assign(np.random.default_rng(1).normal(size=table.shape))
    given = {"image": IMAGES, "camera": np.int32([1, 0, 1])}
    expected = model(given, training=True)
    for name, value in rematerialized(model)(given).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)


def test_a_network_without_blocks_is_refused(tiny_one):
    with pytest.raises(ConfigError, match="train.remat: no stream is a Vision Transformer"):
        rematerialized(build_model(tiny_one.model, pretrained=False))
