"""A network that is given the camera of each image, from training to the report, and where it is refused."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from configurations import changed
from tiny_runs import invoke, make_run

import kreid
from kreid.cli.embed import app as embed_app
from kreid.cli.evaluate import app as evaluate_app
from kreid.cli.export import app as export_app
from kreid.cli.look import app as look_app
from kreid.cli.match import app as match_app
from kreid.cli.rank import app as rank_app
from kreid.cli.search import app as search_app
from kreid.cli.train import app as train_app
from kreid.cli.weights import app as weights_app
from kreid.config.loading import dump
from kreid.data.records import record_batches
from kreid.data.training_set import TrainingSet, training_batches
from kreid.embedding.extract import embed, embed_encoded, embed_files
from kreid.errors import ConfigError
from kreid.look.viewer import Viewer
from kreid.models import vit_origins
from kreid.runs.folder import load_config_of, load_model
from kreid.serving.export import export
from kreid.tracks.crops import crops_of_files
from kreid.tracks.folders import tracks_of_paths
from kreid.training import run as training_run
from kreid.training.run import train
from kreid.training.step import Step
from tfrecords_tools import console
from tfrecords_tools.index import read_index

STREAM = {"backbone": "transreid_vit_s16", "weights": None, "layer": "block_1", "width_divisor": 16, "cameras": 3}


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(vit_origins.SIZES, "s16", vit_origins.SIZES["s16"]._replace(depth=1))
        yield


@pytest.fixture(scope="module")
def config(tiny_vit):
    return changed(tiny_vit, model={"appearance": STREAM}, train={"epochs": 1, "steps_per_epoch": 2})


@pytest.fixture(scope="module")
def trained(filmed, config, tmp_path_factory):
    """A run with all that has to get past the second input; tests that write into it take a copy."""
    everything = changed(config, train={"remat": True, "accumulate": 2, "clip_norm": 1.0, "layer_decay": 0.9})
    tf.config.run_functions_eagerly(True)
    try:
        return train(everything, filmed, tmp_path_factory.mktemp("trained") / "run", quiet=True)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def others(config, tmp_path):
    """An untrained run whose cameras are called 1, 2 and x."""
    names = {"appearance": {**STREAM, "camera_names": ["1", "2", "x"]}}
    return make_run(tmp_path / "others", changed(config, model=names))


@pytest.fixture
def crops(tmp_path):
    """Image files of two tracks on each of the cameras 2 and 1."""
    files = [tmp_path / "crops" / camera / track / "1.png" for camera in "21" for track in "ab"]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        keras.utils.save_img(file, np.full((32, 16, 3), 50 * number), scale=False)
    return files


@pytest.fixture
def unloaded(monkeypatch):
    """Commands that complain too late, after loading TensorFlow, complain of that."""

    def late():
        raise RuntimeError("too late")

    monkeypatch.setattr(console.tensorflow, "load_tensorflow", late)


def test_the_run_says_which_cameras_its_are(trained):
    assert load_config_of(trained).model.appearance.camera_names == ("1", "2", "3")


def test_a_batch_brings_the_camera_of_each_image(filmed, config):
    training_set = TrainingSet(filmed, config.data, seed=1)
    cameras = training_set.index.camera[training_set.rows].astype("int32")
    plan = list(training_set.sampler.epoch(0))[:1]
    inputs, labels = next(iter(training_batches(training_set, (32, 16), plan, cameras=cameras)))
    assert inputs["image"].shape == (16, 32, 16, 3)
    np.testing.assert_array_equal(inputs["camera"], training_set.index.camera[training_set.rows[plan[0]]])
    np.testing.assert_array_equal(labels, training_set.label[plan[0]])


def test_the_vectors_of_cameras_learn(trained, config):
    keras.utils.set_random_seed(config.train.seed)
    before = kreid.build_model(load_config_of(trained).model, pretrained=False)
    first, last = (
        np.asarray(model.get_layer("appearance").get_layer("sie_embed").embeddings)
        for model in (before, load_model(trained))
    )
    assert (np.abs(last - first).max(1) > 1e-4).all()


def test_every_gradient_is_whole_as_machines_add_it_up(config):
    step = Step(config, tf.distribute.get_strategy(), pretrained=False)
    inputs = {"image": tf.random.uniform((4, 32, 16, 3)), "camera": tf.constant([0, 2, 0, 1])}
    _, gradients = step._gradients(inputs, tf.constant([[0, 0], [0, 0], [1, 0], [1, 0]]))
    assert not [gradient for gradient in gradients if isinstance(gradient, tf.IndexedSlices)]


def test_records_are_embedded_with_their_cameras(filmed, trained):
    model, folder = load_model(trained), filmed / "test"
    images = np.concatenate(list(record_batches(folder, (32, 16)).as_numpy_iterator()))
    camera = read_index(folder).camera.astype("int32")  # whose names are 1 to 3: the network's numbers, too
    expected = np.asarray(model({"image": images, "camera": camera})["embedding"])
    rows = np.array([40, 3, 17])
    np.testing.assert_allclose(embed(model, folder, batch_size=7).vectors, expected, atol=1e-5)
    np.testing.assert_allclose(embed(model, folder, rows=rows).vectors, expected[rows], atol=1e-5)
    seen = Viewer(model).see(images[:3], cameras=[str(1 + number) for number in camera[:3]])
    np.testing.assert_allclose([one.embedding for one in seen], expected[:3], atol=1e-5)


def test_scores_report_and_vectors_come_by_the_usual_commands(filmed, run, capsys, tmp_path):
    with (run / "log.csv").open() as file:
        logged = float(list(csv.DictReader(file))[-1]["valid_mAP"])
    code, _, err = invoke(capsys, evaluate_app, run, "--data", filmed, "--split", "valid")
    assert (code, err) == (0, "")
    assert json.loads((run / "metrics_valid.json").read_text())["mAP"] == pytest.approx(logged, abs=1e-5)
    assert invoke(capsys, rank_app, run, "--data", filmed)[0] == 0
    assert "What makes them alike" in (run / "report_test.html").read_text()
    assert invoke(capsys, embed_app, run, filmed / "test", "--out", tmp_path / "x.npz")[0] == 0
    assert invoke(capsys, search_app, run, "--gallery", filmed / "test", "--query", filmed / "valid")[0] == 0


def test_tracks_in_folders_tell_their_cameras(trained, crops):
    model = load_model(trained)
    expected = embed_files(model, crops, cameras=["2", "2", "1", "1"])
    found = crops_of_files(model, crops, tracks_of_paths(crops)).vectors(np.arange(4))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(embed_files(model, crops, cameras=["1", "1", "1", "1"])[:2] - expected[:2]).max() > 1e-5


def test_python_asks_for_cameras_in_a_line(trained, crops, tmp_path):
    model = load_model(trained)
    with pytest.raises(ConfigError, match=r"^cameras: the network asks for the camera of each image"):
        embed_files(model, crops)
    with pytest.raises(ConfigError, match=r"^cameras: expected 4 names, one an image, received 1 in a list"):
        embed_files(model, crops, cameras=["1"])
    with pytest.raises(ValueError, match=r"^cameras: 4 images are of camera 'z', which is none of the network's 3"):
        embed_files(model, crops, cameras=["z"] * 4)
    with pytest.raises(ConfigError, match=r"^images: the network asks"):
        embed_encoded(model, [], 0)
    with pytest.raises(ConfigError, match=r"^cameras: the network asks"):
        Viewer(model).see(np.zeros((1, 32, 16, 3)))
    with pytest.raises(ConfigError, match=r"^cameras: expected 2 names, one an image, received 1 in a list"):
        Viewer(model).see(np.zeros((2, 32, 16, 3)), cameras=["1"])
    with pytest.raises(ConfigError, match=r"^model: the network asks"):
        export(model, tmp_path / "x.onnx", "onnx")
    assert not (tmp_path / "x.onnx").exists()


ALONE = "the network of RUN asks for the camera of each image (model.appearance.cameras), which nothing tells here"


@pytest.mark.parametrize(
    ("app", "arguments", "opening"),
    [
        (embed_app, ["CROPS", "--out", "x.npz"], "IMAGES"),
        (look_app, ["CROPS", "--out", "looks"], "IMAGES"),
        (search_app, ["--query", "CROPS", "--gallery", "TEST"], "--query"),
        (export_app, [], "--format saved_model"),
        (export_app, ["--format", "onnx"], "--format onnx"),
    ],
)
@pytest.mark.usefixtures("unloaded")
def test_images_without_cameras_are_refused(app, arguments, opening, run, crops, filmed, capsys):
    places = {"CROPS": crops[0].parents[2], "TEST": filmed / "test"}
    code, _, err = invoke(capsys, app, run, *(places.get(argument, argument) for argument in arguments))
    assert code == 2
    assert err.count("\n") == 1
    assert f"{opening}: {ALONE.replace('RUN', str(run))}" in err


@pytest.mark.usefixtures("unloaded")
def test_records_of_other_cameras_are_refused(others, run, filmed, records, crops, capsys, tmp_path):
    for app, arguments in (
        (evaluate_app, ["--data", filmed]),
        (rank_app, ["--data", filmed]),
        (embed_app, [filmed / "test", "--out", tmp_path / "x.npz"]),
    ):
        code, _, err = invoke(capsys, app, others, *arguments)
        assert code == 1
        assert "images are of camera '3', which is none of the network's 3 (1, 2, x)" in err
    code, _, err = invoke(capsys, evaluate_app, run, "--data", records)
    assert code == 1
    assert "records tell no camera, which the network asks for" in err
    crops[0].parents[1].rename(crops[0].parents[2] / "z")
    code, _, err = invoke(capsys, match_app, run, crops[0].parents[2])
    assert code == 1
    assert "CROPS: 2 images are of camera 'z'" in err


@pytest.mark.usefixtures("unloaded")
def test_training_refuses_other_cameras_at_once(config, filmed, records, capsys, tmp_path):
    (tmp_path / "c.yaml").write_text(dump(config))
    begin = [tmp_path / "c.yaml", "--out", tmp_path / "run", "--data"]
    code, _, err = invoke(capsys, train_app, *begin, filmed, "--set", "model.appearance.cameras=2")
    assert code == 2
    assert "model.appearance.cameras: expected 3, those of" in err
    code, _, err = invoke(capsys, train_app, *begin, records)
    assert code == 1
    assert "records tell no camera" in err
    code, _, err = invoke(capsys, train_app, *begin, filmed, "--set", "model.appearance.backbone=vit_s16")
    assert code == 2
    assert "cameras: vit_s16 has no vectors of cameras" in err
    weights = tmp_path / "x.npz"
    weights.touch()
    code, _, err = invoke(
        capsys, weights_app, "run", tmp_path / "c.yaml", "--set", f"model.appearance.weights={weights}", *begin[1:3]
    )
    assert code == 2
    assert "names none of its 3 cameras; give model.appearance.camera_names" in err
    assert not (tmp_path / "run").exists()


def test_cameras_that_only_validation_has_are_told_before_the_first_step(config, filmed, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training_run, "learned_cameras", lambda *arguments: ("1", "2", "x"))
    with pytest.raises(ValueError, match=r"valid: \d+ images are of camera '3'.*; give others, or set train\.validate"):
        train(config, filmed, tmp_path / "run", quiet=True)
    assert "cameras without training images, whose vectors stay as they begin: x" in caplog.text
    assert not (tmp_path / "run").exists()
