"""OSNet against torchreid's recorded outputs in training; in evaluation test_embedders holds it against them."""

import keras
import numpy as np
import pytest
import torchreid
from checks import in_training
from keras import layers
from unfilled import unfilled

from kreid.models.osnet import osnet, osnet_x0_25, osnet_x1_0

NETWORKS = {"osnet_x1_0": osnet_x1_0, "osnet_x0_25": osnet_x0_25}


@pytest.fixture(scope="module")
def small():
    return osnet_x0_25((None, None, 3))


def head(maps):
    return torchreid.linear_bn_relu(layers.GlobalAveragePooling2D()(maps["conv5"]), 512, "fc")


# On JAX the narrow one, whose step compiles within 3 s.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["osnet_x1_0", pytest.param("osnet_x0_25", marks=pytest.mark.backend)])
@unfilled()
def test_training_step_equals_torchreids(name):
    golden, tensors = torchreid.read(name)
    images = golden["train/images"].astype("float32")
    backbone = NETWORKS[name](images.shape[1:])
    model = keras.Model(backbone.input, {**backbone.output, "feature": head(backbone.output)})
    torchreid.assign(model, tensors)
    actual = in_training(model, images)
    for stage in (f"conv{stage}" for stage in range(1, 6)):
        recorded = golden[f"train/inter/{stage}/mean"]
        assert torchreid.difference(keras.ops.convert_to_numpy(actual[stage]).mean(axis=(1, 2)), recorded) < 1e-4, stage
    assert torchreid.difference(actual["feature"], golden["train/feature"]) < 1e-3
    assert torchreid.difference(actual["feature"], golden["train64/feature"]) < 1e-3
    for bn in golden["meta"]["train"]["bn"]:
        layer = model.get_layer(bn)
        assert torchreid.difference(layer.moving_mean.numpy(), golden[f"train/running_mean/{bn}"]) < 1e-4, bn
        # PyTorch stores the unbiased variance n / (n - 1) of the batch, Keras the biased one that both normalise with
        n = len(images) * np.prod(layer.input.shape[1:-1])
        old, recorded = tensors[f"{bn}.running_var"], golden[f"train/running_var/{bn}"]
        biased = 0.9 * old + (recorded - 0.9 * old) * (n - 1) / n
        assert torchreid.difference(layer.moving_variance.numpy(), biased) < 1e-4, bn
        assert torchreid.difference(old, biased) > 1e-2, bn


def test_the_gate_is_one_for_the_four_streams(small):
    gates = [layer for layer in small.layers if ".gate.fc" in layer.name]
    assert len(gates) == 2 * 6  # two convolutions in each of six blocks


def test_a_closed_gate_leaves_the_shortcut_alone():
    model = osnet(input_shape=(32, 32, 3), channels=(8, 16, 16, 16))
    block = "conv4.1"  # as many channels in as out: the shortcut is its input
    weights, biases = model.get_layer(f"{block}.gate.fc2").get_weights()
    model.get_layer(f"{block}.gate.fc2").set_weights([0 * weights, biases - 1e3])
    probe = keras.Model(model.input, [model.get_layer("conv4.0").output, model.get_layer(block).output])
    before, after = probe(np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32"), training=False)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(after), keras.ops.convert_to_numpy(before), atol=1e-6)
    assert keras.ops.max(before) > 0


def test_gates_learn_from_what_they_let_through():
    import tensorflow as tf

    model = osnet(input_shape=(32, 32, 3), channels=(8, 16, 16, 16))
    gates = [layer for layer in model.layers if ".gate.fc" in layer.name]
    for layer in gates:  # of one unit, which would rest where no image lights it up
        layer.bias.assign(np.ones(layer.bias.shape))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(images, training=True)["conv5"] ** 2)
    for layer, gradient in zip(gates, tape.gradient(total, [layer.kernel.value for layer in gates]), strict=True):
        assert np.abs(gradient).max() > 0, layer.name


@pytest.mark.parametrize(
    "size, sides",
    [
        ((100, 61), [(50, 31), (12, 8), (6, 4)]),  # the pooling between the stages drops the odd row, as upstream's
        ((16, 19), [(8, 10), (2, 2), (1, 1)]),
    ],
)
def test_sizes_of_the_maps(size, sides, small):
    first, second, rest = sides
    assert small.compute_output_shape((None, *size, 3)) == {
        "conv1": (None, *first, 16),
        "conv2": (None, *second, 64),
        "conv3": (None, *rest, 96),
        "conv4": (None, *rest, 128),
        "conv5": (None, *rest, 128),
    }


def test_a_quarter_of_the_width_is_osnet_x0_25(small):
    quarter = osnet_x1_0((None, None, 3), width_divisor=4)
    assert [layer.name for layer in quarter.layers] == [layer.name for layer in small.layers]
    assert [weight.shape for weight in quarter.weights] == [weight.shape for weight in small.weights]


def test_layers_of_one_shape_start_differently(small):
    first, second = (small.get_layer(f"conv2.1.conv2d.{index}.conv1").get_weights()[0] for index in (1, 2))
    assert np.abs(first - second).max() > 0


def test_too_small_an_image_is_refused():
    with pytest.raises(ValueError, match="osnet_x0_25: input_shape: expected sides of at least 16 pixels"):
        osnet_x0_25((64, 15, 3))


def test_the_channels_of_four_stages_are_wanted():
    with pytest.raises(ValueError, match="channels: expected four"):
        osnet((64, 32, 3), channels=(16, 64, 96))
