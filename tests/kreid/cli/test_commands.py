"""The commands, each a process of its own, on what the one before left on disk; and what they say to mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from paths import ROOT
from PIL import Image

from kreid.config.loading import load_config

BIN = Path(sys.executable).parent
TUNE = ("{yaml}", "--data", "{records}", "--space", "{space}")


def command(name, *arguments, cwd=None):
    """Run a console script as a user does, from another folder than the checkout's."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    line = [str(BIN / name), *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def run(records, tmp_path_factory):
    """A tiny run, made by the command."""
    folder = tmp_path_factory.mktemp("line")
    part = {"paf_stages": 1, "confidence_stages": 1, "width_divisor": 32}
    appearance = {"weights": None, "layer": "conv3", "width_divisor": 16}
    model = {"embedder": "two_stream", "image_size": [64, 32], "appearance": appearance, "part": part}
    train = {"epochs": 1, "steps_per_epoch": 2}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"model": model, "train": train}), encoding="utf-8")
    done = command("kreid-train", "tiny.yaml", "--data", records, "--out", "run", "--set", "train.seed=3", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "run\n"
    assert "epoch 1/1 done  loss" in done.stderr
    assert "part stream: random weights" in done.stderr
    assert "Traceback" not in done.stderr
    return folder / "run"


def test_evaluate_writes_fractions_and_prints_percent(run, records):
    done = command("kreid-evaluate", run, "--data", records, "--split", "test", "--baselines")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    metrics = json.loads((run / "metrics_test.json").read_text())
    assert 0 < metrics["mAP"] <= 1
    assert metrics["rank1"] <= metrics["rank5"] <= metrics["rank10"] <= 1
    lines = done.stdout.splitlines()
    assert lines[-1] == str(run / "metrics_test.json")
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:-1]}
    assert list(rows) == ["trained", "untrained", "random"]
    assert float(rows["trained"][0]) == pytest.approx(100 * metrics["mAP"], abs=0.06)
    assert 0 < metrics["baselines"]["random"]["mAP"] < 0.6


def test_rank_writes_every_gallery_of_the_challenge_once(run, records):
    done = command("kreid-rank", run, "--data", records, "--split", "challenge")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(run / "report_challenge.html")
    ranking = json.loads((run / "ranking_challenge.json").read_text())
    with np.load(records / "challenge" / "index.npz") as index:
        query, action, bbox = index["is_query"], index["action"], index["bbox"]
    assert set(ranking) == {str(b) for b in bbox[query]}
    for b, a in zip(bbox[query], action[query], strict=True):
        assert sorted(ranking[str(b)]) == sorted(bbox[~query & (action == a)].tolist())
    page = (run / "report_challenge.html").read_text(encoding="utf-8")
    assert "<html" in page[:500]
    assert page.count('id="look-') > len(ranking)  # what the network sees in each query and its best gallery images


def test_rank_without_looks(run, records):
    from kreid.cli.rank import app
    from tfrecords_tools import console

    with pytest.raises(SystemExit) as left:
        console.run(app, [str(run), "--data", str(records), "--split", "valid", "--no-look"])
    assert left.value.code == 0
    assert 'id="look-' not in (run / "report_valid.html").read_text(encoding="utf-8")


def test_embed_takes_files_folders_and_records(run, records, tmp_path):
    images = records.parent / "tree" / "reid" / "challenge" / "query"
    one = sorted(images.glob("*.png"))[0]
    for sources, name in (([one], "one.npz"), ([images], "folder.npz"), ([records / "test"], "records.npz")):
        done = command("kreid-embed", run, *sources, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "one.npz") as single, np.load(tmp_path / "folder.npz") as folder:
        assert folder["path"][0] == str(one)
        np.testing.assert_allclose(single["vectors"][0], folder["vectors"][0], atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(folder["vectors"], axis=1), 1, atol=1e-5)
    with np.load(tmp_path / "records.npz") as test:
        assert set(test.files) == {"vectors", "person", "action", "bbox", "is_query"}


def test_look_draws_images_and_pairs(run, records, tmp_path):
    query, gallery = (records.parent / "tree" / "reid" / "challenge" / name for name in ("query", "gallery"))
    one, two = sorted(query.glob("*.png"))[:2]
    (tmp_path / one.name).write_bytes(sorted(gallery.glob("*.png"))[0].read_bytes())  # another image of the same name
    done = command(
        "kreid-look", run, one, two, one.name, "--layers", "conv3,conv1", "--pairs", "--out", "seen", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    a, b = one.stem, two.stem
    names = [f"{a}_look", f"{b}_look", f"{a}_{b}_pair", f"{a}-2_look", f"{a}_{a}-2_pair"]
    assert done.stdout.splitlines() == [f"seen/{name}.png" for name in names]
    drawn = [np.asarray(Image.open(tmp_path / "seen" / f"{name}.png")) for name in names]
    assert drawn[0].shape == drawn[3].shape
    assert (drawn[0] != drawn[3]).any()
    assert (drawn[2] != drawn[4]).any()


def test_look_says_what_is_wrong(run, records, tmp_path, capsys):
    from kreid.cli.look import app
    from tfrecords_tools import console

    image = sorted((records.parent / "tree" / "reid" / "challenge" / "query").glob("*.png"))[0]
    (tmp_path / "images").mkdir()
    for name in ("a.png", "a_look.png"):
        (tmp_path / "images" / name).write_bytes(image.read_bytes())
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:-300])
    images, out, file = tmp_path / "images", tmp_path / "out", tmp_path / "cut.png"
    for code, arguments, message in (
        (2, [tmp_path, image, "--out", out], "not a run folder"),
        (2, [run, tmp_path / "none.png", "--out", out], "none.png: no such file or folder"),
        (2, [run, image, "--out", file], "cut.png: is a file; give a folder"),
        (2, [run, image, "--out", out, "--pairs"], "--pairs: expected two images or more"),
        (2, [run, images / "a.png", images / "a_look.png", "--out", images], "a_look.png is one of the images"),
        (2, [run, images, "--out", images / "new"], "give another folder"),
        (
            2,
            [run, image, "--out", out, "--layers", "conv3, conv4"],
            "no map 'conv4' in this network; it has conv1, conv2,",
        ),
        (1, [run, image, file, "--out", out], "cut.png: not a whole PNG or JPEG image"),
    ):
        with pytest.raises(SystemExit) as left:
            console.run(app, [str(one) for one in arguments])
        said = capsys.readouterr()
        assert left.value.code == code, said
        assert message in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""
    assert not out.exists()
    assert sorted(path.name for path in images.iterdir()) == ["a.png", "a_look.png"]


def test_export_writes_the_next_version(run):
    done = command("kreid-export", run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(run / "serving" / "1")
    assert (run / "serving" / "1" / "saved_model.pb").exists()


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """What a search may try: two layers, of which only one exists."""
    path = tmp_path_factory.mktemp("space") / "space.yaml"
    path.write_text("model.heads.layers: {choice: [[conv1], [conv9]]}", encoding="utf-8")
    return path


def test_tune_writes_a_configuration(records, space, tmp_path):
    appearance = {"weights": None, "layer": "conv2", "width_divisor": 8, "variant": "torchvision"}
    model = {"embedder": "one_stream", "image_size": [32, 32], "appearance": appearance}
    small = {"model": model, "data": {"persons": 4}, "train": {"epochs": 1, "steps_per_epoch": 1}}
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")
    line = ["one.yaml", "--data", records, "--space", space, "--folds", 2, "--out", "study"]
    done = command("kreid-tune", *line, cwd=tmp_path)
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
        ("kreid-train", ["nothing.yaml", "--data", "{records}", "--out", "new"], "nothing.yaml: cannot be read"),
        ("kreid-train", ["{yaml}", "--data", "nowhere", "--out", "new"], "--data nowhere: no such folder"),
        ("kreid-train", ["{yaml}", "--data", "{records}", "--out", "{run}"], "exists already"),
        ("kreid-train", ["{yaml}", "--data", "{records}", "--out", "new", "--resume"], "nothing to resume"),
        (
            "kreid-train",
            ["{yaml}", "--data", "{records}", "--out", "new", "--set", "train.epoch=1"],
            "did you mean epochs",
        ),
        ("kreid-train", ["{yaml}", "--data", "{records}", "--out", "new", "--set", "data.fraction=2"], "data.fraction"),
        ("kreid-evaluate", ["nowhere", "--data", "{records}"], "not a run folder"),
        ("kreid-evaluate", ["{run}", "--data", "{records}", "--split", "tset"], "no split 'tset'; found challenge"),
        ("kreid-evaluate", ["{run}", "--data", "{records}", "--metric", "l1"], "euclidean"),
        ("kreid-rank", ["{run}"], "--data"),
        ("kreid-embed", ["{run}", "nowhere.png", "--out", "x.npz"], "nowhere.png: no such file"),
        ("kreid-embed", ["{run}", "{yaml}", "--out", "x.json"], "ends in .npz"),
        ("kreid-export", ["nowhere"], "not a run folder"),
        ("kreid-tune", [*TUNE, "--out", "new", "--folds", "1"], "--folds"),
        ("kreid-tune", [*TUNE, "--out", "new", "--folds", "3"], "come from 2 game(s)"),
        ("kreid-tune", [*TUNE, "--out", "{run}", "--folds", "2"], "exists already and is no study"),
        ("kreid-tune", [*TUNE, "--out", "new", "--objective", "map"], "mAP"),
        ("kreid-tune", [*TUNE, "--out", "new", "--set", "model.embeder=x"], "did you mean embedder"),
        ("kreid-tune", ["{yaml}", "--data", "{records}", "--space", "{yaml}", "--out", "new"], "tiny.yaml: model: exp"),
        ("kreid-tune", ["{yaml}", "--data", "nowhere", "--space", "{space}", "--out", "new"], "no such folder"),
    ],
)
def test_wrong_arguments_end_with_2_and_one_line(run, records, space, tmp_path, name, arguments, message):
    places = {"records": records, "run": run, "yaml": run.parent / "tiny.yaml", "space": space}
    done = command(name, *(argument.format(**places) for argument in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_bad_data_ends_with_1_and_names_it(run, records, tmp_path):
    done = command("kreid-evaluate", run, "--data", records, "--split", "challenge")
    assert done.returncode == 1
    assert "withheld" in done.stderr
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    done = command("kreid-embed", run, tmp_path / "broken.png", "--out", tmp_path / "x.npz")
    assert done.returncode == 1
    assert "broken.png" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()


def test_missing_imagenet_weights_say_what_to_do(records, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no network, on any machine
    done = command("kreid-train", ROOT / "configs" / "two_stream.yaml", "--data", records, "--out", tmp_path / "run",
                   "--set", "data.fraction=1")  # fmt: skip
    assert done.returncode == 1
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in done.stderr
    assert "model.appearance.weights" in done.stderr
    assert "null" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
