"""The commands, on what the one before left on disk, and what they say to mistakes.

A process of its own where that proves something: that the script is there, and that none of TensorFlow's own words is
heard.
"""

import importlib
import json
import os
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from configurations import changed
from paths import ROOT
from PIL import Image
from tiny_runs import SHORT_STAGES, invoke, make_run, script

from kreid.config.loading import load_config
from kreid.models import resnet
from kreid.tuning import process as training_process
from tfrecords_tools.index import read_index

BIN = Path(sys.executable).parent
TUNE = ("{yaml}", "--data", "{records}", "--space", "{space}")


def command(name, *arguments, cwd=None):
    """Run a console script as a user does, from another folder than the checkout's."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    line = [str(BIN / name), *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)


def app_of(name):
    """A command, to run in this process."""
    return importlib.import_module(f"kreid.cli.{name}").app


@pytest.fixture(scope="module", autouse=True)
def resnet_to_conv2():
    """ResNet50 of one block in conv2; processes of their own build the whole, and read runs that end before."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resnet, "STAGES", SHORT_STAGES[:1])
        yield


@pytest.fixture(scope="module")
def run(records, tmp_path_factory):
    """A tiny run of one stream, made by the command; the README's lines, which are run too, have two."""
    folder = tmp_path_factory.mktemp("line")
    appearance = {"weights": None, "layer": "conv1", "width_divisor": 16}
    model = {"embedder": "one_stream", "image_size": [32, 32], "appearance": appearance, "fc": [16]}
    train = {"epochs": 1, "steps_per_epoch": 2, "pictures": 0}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"model": model, "train": train}), encoding="utf-8")
    done = script("kreid-train", "tiny.yaml", "--data", records, "--out", "run", "--set", "train.seed=3", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "run\n"
    assert "epoch 1/1 done  loss" in done.stderr
    assert "appearance stream: random weights" in done.stderr
    assert "Traceback" not in done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def run_of_two_maps(tiny_one, tmp_path_factory):
    """A run that nothing trained, whose network has the maps conv1 and conv2."""
    appearance = {**tiny_one.model.appearance.model_dump(), "layer": "conv2"}
    return make_run(tmp_path_factory.mktemp("two") / "run", changed(tiny_one, model={"appearance": appearance}))


def test_evaluate_writes_fractions_and_prints_percent(run, records):
    done = command("kreid-evaluate", run, "--data", records, "--split", "test", "--baselines")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    metrics = json.loads((run / "metrics_test.json").read_text())
    assert 0 < metrics["mAP"] <= 1
    assert metrics["rank1"] <= metrics["rank5"] <= metrics["rank10"] <= 1
    lines = done.stdout.splitlines()
    assert lines[-1] == str(run / "metrics_test.json")
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:5]}
    assert list(rows) == ["trained", "untrained", "random"]
    found = metrics["verification"]
    equal = f"equal error rate {100 * found['eer']:.1f} % at euclidean distance {found['threshold']:.3f}"
    pairs = f"{found['positives']} positive and {found['negatives']} negative pairs"
    assert lines[5] == f"same person or not: {equal}, of {pairs}"
    tar = 100 * found["accepted"][0]["tar"]
    assert lines[6].startswith(f"accepted of positive pairs (TAR): {tar:.1f} % at FAR 10 %")
    assert float(rows["trained"][0]) == pytest.approx(100 * metrics["mAP"], abs=0.06)
    assert 0 < metrics["baselines"]["random"]["mAP"] < 0.6


def test_rank_writes_every_gallery_of_the_challenge_once(run, records, capsys):
    code, lines, err = invoke(capsys, app_of("rank"), run, "--data", records, "--split", "challenge")
    assert (code, err) == (0, "")
    assert lines[-1] == str(run / "report_challenge.html")
    ranking = json.loads((run / "ranking_challenge.json").read_text())
    with np.load(records / "challenge" / "index.npz") as index:
        query, action, bbox = index["is_query"], index["action"], index["bbox"]
    assert set(ranking) == {str(b) for b in bbox[query]}
    for b, a in zip(bbox[query], action[query], strict=True):
        assert sorted(ranking[str(b)]) == sorted(bbox[~query & (action == a)].tolist())
    page = (run / "report_challenge.html").read_text(encoding="utf-8")
    assert "<html" in page[:500]
    assert page.count('id="look-') > len(ranking)  # what the network sees in each query and its best gallery images


def test_rank_without_looks(run, records, capsys):
    assert invoke(capsys, app_of("rank"), run, "--data", records, "--split", "valid", "--no-look")[0] == 0
    assert 'id="look-' not in (run / "report_valid.html").read_text(encoding="utf-8")


def test_a_page_of_other_records_is_said_to_be_replaced(run, records, capsys):
    line, page = [run, "--data", records, "--split", "valid", "--no-look"], run / "report_valid.html"
    own = read_index(records / "valid").digest()
    invoke(capsys, app_of("rank"), *line)
    assert page.read_text(encoding="utf-8").count(own) == 1
    assert invoke(capsys, app_of("rank"), *line)[2] == ""
    page.write_text(page.read_text(encoding="utf-8").replace(own, 64 * "0"), encoding="utf-8")
    note = f"{page}: the page that stood there was of other records, and is replaced\n"
    assert invoke(capsys, app_of("rank"), *line)[2] == note


def test_embed_takes_files_folders_and_records(run, records, tmp_path, capsys):
    images = records.parent / "tree" / "reid" / "challenge" / "query"
    one = sorted(images.glob("*.png"))[0]
    for sources, name in (([one], "one.npz"), ([images], "folder.npz"), ([records / "test"], "records.npz")):
        line = [run, *sources, "--out", tmp_path / name]
        assert invoke(capsys, app_of("embed"), *line) == (0, [str(tmp_path / name)], "")
    with np.load(tmp_path / "one.npz") as single, np.load(tmp_path / "folder.npz") as folder:
        assert folder["path"][0] == str(one)
        np.testing.assert_allclose(single["vectors"][0], folder["vectors"][0], atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(folder["vectors"], axis=1), 1, atol=1e-5)
    with np.load(tmp_path / "records.npz") as test:
        assert set(test.files) == {"vectors", "person", "action", "bbox", "is_query", "network", "flip"}


def test_look_draws_images_and_pairs(run_of_two_maps, records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    query, gallery = (records.parent / "tree" / "reid" / "challenge" / name for name in ("query", "gallery"))
    one, two = sorted(query.glob("*.png"))[:2]
    (tmp_path / one.name).write_bytes(sorted(gallery.glob("*.png"))[0].read_bytes())  # another image of the same name
    line = [run_of_two_maps, one, two, one.name, "--layers", "conv2,conv1", "--pairs", "--out", "seen"]
    code, lines, err = invoke(capsys, app_of("look"), *line)
    assert (code, err) == (0, "")
    a, b = one.stem, two.stem
    names = [f"{a}_look", f"{b}_look", f"{a}_{b}_pair", f"{a}-2_look", f"{a}_{a}-2_pair"]
    assert lines == [f"seen/{name}.png" for name in names]
    drawn = [np.asarray(Image.open(tmp_path / "seen" / f"{name}.png")) for name in names]
    assert drawn[0].shape == drawn[3].shape
    assert (drawn[0] != drawn[3]).any()
    assert (drawn[2] != drawn[4]).any()


def test_look_says_what_is_wrong(run_of_two_maps, records, tmp_path, capsys):
    image = sorted((records.parent / "tree" / "reid" / "challenge" / "query").glob("*.png"))[0]
    (tmp_path / "images").mkdir()
    for name in ("a.png", "a_look.png"):
        (tmp_path / "images" / name).write_bytes(image.read_bytes())
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:-300])
    images, out, file = tmp_path / "images", tmp_path / "out", tmp_path / "cut.png"
    run = run_of_two_maps
    for code, arguments, message in (
        (2, [tmp_path, image, "--out", out], "not a run folder"),
        (2, [run, tmp_path / "none.png", "--out", out], "none.png: no such file or folder"),
        (2, [run, image, "--out", file], "cut.png: is a file; give a folder"),
        (2, [run, image, "--out", out, "--pairs"], "--pairs: expected two images or more"),
        (2, [run, images / "a.png", images / "a_look.png", "--out", images], "a_look.png is one of the images"),
        (2, [run, images, "--out", images / "new"], "give another folder"),
        (
            2,
            [run, image, "--out", out, "--layers", "conv2, conv4"],
            "no map 'conv4' in this network; it has conv1, conv2",
        ),
        (1, [run, image, file, "--out", out], "cut.png: is not a whole PNG or JPEG image"),
    ):
        received, lines, err = invoke(capsys, app_of("look"), *arguments)
        assert (received, lines) == (code, []), err
        assert message in err
        assert err.count("\n") == 1
    assert not out.exists()
    assert sorted(path.name for path in images.iterdir()) == ["a.png", "a_look.png"]


def test_export_writes_the_next_version(run, capsys):
    code, lines, _ = invoke(capsys, app_of("export"), run)
    assert code == 0
    assert lines[-1] == str(run / "serving" / "1")
    assert (run / "serving" / "1" / "saved_model.pb").exists()


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """What a search may try: two layers, of which only one exists."""
    path = tmp_path_factory.mktemp("space") / "space.yaml"
    path.write_text("model.heads.layers: {choice: [[conv1], [conv9]]}", encoding="utf-8")
    return path


class Here(training_process.TrainingProcess):
    """Does in this process what the other one does; how they speak with each other, test_process sees to."""

    def train(self, *job):
        *job, on_validation = job
        job = ForkingPickler.loads(ForkingPickler.dumps(job))
        kind, *said = training_process._carry_out(SimpleNamespace(send=lambda sent: on_validation(*sent[1:])), *job)
        if kind != "done":
            raise training_process._RAISED[kind](*said)


@pytest.mark.usefixtures("unsynced")
def test_tune_writes_a_configuration(records, space, tmp_path, monkeypatch):
    monkeypatch.setattr("kreid.tuning.search.TrainingProcess", Here)
    appearance = {"weights": None, "layer": "conv1", "width_divisor": 8, "variant": "torchvision"}
    model = {"embedder": "one_stream", "image_size": [32, 32], "appearance": appearance}
    small = {"model": model, "data": {"persons": 4}, "train": {"epochs": 1, "steps_per_epoch": 1, "pictures": 0}}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")
    line = ["one.yaml", "--data", records, "--space", space, "--folds", 2, "--out", "study"]
    done = script("kreid-tune", *line, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    *table, best = done.stdout.splitlines()
    assert best == "study/best.yaml"
    assert [row.split("|")[-2].strip() for row in table[2:4]] == ["done", "failed"]
    assert "resnet50 has no map 'conv9'" in table[-1]
    assert done.stderr.count("appearance stream: random weights") == 1, "not in every fold again"
    assert "Traceback" not in done.stderr
    assert load_config(tmp_path / best).model.heads.layers == ("conv1",)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("train", ["nothing.yaml", "--data", "{records}", "--out", "new"], "nothing.yaml: cannot be read"),
        ("train", ["{yaml}", "--data", "nowhere", "--out", "new"], "--data nowhere: no such folder"),
        ("train", ["{yaml}", "--data", "{records}", "--out", "{run}"], "exists already"),
        ("train", ["{yaml}", "--data", "{records}", "--out", "new", "--resume"], "nothing to resume"),
        (
            "train",
            ["{yaml}", "--data", "{records}", "--out", "new", "--set", "train.epoch=1"],
            "did you mean epochs",
        ),
        ("train", ["{yaml}", "--data", "{records}", "--out", "new", "--set", "data.fraction=2"], "data.fraction"),
        ("evaluate", ["nowhere", "--data", "{records}"], "not a run folder"),
        ("evaluate", ["{run}", "--data", "{records}", "--split", "tset"], "no split 'tset'; found challenge"),
        ("evaluate", ["{run}", "--data", "{records}", "--metric", "l1"], "euclidean"),
        ("rank", ["{run}"], "--data"),
        ("embed", ["{run}", "nowhere.png", "--out", "x.npz"], "nowhere.png: no such file"),
        ("embed", ["{run}", "{yaml}", "--out", "x.json"], "ends in .npz"),
        ("export", ["nowhere"], "not a run folder"),
        ("tune", [*TUNE, "--out", "new", "--folds", "1"], "--folds"),
        ("tune", [*TUNE, "--out", "new", "--folds", "3"], "come from 2 game(s)"),
        ("tune", [*TUNE, "--out", "{run}", "--folds", "2"], "exists already and is no study"),
        ("tune", [*TUNE, "--out", "new", "--objective", "map"], "mAP"),
        ("tune", [*TUNE, "--out", "new", "--set", "model.embeder=x"], "did you mean embedder"),
        ("tune", ["{yaml}", "--data", "{records}", "--space", "{yaml}", "--out", "new"], "tiny.yaml: model: exp"),
        ("tune", ["{yaml}", "--data", "nowhere", "--space", "{space}", "--out", "new"], "no such folder"),
    ],
)
def test_wrong_arguments_end_with_2_and_one_line(
    run, records, space, tmp_path, monkeypatch, capsys, name, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"kreid.cli.{name}.load_tensorflow", None, raising=False)  # calling it would fail
    places = {"records": records, "run": run, "yaml": run.parent / "tiny.yaml", "space": space}
    code, lines, err = invoke(capsys, app_of(name), *(argument.format(**places) for argument in arguments))
    assert (code, lines) == (2, [])
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_damaged_configuration_of_a_run_is_named_alike(run, records, tmp_path, monkeypatch, capsys):
    """It is a configuration, whichever command reads it: exit code 2."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("model: {embedder: two_steam}", encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"")
    for name, arguments in (
        ("evaluate", ["--data", records]),
        ("rank", ["--data", records]),
        ("compare", ["--data", records]),
        ("embed", ["{tmp}/a.png", "--out", "x.npz"]),
        ("look", ["{tmp}/a.png", "--out", "seen"]),
        ("search", ["--gallery", "{tmp}/a.png", "--query", "{tmp}/a.png"]),
        ("export", []),
    ):
        line = [tmp_path / "run", *(str(argument).format(tmp=tmp_path) for argument in arguments)]
        code, lines, err = invoke(capsys, app_of(name), *line)
        assert (code, lines) == (2, []), name
        assert "config.yaml: model.embedder: expected two_stream or one_stream, received 'two_steam'" in err
        assert err.splitlines()[-1].startswith("error: ")


def test_bad_data_ends_with_1_and_names_it(run, records, tmp_path, capsys):
    code, _, err = invoke(capsys, app_of("evaluate"), run, "--data", records, "--split", "challenge")
    assert code == 1
    assert "withheld" in err
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    code, lines, err = invoke(capsys, app_of("embed"), run, tmp_path / "broken.png", "--out", tmp_path / "x.npz")
    assert (code, lines) == (1, [])
    assert "broken.png" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()


def test_missing_imagenet_weights_say_what_to_do(records, tmp_path, monkeypatch):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))  # where no cached file lies
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no network, on any machine
    line = [ROOT / "configs" / "two_stream.yaml", "--data", records, "--out", tmp_path / "run"]
    done = script("kreid-train", *line, "--set", "data.fraction=1", cwd=tmp_path)
    assert done.returncode == 1
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in done.stderr
    assert "model.appearance.weights" in done.stderr
    assert "null" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_what_a_step_costs_is_printed_without_records(run, capsys):
    code, lines, _ = invoke(capsys, app_of("batch"), run.parent / "tiny.yaml", "--cost")
    assert code == 0
    assert any(line.split() == ["embedding", "16", "numbers"] for line in lines)
    assert any(line.startswith("memory of a step: activations of 32 images") for line in lines)
    for options, message in (
        (["--cost", "--out", "a.png"], "error: --cost: draws nothing"),
        ([], "expected --data and --out for"),
    ):
        code, _, said = invoke(capsys, app_of("batch"), run.parent / "tiny.yaml", *options)
        assert code == 2
        assert message in said
