"""Files for other programs, run by those programs' own libraries."""

import ctypes
import errno
import gc
import importlib.util
import json
import shutil
import struct
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from kreid.errors import ConfigError
from kreid.layers.bilinear import CompactBilinearPooling
from kreid.layers.normalization import L2Normalization
from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ImagePreprocessing
from kreid.serving import crops as drawn
from kreid.serving import export_file as export_files
from kreid.serving import formats, onnx_file, written
from kreid.serving.contracts import CONTRACTS
from kreid.serving.export import export
from kreid.serving.export_file import export_file
from kreid.serving.formats import FILES
from kreid.serving.openvino_file import core

ABOUT = {
    "name": "tiny",
    "weights": "0123",
    "summary": {"training_set": {"images": 9}},
}


@pytest.fixture(scope="module")
def model():
    """Two streams, batch norms, bilinear pooling, a head and a classifier that stay at home."""
    keras.utils.set_random_seed(1)
    image = keras.Input((32, 16, 3))
    x = ImagePreprocessing(mean=128, std=64, channel_order="bgr")(image)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=4, use_bias=False)(x))
    maps = [layers.Conv2D(channels, 3, name=f"map{channels}")(layers.ReLU()(x)) for channels in (6, 5)]
    fused = CompactBilinearPooling(16, normalize=False)(maps)
    outputs = {"embedding": L2Normalization()(fused), "logits": layers.Dense(900, name="logits")(fused)}
    network = keras.Model(image, {**outputs, "head": L2Normalization(name="head")(layers.Dense(4)(fused))})
    norm = network.layers[3]
    norm.set_weights([np.random.default_rng(2).uniform(0.5, 2, value.shape) for value in norm.get_weights()])
    return network


@pytest.fixture(scope="module", autouse=True)
def few_crops():
    """Two drawn crops more than are sent alone; each takes some milliseconds."""
    with pytest.MonkeyPatch.context() as patched:
        crops = drawn.draw_crops(20)
        patched.setattr(written, "draw_crops", lambda: crops)
        yield


@pytest.fixture(scope="module")
def onnx_of_trackers(model, tmp_path_factory):
    return export_file(model, tmp_path_factory.mktemp("onnx") / "tiny.onnx", "onnx", "tracker", about=ABOUT)


def crops(count, size=(32, 16)):
    return np.random.default_rng(count).uniform(0, 255, (count, *size, 3)).astype("float32")


def embeddings(model, images):
    return np.asarray(model(images, training=False)["embedding"])


def test_trackers_feed_it_normalised_channels_first(model, onnx_of_trackers):
    assert onnx_of_trackers.distance < 1e-6
    run = onnx_file.read(onnx_of_trackers.path)
    for count in (1, 7):
        images = crops(count)
        scaled = (images / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        found = run(scaled.transpose(0, 3, 1, 2).astype("float32"))
        np.testing.assert_allclose(found, embeddings(model, images), atol=1e-5)
    np.testing.assert_allclose(onnx_of_trackers.run(images), found, atol=1e-5)
    assert np.allclose(IMAGENET_MEAN, 255 * np.array([0.485, 0.456, 0.406]))
    assert np.allclose(IMAGENET_STD, 255 * np.array([0.229, 0.224, 0.225]))


def test_an_onnx_file_says_what_it_is_and_holds_no_more(onnx_of_trackers):
    read = onnx.load(onnx_of_trackers.path)
    shapes = [[axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
              for value in (*read.graph.input, *read.graph.output)]  # fmt: skip
    assert shapes == [["batch", 3, 32, 16], ["batch", 16]]
    assert [value.name for value in (*read.graph.input, *read.graph.output)] == ["images", "embedding"]
    said = {line.key: line.value for line in read.metadata_props}
    assert said["name"] == "tiny"
    assert said["size"] == "32x16"
    assert said["contract"].startswith("tracker: NCHW, ")
    assert said["weights"] == "0123"
    assert json.loads(said["training_data"]) == {"images": 9}
    assert not {node.op_type for node in read.graph.node} & {"BatchNormalization"}
    assert sum(np.prod(tensor.dims) for tensor in read.graph.initializer) < 5000  # 900 classes would be 14400
    assert len(list(onnx_of_trackers.path.parent.iterdir())) == 1


@pytest.mark.parametrize("name", ["onnx", "litert", "openvino"])
def test_images_of_any_size_in_any_number(model, tmp_path, name):
    exported = export_file(model, tmp_path / f"tiny{FILES[name].suffix}", name, about=ABOUT)
    assert exported.distance < 1e-6
    run = FILES[name].load().read(exported.path)
    images = crops(3)
    np.testing.assert_allclose(run(images), embeddings(model, images), atol=1e-5)
    with_larger = run(crops(2, (70, 50)))
    assert with_larger.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(with_larger, axis=1), 1, atol=1e-5)
    beside = {".bin"} if name == "openvino" else set()
    assert {path.suffix for path in tmp_path.iterdir()} == {exported.path.suffix, *beside}
    if name == "openvino":
        assert core().read_model(exported.path).get_rt_info(["kreid", "name"]).astype(str) == "tiny"


@pytest.mark.parametrize(
    ("name", "precision"), [("onnx", "float16"), ("onnx", "int8"), ("litert", "float16"), ("litert", "int8"),
                            ("openvino", "float16")]
)  # fmt: skip
def test_less_precise_files_are_smaller_and_near(model, tmp_path, name, precision):
    exported = export_file(model, tmp_path / f"tiny{FILES[name].suffix}", name, precision=precision)
    assert 0 < exported.distance < {"float16": 1e-4, "int8": 0.05}[precision]
    assert exported.run(crops(2)).dtype == np.float32


def test_weights_of_int8_leave_a_bit_free(model, tmp_path):
    """Two products of 8 bits overflow the 16 bits that they are summed in where a processor has no VNNI."""
    export_file(model, tmp_path / "tiny.onnx", "onnx", precision="int8")
    values = map(onnx.numpy_helper.to_array, onnx.load(tmp_path / "tiny.onnx").graph.initializer)
    weights = [value for value in values if value.dtype == np.int8 and value.ndim > 1]
    assert len(weights) == 3
    assert max(np.abs(value.astype(int)).max() for value in weights) == 64


def test_exact_gelu_which_only_onnx_spells_otherwise(tmp_path):
    image = keras.Input((32, 16, 3))
    x = layers.Flatten()(layers.AveragePooling2D(8)(layers.Rescaling(1 / 64, -2.0)(image)))
    network = keras.Model(
        image, {"embedding": L2Normalization(name="embedding")(layers.Dense(8)(layers.Dense(8, activation="gelu")(x)))}
    )
    assert export_file(network, tmp_path / "gelu.onnx", "onnx").distance < 1e-9


def test_small_features_keep_their_direction_in_float16(tmp_path):
    """Their squares are below what float16 holds; the file sums them in float32."""
    keras.utils.set_random_seed(4)
    image = keras.Input((32, 16, 3))
    x = layers.Flatten()(layers.AveragePooling2D(8)(layers.Rescaling(1e-6)(image)))
    small = layers.Dense(8, use_bias=False)(x)
    network = keras.Model(image, {"embedding": L2Normalization(name="embedding")(small)})
    assert np.abs(np.asarray(keras.Model(image, small)(crops(2)))).max() < 1e-3
    assert export_file(network, tmp_path / "a.onnx", "onnx", "tracker", "float16").distance < 1e-3


def test_the_ranges_of_int8_come_from_the_calibration(model, tmp_path, monkeypatch):
    monkeypatch.setattr(written, "COARSE", 2)  # else what the dark makes is refused
    dark = export_file(model, tmp_path / "a.onnx", "onnx", "tracker", "int8", np.zeros((9, 32, 16, 3), "float32"))
    known = export_file(model, tmp_path / "b.onnx", "onnx", "tracker", "int8", crops(9))
    assert known.distance < dark.distance / 2


def test_what_computes_something_else_leaves_what_was_there(model, tmp_path, monkeypatch):
    path = tmp_path / "tiny.onnx"
    path.write_text("older")
    monkeypatch.setattr(written, "LIMIT", -1)
    with pytest.raises(ValueError, match=r"format onnx: computes other embeddings than the network, .* nothing is"):
        export_file(model, path, "onnx", "tracker")
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_left_overs_of_the_dead_are_removed_and_of_nobody_else(model, tmp_path, monkeypatch, onnx_of_trackers):
    (tmp_path / ".partial-export" / "tmp1" / "inner").mkdir(parents=True)
    (tmp_path / ".partial-7-ranking.json").touch()  # of a command that may be at work
    monkeypatch.setattr(onnx_file, "write", lambda network, path, *more: shutil.copy(onnx_of_trackers.path, path))
    export_file(model, tmp_path / "a.onnx", "onnx", "tracker")
    assert {path.name for path in tmp_path.iterdir()} == {"a.onnx", ".partial-7-ranking.json"}


def pair(folder, text):
    folder.mkdir(exist_ok=True)
    for suffix in (".xml", ".bin"):
        (folder / f"network{suffix}").write_text(text + suffix)
    return folder


@pytest.mark.parametrize("failing", ["former.xml", "former.bin", "new.bin", "new.xml"])
def test_a_pair_of_files_is_the_old_or_the_new_one(tmp_path, monkeypatch, failing):
    old, new = pair(tmp_path / "old", "old"), pair(tmp_path / "new", "new")
    replace = Path.replace

    def failing_once(path, target):
        written = path.parent == new and Path(target).parent == old
        if failing == f"{'new' if written else 'former'}{path.suffix}" and not path.name.startswith("former"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing_once)
    with pytest.raises(PermissionError):
        export_files._publish(new, new / "network.xml", old / "network.xml")
    assert {path.name: path.read_text() for path in old.iterdir()} == {
        "network.xml": "old.xml", "network.bin": "old.bin",
    }  # fmt: skip
    monkeypatch.undo()
    export_files._publish(pair(tmp_path / "again", "new"), tmp_path / "again/network.xml", old / "network.xml")
    assert sorted(path.read_text() for path in old.iterdir()) == ["new.bin", "new.xml"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (NotImplementedError("no such op:\nErfinv"), ValueError, "cannot hold this network .no such op: Erfinv."),
        (OSError(errno.ENOSPC, "No space left on device"), OSError, "No space left on device: '.*tiny"),
    ],
    ids=["op", "disk"],
)
def test_a_failed_file_leaves_nothing(model, tmp_path, monkeypatch, name, error, kind, message):
    def export(*arguments, **options):
        raise error

    monkeypatch.setattr(keras.Model, "export", export)
    with pytest.raises(kind, match=message):
        export_file(model, tmp_path / f"tiny{FILES[name].suffix}", name)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_is_told_before_the_work(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"out .*tiny.xml: expected a name that ends in .onnx"):
        export_file(None, tmp_path / "tiny.xml", "onnx")
    with pytest.raises(ConfigError, match="precision int8: openvino is written in float32, float16 here"):
        export_file(None, tmp_path / "tiny.xml", "openvino", precision="int8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else True)
    with pytest.raises(ConfigError, match=r'needs onnxruntime, .* pip install "kreid\[onnx\]"'):
        export_file(None, tmp_path / "tiny.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_a_broken_package_is_not_the_networks_fault(model, tmp_path, monkeypatch):
    def read(path):
        raise ImportError("libcore.so: cannot open\nshared object file")

    monkeypatch.setattr(onnx_file, "write", lambda *arguments: None)
    monkeypatch.setattr(onnx_file, "read", read)
    with pytest.raises(ConfigError, match=r"onnxruntime one cannot be loaded \(libcore.so: cannot open shared object"):
        export_file(model, tmp_path / "tiny.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_a_model_without_an_embedding_is_told_what_is_expected(tmp_path):
    plain = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten()])
    for path, format in ((tmp_path / "plain.onnx", "onnx"), (tmp_path / "serving", "saved_model")):
        with pytest.raises(ConfigError, match="expected a functional one .* `embedding`, .* received a Sequential"):
            export(plain, path, format)
    assert not list(tmp_path.iterdir())


def test_wrong_embeddings_are_no_embeddings(model):
    seen = written.Crops.draw(model)
    with pytest.raises(ValueError, match=r"gives embeddings \(20, 15\), expected \(20, 16\)"):
        seen.distance(lambda images: np.ones((len(images), 15)), any_size=False)
    with pytest.raises(ValueError, match="not finite, of 20 of 20 crops.* in float32$"):
        seen.distance(lambda images: np.full((len(images), 16), np.nan), any_size=False)


def test_cosine_distance_by_hand():
    rows = np.array([[1.0, 0], [1, 0], [3, 0], [0, 0]]), np.array([[1.0, 0], [0, 2], [-1, 0], [1, 0]])
    np.testing.assert_allclose(written.cosine_distance(*rows), [0, 1, 2, 0.5])
    near = written.cosine_distance(np.array([[1, 1e-9]]), np.array([[1.0, 0]]))
    np.testing.assert_allclose(near, 5e-19)


def test_every_extra_is_named_like_its_format():
    assert set(FILES) == set(formats.FILES)
    assert set(CONTRACTS) == {"images", "tracker"}


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"format": "pmml"}, "format: expected saved_model or onnx or litert or openvino, received 'pmml'"),
        ({"contract": "tracker"}, "contract of saved_model: expected images, received 'tracker'"),
        ({"precision": "int8"}, "precision of saved_model: expected float32, received 'int8'"),
        ({"format": "onnx", "contract": "video"}, "contract of onnx: expected images or tracker, received 'video'"),
        ({"format": "onnx", "precision": "float8"}, "precision of onnx: expected float32 or"),
    ],
)
def test_export_says_what_there_is(model, tmp_path, asked, words):
    with pytest.raises(ConfigError, match=words):
        export(model, tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()


def test_export_writes_a_file_as_export_file_does(model, tmp_path, monkeypatch):
    monkeypatch.setattr("kreid.serving.export.export_file", lambda *given: written.Written(given[1], 0.0, given))
    assert export(model, tmp_path / "a.onnx", "onnx", "tracker", "float16") == tmp_path / "a.onnx"


def test_openvino_reports_to_nobody():
    assert sys.modules["openvino_telemetry"] is None


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells which memory a process has")
def test_signals_have_a_stack_after_openvino(model, tmp_path):
    """Two networks were open and are closed in the order of their opening, which took the memory of the second away."""
    path = export_file(model, tmp_path / "tiny.xml", "openvino").path
    read = FILES["openvino"].load().read
    first, second = read(path), read(path)
    del first
    gc.collect()
    del second
    gc.collect()
    stack = ctypes.create_string_buffer(24)  # stack_t: a pointer, an int padded to eight bytes, a size
    assert ctypes.CDLL(None).sigaltstack(None, stack) == 0
    at, flags, size = struct.unpack("PixxxxN", stack.raw)
    spans = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines()]
    assert flags or any(int(start, 16) <= at and at + size <= int(end, 16) for start, end in spans)
