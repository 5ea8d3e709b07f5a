"""Folded networks against the ones with batch norms, whose statistics are drawn at random."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kreid.models import openpose, resnet
from kreid.models.embedders import build_model
from kreid.serving.export import export
from kreid.serving.folding import fold


def shake(model, seed=0):
    """Batch norms and learnt slopes as after a training: none of their vectors is trivial."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization | layers.PReLU):
            layer.set_weights([rng.uniform(0.5, 2, value.shape) for value in layer.get_weights()])
    return model


def norms(model):
    return sorted(layer.name for layer in model._flatten_layers() if isinstance(layer, layers.BatchNormalization))


def network(*stack, size=(9, 7, 4)):
    image = x = keras.Input(size)
    for layer in stack:
        x = layer(x)
    return shake(keras.Model(image, x))


def check(model, left=()):
    """The folded network computes the same, with the named batch norms left."""
    before = [value.copy() for value in model.get_weights()]
    folded = fold(model)
    x = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype("float32")
    for expected, found in zip(
        keras.tree.flatten(model(x, training=False)), keras.tree.flatten(folded(x, training=False)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert norms(folded) == sorted(left)
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)
    return folded


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(5, 3),
        layers.Conv2D(6, 3, use_bias=False, strides=2, padding="same", groups=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.DepthwiseConv2D(3),
        layers.Dense(5),
        layers.Dense(5, use_bias=False, activation=None),
    ],
    ids=["conv", "grouped", "multiplier", "depthwise", "dense", "dense without bias"],
)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False, "epsilon": 0.1}], ids=str)
def test_a_pair_becomes_one_layer(layer, options):
    copy = type(layer).from_config(layer.get_config())
    folded = check(network(copy, layers.BatchNormalization(**options), layers.ReLU()))
    assert len(folded.layers) == 3
    assert folded.layers[1].use_bias


def test_what_does_not_stand_alone_before_its_norm_keeps_it():
    check(network(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(name="behind")), ["behind"])
    check(network(layers.BatchNormalization(name="first"), layers.Conv2D(4, 3)), ["first"])
    check(network(layers.Conv2D(4, 3), layers.BatchNormalization(axis=1, name="rows")), ["rows"])
    check(network(layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization(name="later")), ["later"])


def test_what_others_read_too_stays_as_it_is():
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(3, 3, padding="same")(image)
    y = layers.BatchNormalization(name="beside")(x)
    check(shake(keras.Model(image, layers.Add()([x, y]))), ["beside"])
    check(shake(keras.Model(image, {"map": x, "norm": y})), ["beside"])


def test_a_layer_used_twice_stays_as_it_is():
    image = keras.Input((6, 6, 3))
    conv, norm = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization(name="shared")
    check(shake(keras.Model(image, norm(conv(norm(conv(image)))))), ["shared"])
    x = conv(image)
    outputs = layers.BatchNormalization(name="a")(x), layers.BatchNormalization(name="b")(conv(x))
    check(shake(keras.Model(image, outputs)), ["a", "b"])


def test_nested_networks_are_folded():
    inner = network(layers.Conv2D(5, 3), layers.BatchNormalization(), size=(8, 8, 3))
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="behind")(inner(image))
    check(shake(keras.Model(image, x)), ["behind"])
    twice = keras.Model(image, [inner(image), inner(layers.ReLU()(image))])
    check(shake(twice), norms(inner))


def test_both_streams_are_folded_and_exported(tiny, tmp_path, monkeypatch):
    """With two blocks that are alike in ResNet, the second of which has no norm on its shortcut."""
    monkeypatch.setattr(resnet, "STAGES", ((2, 64, 2), (3, 128, 1)))
    monkeypatch.setattr(openpose, "BODY_25_BLOCKS", 1)
    model = shake(build_model(tiny.model, pretrained=False))
    folded = fold(model)
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 32, 3)).astype("float32")
    expected = model(images, training=False)["embedding"]
    np.testing.assert_allclose(folded(images, training=False)["embedding"], expected, atol=1e-5)
    assert len(norms(folded)) < len(norms(model))
    served = tf.saved_model.load(str(export(model, tmp_path / "serving"))).signatures["pixels"]
    np.testing.assert_allclose(served(image=tf.constant(images))["embedding"], expected, atol=1e-5)
