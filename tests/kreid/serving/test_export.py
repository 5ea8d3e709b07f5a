"""The SavedModel, loaded as TensorFlow Serving loads it: by the C++ loader, not by Python."""

import errno
import io
import json
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf
from c_api import SavedModel
from PIL import Image

from kreid.data.file_errors import as_os_error
from kreid.data.images import decode_and_resize
from kreid.layers.bilinear import CompactBilinearPooling
from kreid.layers.normalization import L2Normalization
from kreid.layers.preprocessing import ImagePreprocessing
from kreid.serving import written
from kreid.serving.crops import draw_crops
from kreid.serving.encoded import _pixels, decode_files
from kreid.serving.export import _archive, export, export_version
from kreid.serving.formats import MAX_PIXELS


@pytest.fixture(scope="module")
def model():
    """Two convolutions, fused: what of kreid's own an export has to carry."""
    keras.utils.set_random_seed(1)
    image = keras.Input((64, 32, 3))
    x = ImagePreprocessing(mean=128, std=256, channel_order="bgr")(image)
    maps = [keras.layers.Conv2D(channels, 3, strides=8)(x) for channels in (6, 5)]
    fused = CompactBilinearPooling(32, normalize=False)(maps)
    return keras.Model(image, {"embedding": L2Normalization()(fused)})


@pytest.fixture(scope="module", autouse=True)
def few_crops():
    with pytest.MonkeyPatch.context() as patched:
        crops = draw_crops(20)
        patched.setattr(written, "draw_crops", lambda: crops)
        yield


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("run") / "serving")


@pytest.fixture(scope="module")
def archive(model):
    return _archive(model, MAX_PIXELS)


@pytest.fixture
def traced(archive, monkeypatch):
    """Signatures that are traced already, for tests of what is written: that takes longest."""
    monkeypatch.setattr("kreid.serving.export._archive", lambda model, max_pixels: archive)


def png(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), pixels


def test_signatures_equal_the_model(model, exported):
    assert exported.parts[-2:] == ("serving", "1")
    loaded = tf.saved_model.load(str(exported))
    files = [png(90, 40, 0)[0], png(50, 70, 1)[0], png(64, 32, 2)[0]]
    expected = model(np.stack([decode_and_resize(file, (64, 32)) for file in files]))["embedding"]
    for name in ("encoded", "serving_default"):
        served = loaded.signatures[name](image_bytes=tf.constant(files))["embedding"]
        np.testing.assert_allclose(served, expected, atol=1e-6)
    _, pixels = png(64, 32, 2)
    served = loaded.signatures["pixels"](image=tf.constant(pixels[None], tf.float32))["embedding"]
    np.testing.assert_allclose(served, expected[2:], atol=1e-6)
    # Of two convolutions, and two hashes and their signs.
    assert (len(loaded.variables), len(loaded.trainable_variables)) == (8, 4)


@pytest.mark.usefixtures("traced")
def test_versions_count_up_and_nothing_half_written_stays(model, tmp_path):
    (tmp_path / "serving" / "7").mkdir(parents=True)
    assert export(model, tmp_path / "serving").name == "8"
    assert sorted(path.name for path in (tmp_path / "serving").iterdir()) == [
        "7",
        "8",
        "batching.config",
        "models.config",
    ]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("most", [1000, 100_000])
def test_a_full_disk_leaves_no_version(model, tmp_path, most):
    """The file with the graph, or the one with the weights, becomes too large."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            export(model, tmp_path / "serving")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(tmp_path / "serving")
    assert not list((tmp_path / "serving").iterdir())


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (
            tf.errors.ResourceExhaustedError(None, None, "/x/a; No space left on device"),
            errno.ENOSPC,
            "No space left",
        ),
        (tf.errors.UnknownError(None, None, "{{node Save}} /x/.partial-1/b; Disc on fire"), errno.EIO, "Disc on fire"),
    ],
)
def test_what_tensorflow_says_of_a_file_names_the_users(error, code, reason):
    told = as_os_error(error, "serving")
    assert (told.errno, told.filename) == (code, "serving")
    assert told.strerror.startswith(reason)


@pytest.fixture(scope="module")
def served(exported):
    """`TF_LoadSessionFromSavedModel`, which some SavedModels of Keras models fail in although Python loads them."""
    return SavedModel(exported)


def test_the_cpp_loader_runs_it(model, served):
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)).astype("float32")
    found = served.run("pixels", image=image)["embedding"]
    np.testing.assert_allclose(found, model(image)["embedding"], atol=1e-6)


def test_a_bad_image_changes_no_others_answer(model, served):
    good = [png(90, 40, 0)[0], other_format("JPEG")]
    whole = png(50, 70, 1)[0]
    bad = {
        "empty": b"",
        "text": b"no image",
        "head alone": whole[:8],
        "half a head": whole[:20],
        "cut": whole[:-40],
        "flipped": whole[:200] + bytes([whole[200] ^ 255]) + whole[201:],
        "webp": other_format("WEBP"),
        "gif": other_format("GIF"),
        "bmp": other_format("BMP"),
        "jpeg cut": other_format("JPEG")[:300],
    }
    files = [good[0], *bad.values(), good[1]]
    found = served.run("checked", image_bytes=np.array(files, object))
    assert found["ok"].tolist() == [True, *[False] * len(bad), True], list(bad)
    expected = model(np.stack([decode_and_resize(file, (64, 32)) for file in good]))["embedding"]
    np.testing.assert_allclose(found["embedding"][[0, -1]], expected, atol=1e-6)
    assert not found["embedding"][1:-1].any()
    plain = served.run("encoded", image_bytes=np.array(files, object))
    assert set(plain) == {"embedding"}, "with another output, REST would answer in another form"
    np.testing.assert_array_equal(plain["embedding"], found["embedding"])
    alone = served.run("checked", image_bytes=np.array([b"no image"], object))
    assert alone["ok"].tolist() == [False]
    assert alone["embedding"].shape == (1, 32)
    assert served.run("checked", image_bytes=np.array([], object))["embedding"].shape == (0, 32)


def other_format(name):
    pixels = np.random.default_rng(5).integers(0, 256, (70, 40, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name)
    return buffer.getvalue()


def test_an_image_of_too_many_pixels_is_not_decoded():
    """By the head alone: these heads have no pixels behind them, so that decoding them would fail otherwise."""
    small = png(4, 5, 0)[0]
    wide = small[:16] + (70_000).to_bytes(4, "big") + (70_000).to_bytes(4, "big") + small[24:]  # more than an int32
    jpeg = other_format("JPEG")
    files = tf.constant([small, wide, jpeg])
    assert decode_files(files, (8, 8), 20)[1].numpy().tolist() == [True, False, False]
    assert decode_files(files, (8, 8), 19)[1].numpy().tolist() == [False, False, False]
    assert decode_files(files, (8, 8), 70 * 40)[1].numpy().tolist() == [True, False, True]
    assert _pixels(tf.constant(wide)).numpy() == 4_900_000_000
    assert _pixels(tf.constant(jpeg)).numpy() == 2800
    assert _pixels(tf.constant(other_format("WEBP"))).numpy() == 0


def test_similarity_is_the_distance_of_embeddings(served):
    query = np.array([png(90, 40, 0)[0], b"bad"], object)
    gallery = np.array([png(90, 40, 0)[0], png(50, 70, 1)[0], b"bad"], object)
    found = served.run("similarity", query=query, gallery=gallery)
    vectors = served.run("encoded", image_bytes=gallery)["embedding"]
    expected = [0, np.linalg.norm(vectors[0] - vectors[1]), 2]
    np.testing.assert_allclose(found["distance"], [expected, [2, 2, 2]], atol=2e-3)  # a root near 0
    assert found["query_ok"].tolist() == [True, False]
    assert found["gallery_ok"].tolist() == [True, True, False]


def test_the_warm_up_requests_are_answered(model, exported, served):
    """Read by TensorFlow Serving's own messages, and replayed by its loader."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    seen = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "kreid"
        signature = request.model_spec.signature_name
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        assert set(inputs) == set(served.signatures[signature].inputs)
        answer = served.run(signature, **inputs)
        seen.append((signature, len(next(iter(answer.values())))))
        assert all(good.all() for name, good in answer.items() if name.endswith("ok"))
        if "embedding" in answer:
            np.testing.assert_allclose(np.linalg.norm(answer["embedding"], axis=1), 1, atol=1e-5)
    names = ("serving_default", "encoded", "checked", "pixels", "similarity")
    assert sorted(seen) == sorted((name, count) for name in names for count in (1, 8))
    assert set(names) <= set(served.signatures)


def test_a_version_says_what_it_is(model, tmp_path):
    """And takes images as small as it is told, smaller than those it is checked with."""
    (tmp_path / "models.config").write_text("edited")
    version = export_version(model, tmp_path, {"name": "tiny", "metrics": [{"mAP": 0.5}]}, max_pixels=99)
    said = json.loads((version.path / "assets.extra" / "kreid.json").read_text())
    assert version.distance < 1e-6
    assert said["name"] == "tiny"
    assert said["metrics"] == [{"mAP": 0.5}]
    assert said["contract"]["network_size"] == [64, 32]
    assert said["contract"]["max_pixels"] == 99
    assert (tmp_path / "models.config").read_text() == "edited"
    assert "max_batch_size" in (tmp_path / "batching.config").read_text()


@pytest.mark.usefixtures("traced")
def test_what_computes_something_else_gets_no_number(model, tmp_path, monkeypatch):
    monkeypatch.setattr("kreid.serving.written.LIMIT", -1.0)
    with pytest.raises(ValueError, match="format saved_model: computes other embeddings than the network"):
        export(model, tmp_path)
    assert not list(tmp_path.iterdir())
