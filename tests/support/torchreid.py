"""Recorded outputs of torchreid's networks for seeded weights: reading them, and comparing a model with them."""

import fill
import keras
import numpy as np
from checks import infer
from keras import layers
from paths import GOLDEN

from kreid import weights


def read(name):
    """Return the recorded arrays and the weights they were recorded with, the classifier's left out."""
    golden = fill.load(GOLDEN / f"torchreid_{name}.npz")
    tensors = {key: value for key, value in fill.build(golden).items() if not key.startswith("classifier")}
    return golden, tensors


def assign(model, tensors):
    """Set every weight of `model` by name; every tensor must have found its place."""
    report = weights.assign(model, tensors)
    assert not report.unused
    assert len(report.loaded) == len(tensors)


def linear_bn_relu(x, units, name):
    """torchreid's fully connected layer, as its re-identification heads use it."""
    x = layers.Dense(units, name=f"{name}.0")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}.1")(x)
    return layers.ReLU(name=f"{name}.2")(x)


def difference(actual, expected):
    """Return the largest difference as a share of the largest expected value."""
    return np.abs(keras.ops.convert_to_numpy(actual) - expected).max() / np.abs(expected).max()


def _note(layer, values, name):
    """What the layer puts out from now on, eagerly, goes into `values` too."""
    compute = layer.call

    def call(*args, **kwargs):
        values[name] = compute(*args, **kwargs)
        return values[name]

    layer.call = call


def check_against(name, model, feature, stages):
    """Check a whole network, the layer of its feature and the stages of its backbone with what is recorded.

    `stages` says which upstream module a layer or a map of the backbone repeats.
    """
    golden, tensors = read(name)
    assign(model, tensors)
    images, backbone = golden["images"].astype("float32"), model.get_layer("appearance")
    actual = {}
    for layer in stages:
        put_out = backbone.output[layer] if layer in backbone.output else backbone.get_layer(layer).output
        _note(put_out._keras_history.operation, actual, layer)
    actual |= infer(keras.Model(model.input, {"feature": model.get_layer(feature).output, **model.output}), images)
    for layer, module in stages.items():
        recorded = golden[f"inter/{module}/mean"]
        found = np.asarray(actual[layer])
        assert difference(found.mean(axis=(1, 2)), recorded) < 1e-4, layer
        if f"inter/{module}/px" in golden:
            height, width = found.shape[1:3]
            rows, columns = [0, height // 2, height - 1], [0, width // 2, width - 1]
            assert difference(found[:, rows, columns], golden[f"inter/{module}/px"]) < 1e-4, layer
    assert actual["feature"].shape == golden["out/feature"].shape
    assert difference(actual["feature"], golden["out/feature"]) < 1e-4
    assert difference(actual["feature"], golden["out64/feature"]) < 1e-5
    unit = golden["out/feature"] / np.linalg.norm(golden["out/feature"], axis=1, keepdims=True)
    assert difference(actual["embedding"], unit) < 1e-4
