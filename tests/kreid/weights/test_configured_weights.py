"""`part.weights` and `appearance.weights` of a configuration: every format there is."""

import json

import keras
import numpy as np
import pytest
import wire
from configurations import changed
from tiny_runs import invoke
from torch_bytes import write_checkpoint, write_legacy_checkpoint

from kreid.cli.weights import app
from kreid.config.loading import check
from kreid.errors import ConfigError
from kreid.models import build_backbone
from kreid.models.embedders import build_model
from kreid.runs.folder import load_model

pytestmark = pytest.mark.usefixtures("short_resnet")

CAFFE_TYPES = {"weight": "Convolution", "slope": "PReLU"}


@pytest.fixture(scope="module")
def config(tiny):
    """The tiny two-stream configuration with the ResNet50 that torch files fit."""
    return changed(tiny, model={"appearance": {**tiny.model.appearance.model_dump(), "variant": "torchvision"}})


@pytest.fixture(scope="module")
def streams(config):
    """The two streams as far as files for them go, with weights that no network starts from."""
    part, appearance = config.model.part, config.model.appearance
    stages = {"paf_stages": part.paf_stages, "confidence_stages": part.confidence_stages}
    options = {"variant": "torchvision", "width_divisor": appearance.width_divisor}
    models = {
        "part": build_backbone("openpose_body_25", (64, 32, 3), width_divisor=part.width_divisor, **stages),
        "appearance": build_backbone("resnet50", (64, 32, 3), **options),
    }
    for model in models.values():
        for index, variable in enumerate(model.weights):
            variable.assign(np.random.default_rng(index).uniform(0.01, 0.1, variable.shape))
    return models


def upstream(stream):
    """A stream's weights under the names and in the layouts of Caffe and PyTorch."""
    tensors = {}
    for layer in stream.layers:
        values = [np.asarray(value) for value in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            kinds = ("weight", "bias", "running_mean", "running_var")
            tensors |= {f"{layer.name}.{kind}": value for kind, value in zip(kinds, values, strict=True)}
        elif isinstance(layer, keras.layers.PReLU):
            tensors[f"{layer.name}.slope"] = values[0].ravel()
        elif values:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            tensors[f"{layer.name}.weight"] = values[0].transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
            tensors |= {f"{layer.name}.bias": value for value in values[1:]}
    return tensors


def layers_of(tensors):
    """`{layer: [its arrays]}` and the layers' first kinds."""
    grouped = {}
    for name, array in tensors.items():
        layer, _, kind = name.rpartition(".")
        grouped.setdefault(layer, (kind, []))[1].append(array)
    return grouped


def write_caffe(path, tensors):
    layers = [
        wire.layer(name, CAFFE_TYPES[kind], *(wire.shape(*a.shape) + wire.floats(5, a.ravel()) for a in arrays))
        for name, (kind, arrays) in layers_of(tensors).items()
    ]
    path.write_bytes(b"".join(layers))


def write_old_caffe(path, tensors):
    layers = [
        wire.v1_layer(
            name,
            4 if kind == "weight" else 0,
            *(wire.legacy_shape(*(1,) * (4 - a.ndim), *a.shape) + wire.floats(5, a.ravel()) for a in arrays),
        )
        for name, (kind, arrays) in layers_of(tensors).items()
    ]
    path.write_bytes(b"".join(layers))


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        numbers = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)


WRITERS = {
    "old.caffemodel": write_old_caffe,
    "new.caffemodel": write_caffe,
    "zip.pth": write_checkpoint,
    "legacy.pth": write_legacy_checkpoint,
    "x.npz": lambda path, tensors: np.savez(path, **tensors),
    "x.safetensors": write_safetensors,
}


def check_streams(config, streams, **files):
    """Build the model with files of weights; what it keeps of each stream must equal the one that was saved."""
    sections = {
        stream: {**getattr(config.model, stream).model_dump(), "weights": str(file)} for stream, file in files.items()
    }
    other = build_model(changed(config, model=sections).model)
    for stream in files:
        for layer in other.get_layer(stream).layers:
            for actual, expected in zip(layer.weights, streams[stream].get_layer(layer.name).weights, strict=True):
                np.testing.assert_array_equal(actual, expected, err_msg=expected.path)


@pytest.mark.parametrize("name", WRITERS)
def test_a_configuration_takes_every_format(config, streams, tmp_path, name):
    files = {}
    for stream in ("part", "appearance")[: 1 if name.endswith("caffemodel") else 2]:
        files[stream] = tmp_path / f"{stream}-{name}"
        WRITERS[name](files[stream], upstream(streams[stream]))
    check_streams(config, streams, **files)


@pytest.mark.backend
def test_a_configuration_takes_what_keras_saved(config, streams, tmp_path):
    files = {stream: tmp_path / f"{stream}.weights.h5" for stream in ("part", "appearance")}
    for stream, file in files.items():
        streams[stream].save_weights(file)
    check_streams(config, streams, **files)


def test_torchvisions_file_for_kerass_resnet_says_which_key_to_set(config, streams, tmp_path):
    np.savez(tmp_path / "x.npz", **upstream(streams["appearance"]))
    appearance = {**config.model.appearance.model_dump(), "variant": "keras", "weights": str(tmp_path / "x.npz")}
    with pytest.raises(ValueError, match=r"it is torchvision's ResNet50: set model\.appearance\.variant: torchvision$"):
        build_model(changed(config, model={"appearance": appearance}).model)


FC8 = {"backbone": "resnet50", "variant": "torchvision", "weights": None, "layer": "conv3", "width_divisor": 16}


def as_torchreid(appearance, file):
    """Tensors for a stream with 8 units behind it, as torchreid saves them, and how to load a file of them."""
    section = {"embedder": "one_stream", "image_size": [32, 32], "appearance": appearance, "fc": [8]}
    saved = build_model(check({"model": section}).model, pretrained=False)
    matrix = saved.get_layer("fc.0").get_weights()[0].T + 1
    tensors = {**upstream(saved.get_layer("appearance")), "fc.0.weight": matrix, "fc.0.bias": np.ones(8)}
    tensors |= {f"fc.1.{kind}": np.full(8, 0.5) for kind in ("weight", "bias", "running_mean", "running_var")}
    tensors["classifier.weight"] = np.zeros((10, 8))

    def load(tensors):
        np.savez(file, **tensors)
        weights = {**appearance, "weights": str(file)}
        return build_model(check({"model": {**section, "appearance": weights}}).model)

    return tensors, load


@pytest.fixture(scope="module")
def fc8(tmp_path_factory):
    """`as_torchreid` of a ResNet50."""
    return as_torchreid(FC8, tmp_path_factory.mktemp("fc8") / "x.npz")


@pytest.mark.parametrize("appearance", [FC8, {"backbone": "osnet_x0_25", "weights": None, "width_divisor": 4}])
def test_torchreids_files_bring_their_fully_connected_layers(appearance, tmp_path, caplog):
    tensors, load = as_torchreid(appearance, tmp_path / "x.npz")
    with caplog.at_level("INFO", "kreid"):
        model = load(tensors)
    matrix, bias = model.get_layer("fc.0").get_weights()
    np.testing.assert_allclose(matrix, tensors["fc.0.weight"].T)
    np.testing.assert_array_equal(bias, np.ones(8))
    np.testing.assert_array_equal(model.get_layer("fc.1").get_weights(), np.full((4, 8), 0.5))
    assert caplog.messages[-1].endswith("fully connected layers: 6 tensors loaded, 0 missing, 0 unused, 0 misshapen")


def test_fully_connected_layers_of_another_size_stay_out(fc8):
    tensors, load = fc8
    model = load(tensors | {"fc.0.weight": np.zeros((9, 32)), "fc.0.bias": np.zeros(9)})
    assert np.ptp(model.get_layer("fc.0").get_weights()[0]) > 0
    with pytest.raises(ValueError, match=r"^model\.appearance\.weights: .*x\.npz: fc\.1\.bias: 8 of 8 values are NaN"):
        load(tensors | {"fc.1.bias": np.full(8, np.nan)})


def test_a_run_of_a_file_holds_its_weights(fc8, tmp_path, capsys):
    """A published network is scored without a training."""
    tensors, _ = fc8
    np.savez(tmp_path / "x.npz", **tensors)
    stream = "{backbone: resnet50, variant: torchvision, weights: null, layer: conv3, width_divisor: 16}"
    section = f"model: {{embedder: one_stream, image_size: [32, 32], fc: [8], appearance: {stream}}}"
    (tmp_path / "c.yaml").write_text(section, encoding="utf-8")
    line = ["run", tmp_path / "c.yaml", "--out", tmp_path / "run"]
    code, _, err = invoke(capsys, app, *line)
    assert code == 2
    assert err.endswith("c.yaml: names no weights; give some, as --set model.appearance.weights=FILE\n")
    line += ["--set", f"model.appearance.weights={tmp_path / 'x.npz'}"]
    code, lines, err = invoke(capsys, app, *line)
    assert (code, lines) == (0, [str(tmp_path / "run")]), err
    assert "fully connected layers: 6 tensors loaded" in err
    model = load_model(tmp_path / "run")
    np.testing.assert_allclose(model.get_layer("fc.0").get_weights()[0].T, tensors["fc.0.weight"])
    found = upstream(model.get_layer("appearance"))
    assert found
    for name, value in found.items():
        np.testing.assert_array_equal(value, tensors[name])
    code, _, err = invoke(capsys, app, *line)
    assert (code, "run: exists already; " in err) == (2, True)


def test_a_file_that_is_not_there_is_a_mistake_of_the_configuration(config):
    part = {**config.model.part.model_dump(), "weights": "gone.caffemodel"}
    with pytest.raises(ConfigError, match=r"^model\.part\.weights: gone\.caffemodel: no such file$"):
        build_model(changed(config, model={"part": part}).model)
