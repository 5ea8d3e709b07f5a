"""Every public name of `kreid` has an example in its docstring, which is run as it stands, at toy size."""

import contextlib
import doctest
import shutil

import keras  # noqa: F401 - draws random numbers where it is imported
import numpy as np
import pytest
import yaml
from configurations import changed
from tiny_runs import make_run

import kreid
from kreid.config import shipped
from kreid.config.loading import dump
from kreid.serving import written
from kreid.serving.crops import draw_crops

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SPACE = {
    "loss.margin": {"low": 0.1, "high": 0.5},
    "loss.head_weight": {"low": 0.1, "high": 2.0},
    "model.heads.dim": {"choice": [4, 8]},
    "model.heads.hidden": {"choice": [[], [4]]},
    "model.heads.layers": {"choice": [["conv1"]]},
}
IN_A_PROCESS = {"tune"}  # which starts one for its trainings: those are stood in for


@pytest.fixture(scope="module")
def place(tmp_path_factory, records, tiny_one):
    """A folder that has what the examples name, and shipped configurations that are as small."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "configs" / "spaces").mkdir(parents=True)
    short = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1})
    for name in ("demo", "layerwise"):
        (folder / "configs" / f"{name}.yaml").write_text(dump(short), encoding="utf-8")
    (folder / "configs" / "spaces" / "layerwise.yaml").write_text(yaml.safe_dump(SPACE), encoding="utf-8")
    (folder / "records").symlink_to(records)
    (folder / "crops").mkdir()
    images = sorted((records.parent / "tree").rglob("*.png"))
    for name, image in zip(("left", "right"), images, strict=False):
        shutil.copy(image, folder / "crops" / f"{name}.png")
    for track, image in zip(("left/7/1", "left/7/2", "right/b/1", "right/b/2"), images, strict=False):
        (folder / "footage" / track).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder / "footage" / f"{track}.png")
    make_run(folder / "saved_models" / "demo", tiny_one)
    return folder


@pytest.fixture(scope="module")
def names(place):
    """What the examples have before their first line."""
    model = kreid.load_model(place / "saved_models" / "demo")
    return {"kreid": kreid, "np": np, "model": model, "embeddings": kreid.embed(model, place / "records" / "test")}


def examples(name):
    return doctest.DocTestParser().get_doctest(getattr(kreid, name).__doc__, {}, name, None, None)


@pytest.mark.parametrize("name", kreid.__all__)
def test_a_public_name_has_an_example_that_uses_it(name):
    lines = [example.source for example in examples(name).examples]
    assert any(f"kreid.{name}" in line for line in lines)


@pytest.mark.parametrize("name", kreid.__all__)
@pytest.mark.usefixtures("short_resnet")
def test_it_runs_as_it_stands(place, names, monkeypatch, request, name):
    if name == "train":
        request.getfixturevalue("eagerly")
    monkeypatch.setattr(shipped, "FOLDER", place / "configs")
    monkeypatch.setattr(written, "draw_crops", lambda: draw_crops(20))
    if name in IN_A_PROCESS:
        monkeypatch.setattr("kreid.tuning.search.TrainingProcess", Process)
    said = []
    test = examples(name)
    test.globs = dict(names)
    with contextlib.chdir(place):
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert tried
    assert not failed, "".join(said)


class Process:
    """Stands for a `TrainingProcess`, as in tests/kreid/tuning: any score, and what a run leaves."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def train(self, config, data, run, resume, held_out, on_validation):
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        (run / "config.yaml").write_text("as a run's")
        (run / "model.weights.h5").write_bytes(b"weights")
        for epoch in range(1, config.train.epochs + 1):
            on_validation(epoch, {"valid_mAP": config.loss.margin, "valid_rank1": 0.5})


def test_a_wrong_example_is_seen(names):
    wrong = doctest.DocTestParser().get_doctest(">>> kreid.__name__\n'other'\n", dict(names), "wrong", None, None)
    assert doctest.DocTestRunner(optionflags=FLAGS).run(wrong, out=lambda said: None).failed == 1
