"""ResNet50 against `keras.applications.ResNet50`; test_embedders holds it against torchreid's recorded outputs."""

import socket

import h5py
import keras
import numpy as np
import pytest
import torchreid
from checks import infer
from unfilled import unfilled

from kreid.models import resnet
from kreid.models.resnet import resnet50

SMALL = {"input_shape": (64, 32, 3), "width_divisor": 16}
VARIANTS = ["keras", "torchvision"]
NOISE = np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)).astype("float32")


def randomise(model, seed=0):
    """Give every weight a random value, so that no bias, mean or variance is at its neutral start."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name == "kernel":
            variable.assign(rng.normal(size=variable.shape) * np.sqrt(1 / np.prod(variable.shape[:-1])))
        elif variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        else:
            variable.assign(rng.normal(size=variable.shape) * 0.1)


@pytest.fixture(scope="module")
def small():
    """Both variants, narrow, for images of any size, with random weights."""
    models = {name: resnet50((None, None, 3), variant=name, width_divisor=16) for name in VARIANTS}
    for model in models.values():
        randomise(model)
    return models


def write_as_published(model, path):
    """Weights in the form of the published file: HDF5, a group a layer, attributes for the order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{variable.name}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value


@pytest.mark.slow
@unfilled()
def test_keras_variant_equals_keras_applications(tmp_path):
    published = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(96, 61, 3))
    randomise(published)
    write_as_published(published, tmp_path / resnet.NOTOP_FILE)
    images = np.pad(NOISE, ((0, 0), (0, 32), (0, 29), (0, 0)), mode="reflect")
    model = resnet50((96, 61, 3), variant="keras", last_stride=2, weights=tmp_path / resnet.NOTOP_FILE)
    actual = infer(model, images)
    names = {"conv1": "conv1_relu", **{f"conv{stage}": f"conv{stage}_block{n}_out" for stage, _, n in resnet.STAGES}}
    taps = {name: published.get_layer(layer).output for name, layer in names.items()}
    reference = keras.Model(published.input, taps)
    expected = infer(reference, keras.applications.resnet50.preprocess_input(images))
    for name in names:
        assert torchreid.difference(actual[name], expected[name]) < 1e-5, name
    assert model.count_params() == published.count_params() == 23_587_712


@pytest.mark.parametrize("variant, strided", [("keras", "conv5_block1_1_relu"), ("torchvision", "layer4.0")])
def test_last_stride_2_takes_every_second_place_of_last_stride_1(variant, strided, small):
    models = [resnet50(last_stride=2, variant=variant, **SMALL), small[variant]]
    models[0].set_weights(models[1].get_weights())
    coarse, fine = (
        infer(keras.Model(model.input, {**model.output, "strided": model.get_layer(strided).output}), NOISE)
        for model in models
    )
    np.testing.assert_allclose(fine["conv4"], coarse["conv4"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(fine["strided"][:, ::2, ::2], coarse["strided"], rtol=1e-4, atol=1e-4)
    assert fine["conv5"].shape == (2, 4, 2, 128)
    assert coarse["conv5"].shape == (2, 2, 1, 128)


@pytest.mark.parametrize(
    "variant, size, sides",
    [
        ("keras", (100, 61), [(50, 31), (25, 16), (13, 8), (7, 4), (7, 4)]),
        ("torchvision", (100, 61), [(50, 31), (25, 16), (13, 8), (7, 4), (7, 4)]),
        ("torchvision", (32, 33), [(16, 17), (8, 9), (4, 5), (2, 3), (2, 3)]),
    ],
)
def test_maps_have_half_the_sides_rounded_up_but_the_last_at_stride_1(variant, size, sides, small):
    found = small[variant].compute_output_shape((None, *size, 3))
    shapes = [found[f"conv{stage}"] for stage in range(1, 6)]
    assert shapes == [(None, *side, filters) for side, filters in zip(sides, (4, 16, 32, 64, 128), strict=True)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_maps_are_those_of_the_docstring(variant, small):
    maps = infer(small[variant], NOISE)
    assert sorted(maps) == ["conv1", "conv2", "conv3", "conv4", "conv5", "conv5_1", "conv5_2", "conv5_3"]
    np.testing.assert_array_equal(maps["conv5"], maps["conv5_3"])
    assert all(value.min() == 0 for value in maps.values())  # after the ReLU


@unfilled()
def test_parameters_of_the_torchvision_variant_are_torchvisions():
    # torchvision's resnet50 has 25,557,032 parameters, 2,049,000 of them in its classifier
    trainable = sum(int(np.prod(weight.shape)) for weight in resnet50(variant="torchvision").trainable_weights)
    assert trainable == 25_557_032 - 2_049_000


def test_open_sides_give_the_maps_of_fixed_ones(small):
    fixed = resnet50(variant="torchvision", **SMALL)
    fixed.set_weights(small["torchvision"].get_weights())
    expected = infer(fixed, NOISE)["conv5"]
    np.testing.assert_allclose(infer(small["torchvision"], NOISE)["conv5"], expected, rtol=1e-5, atol=1e-6)


def test_layers_of_one_shape_start_differently():
    model = resnet50(variant="torchvision", **SMALL)
    first, second = (model.get_layer(f"layer3.{block}.conv2").get_weights()[0] for block in (1, 2))
    assert np.abs(first - second).max() > 0


def test_imagenet_without_a_network_says_which_file_to_supply(monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise socket.gaierror("name resolution is off")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))  # where no cached file lies
    with pytest.raises(ValueError, match="could not be downloaded") as error:
        resnet50((64, 32, 3), weights="imagenet")
    for part in ("name resolution is off", resnet.NOTOP_FILE, "model.appearance.weights: null", "~/.keras/models"):
        assert part in str(error.value)


@unfilled()
def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("conv1_conv")
        file.attrs["layer_names"], group.attrs["weight_names"] = [b"conv1_conv"], [b"conv1_conv/kernel:0"]
        group["conv1_conv/kernel:0"] = np.zeros((7, 7, 3, 64), "float32")
    with pytest.raises(ValueError, match="is not the file that was expected"):
        resnet50((64, 32, 3), weights=path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variant": "caffe"}, "variant: expected one of keras, torchvision, received 'caffe'"),
        ({"last_stride": 3}, "last_stride: expected 1 or 2, received 3"),
        ({"input_shape": (64, 31, 3)}, "resnet50: input_shape: expected sides of at least 32 pixels"),
        ({"weights": "missing.h5"}, "weights: no such file: missing.h5"),
        ({"weights": "imagenet", "width_divisor": 2}, "weights: 'imagenet' fits width_divisor=1 only"),
        ({"weights": "imagenet", "variant": "torchvision"}, 'weights: expected None for variant "torchvision"'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        resnet50(**{"input_shape": (64, 32, 3), "width_divisor": 16 if "weights" not in options else 1, **options})
