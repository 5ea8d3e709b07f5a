"""Every program of examples/, in this process and at toy size: what it returns and what it leaves."""

import importlib.util
import json

import keras  # noqa: F401 - draws random numbers where it is imported
import numpy as np
import pytest
from paths import ROOT
from sets import write_tracks

import kreid

EXAMPLES = ROOT / "examples"
RUN = {"train_in_python", "own_backbone", "own_footage", "rank_vectors"}
ELSEWHERE = {"track"}  # by a test of its own


def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_scores(scores):
    assert 0 < scores["mAP"] <= 1
    ends = ("  ", f"{scores['queries']} queries", "trained", "accepted of positive pairs")
    assert repr(scores).splitlines()[-1].startswith(ends)


def test_every_example_has_a_row_on_its_page():
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    lacking = [path.name for path in EXAMPLES.iterdir() if path.is_file() and f"\n| `{path.name}` |" not in page]
    assert not lacking


def test_every_example_is_run_and_says_how():
    found = {path.stem for path in EXAMPLES.glob("*.py")}
    assert found - ELSEWHERE == RUN
    for name in RUN:
        assert f"\n    python examples/{name}.py" in (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_train_in_python(records, monkeypatch):
    example = load("train_in_python")
    monkeypatch.setattr(example, "SIZE", (16, 8))
    monkeypatch.setattr(example, "build_network", lambda people, build=example.build_network: build(people, width=4))
    check_scores(example.main(records, epochs=1, steps=2))


def test_its_network_has_our_layers_and_learns_by_our_losses():
    example = load("train_in_python")
    network = example.build_network(people=3, width=4)
    images = np.random.default_rng(0).uniform(0, 255, (2, *example.SIZE, 3))
    outputs = network(images)
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, rtol=1e-5)
    assert outputs["logits"].shape == (2, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_own_backbone(records, tmp_path):
    before = dict(kreid.models.BACKBONES)
    try:
        example = load("own_backbone")
        short = example.CONFIG.replace("epochs: 3", "epochs: 1, steps_per_epoch: 2").replace(
            "weights: null", "weights: null, width_divisor: 8"
        )
        check_scores(example.main(records, tmp_path / "run", short))
    finally:
        kreid.models.BACKBONES.clear()
        kreid.models.BACKBONES.update(before)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly", "short_resnet")
def test_own_footage(tmp_path):
    example = load("own_footage")
    crops = example.draw_crops(tmp_path, actions=2)
    train = {**example.CONFIG["train"], "epochs": 1, "steps_per_epoch": 1}
    network = {"backbone": "resnet50", "weights": None, "layer": "conv1", "width_divisor": 8}
    model = {**example.CONFIG["model"], "image_size": [32, 32], "appearance": network}
    small = {"model": model, "train": train, "data": {**example.CONFIG["data"], "persons": 4}}
    found = example.main(crops, tmp_path / "out", {**example.CONFIG, **small})
    check_scores(found["scores"])
    assert found["scores"]["protocol"] == "cross_camera"
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").startswith("<!")
    assert all(" is " in line and "left" in line and "right" in line for line in found["matches"])
    assert found["matches"]


def test_own_footage_says_before_training_what_cannot_be_scored(tmp_path, monkeypatch):
    """Folders that a tracker named make nobody a person of two cameras; a table of who is who does."""
    example = load("own_footage")
    crops, table = write_tracks(tmp_path)
    monkeypatch.setattr(kreid, "train", lambda *_: pytest.fail("trains"))
    with pytest.raises(ValueError, match="test: it has no queries to score: a person must be on two cameras .*--ident"):
        example.main(crops, tmp_path / "out")

    class TrainingBeginsError(Exception):
        pass

    monkeypatch.setattr(kreid, "train", lambda *_: (_ for _ in ()).throw(TrainingBeginsError))
    with pytest.raises(TrainingBeginsError):
        example.main(crops, tmp_path / "joined", identities=table)


def test_rank_vectors(records, tmp_path):
    found = load("rank_vectors").main(records / "test", tmp_path / "out")
    check_scores(found["scores"])
    low, high = found["interval"][1:]
    assert low <= found["scores"]["mAP"] <= high
    assert found["second against first"].difference > 0, "the second's noise is lower"
    assert json.loads((tmp_path / "out" / "ranking.json").read_text(encoding="utf-8"))
    assert (tmp_path / "out" / "report.html").is_file()


def test_foreign_vectors_are_another_framework_s(records):
    """The same of one person but for the noise, and none of the rows is of length one."""
    vectors = load("rank_vectors").foreign_vectors(records / "test", noise=0.0, seed=1)
    assert vectors.shape[1] == 64
    assert len(np.unique(vectors, axis=0)) < len(vectors)
