"""The search: folds trained and scored, results written, a stop survived. Most tests train nothing."""

import csv
import importlib.util
import json
import re
import shutil

import numpy as np
import pytest
import yaml

from kreid.config.loading import check, load_config
from kreid.errors import ConfigError, DivergedError
from kreid.tuning import search as tuning
from kreid.tuning.space import Choice, Range, Space
from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.index import read_index

pytestmark = pytest.mark.usefixtures("unsynced")

BASE = {
    "model": {
        "embedder": "one_stream",
        "image_size": [32, 32],
        "appearance": {"weights": None, "layer": "conv2", "width_divisor": 8, "variant": "torchvision"},
    },
    "data": {"persons": 4, "views": 4},
    "train": {"epochs": 2, "steps_per_epoch": 1, "validate_every": 0},
}
SPACE = Space(
    BASE, {"model.heads.layers": Choice(choice=([], ["conv2"])), "loss.margin": Choice(choice=(0.1, 0.2, 0.3))}
)


class Process:
    """Stands for a `TrainingProcess`: the margin is the score, the fold adds a hundredth; leaves what a run leaves."""

    def __init__(self):
        self.calls = []
        self.faults = {}  # number of the training -> what it raises

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def train(self, config, data, run, resume, held_out, on_validation):
        assert resume == run.exists()
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        (run / "config.yaml").write_text("as a run's")
        (run / "model.weights.h5").write_bytes(b"weights")
        self.calls.append((config, run.relative_to(run.parents[1]).as_posix(), resume, tuple(held_out)))
        fault = self.faults.get(len(self.calls) - 1)
        if fault:
            raise fault
        assert config.train.validate_every == 2, "the last epoch is scored"
        for epoch, part in ((1, 0.5), (2, 1.0)):
            on_validation(epoch, {"valid_mAP": part * config.loss.margin + 0.01 * int(run.name[-1])})


@pytest.fixture
def process(monkeypatch):
    process = Process()
    monkeypatch.setattr(tuning, "TrainingProcess", lambda: process)
    return process


def tune(records, out, space=SPACE, **options):
    return tuning.tune(space, records, out, **{"folds": 2, "trials": 6, "quiet": True, **options})


def table(out):
    return list(csv.DictReader((out / "trials.csv").read_text(encoding="utf-8").splitlines()))


def test_the_better_configuration_wins_and_can_be_trained(records, process, tmp_path):
    best = tune(records, tmp_path / "study", command="kreid-tune base.yaml")
    rows = table(tmp_path / "study")
    assert [float(row["mAP"]) for row in rows] == pytest.approx([0.315, 0.315, 0.215, 0.215, 0.115, 0.115])
    assert float(rows[0]["sd"]) == pytest.approx(0.01 / np.sqrt(2))
    assert [float(rows[0][name]) for name in ("fold_1", "fold_2")] == pytest.approx([0.31, 0.32])
    chosen = load_config(best)
    values = {"model": {**BASE["model"], "heads": {"layers": yaml.safe_load(rows[0]["model.heads.layers"])}}}
    assert chosen == check({**BASE, **values, "loss": {"margin": 0.3}})
    head = best.read_text(encoding="utf-8").split("model:")[0]
    assert "# mAP 31.5 ± 0.7 % (31.0 32.0) over 2 folds of 8 training actions" in head
    assert "# Found by: kreid-tune base.yaml\n" in head
    lines = (tmp_path / "study" / "trials.md").read_text(encoding="utf-8").splitlines()
    assert re.search(r"\|  31\.5 \| 0\.7 \|   31\.0 \|   32\.0 \| \[.*\] \s*\| 0.3 +\| done", lines[2])
    assert len({len(line) for line in lines}) == 1, "the columns line up"
    left = {path.name for path in (tmp_path / "study" / "trials").rglob("*") if path.is_file()}
    assert left == {"config.yaml"}, "no weights, no states, no locks"


def test_folds_divide_the_actions_and_part_no_game(records, process, tmp_path):
    tune(records, tmp_path / "study", trials=1)
    held_out = [actions for *_, actions in process.calls]
    index = read_index(records / "train")
    assert sorted(held_out[0] + held_out[1]) == np.unique(index.action).tolist()
    games = [set(index.game[np.isin(index.action, actions)]) for actions in held_out]
    assert not games[0] & games[1]


def test_people_of_a_single_action_are_divided(filmed, process, tmp_path):
    best = tune(filmed, tmp_path / "study", trials=1)
    index = read_index(filmed / "train")
    held_out = [people for *_, people in process.calls]
    assert sorted(held_out[0] + held_out[1]) == np.unique(index.person).tolist()
    head = best.read_text(encoding="utf-8").split("model:")[0]
    assert f"over 2 folds of {len(np.unique(index.person))} people ({len(index)} images, nobody in two folds)" in head


def test_a_stopped_search_goes_on_where_it_was(records, process, tmp_path, capsys):
    process.faults = {3: KeyboardInterrupt()}  # in the second fold of the second trial
    with pytest.raises(KeyboardInterrupt):
        tune(records, tmp_path / "study", trials=3, quiet=False)
    assert "trial 1 was left in fold 2; run again to go on there" in capsys.readouterr().err
    assert (tmp_path / "study" / "trials" / "00001" / "fold_2" / "checkpoints").exists()
    tune(records, tmp_path / "study", trials=3)
    runs = [(run, resumed) for _, run, resumed, _ in process.calls]
    assert runs[2:5] == [("00001/fold_1", False), ("00001/fold_2", False), ("00001/fold_2", True)]
    assert [run for run, _ in runs[5:]] == ["00002/fold_1", "00002/fold_2"]
    assert sorted(int(row["trial"]) for row in table(tmp_path / "study")) == [0, 1, 2]
    tune(records, tmp_path / "study", trials=3)
    assert len(process.calls) == 7, "nothing is left to do"


def test_a_fold_that_was_stopped_before_its_score_is_trained_again(records, process, tmp_path, monkeypatch):
    process.faults = {0: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        tune(records, tmp_path / "study", trials=1)

    train = process.train

    def resumed_after_its_end(config, data, run, resume, held_out, on_validation):
        train(config, data, run, resume, held_out, (lambda *_: None) if resume else on_validation)

    monkeypatch.setattr(process, "train", resumed_after_its_end)
    tune(records, tmp_path / "study", trials=1)
    assert [resumed for _, _, resumed, _ in process.calls] == [False, True, False, False]


def test_a_failed_trial_is_recorded_with_its_reason_and_the_others_go_on(records, process, tmp_path, capsys):
    process.faults = dict.fromkeys((0, 3), DivergedError("the loss is nan\nat step 3"))
    tune(records, tmp_path / "study", quiet=False)
    rows = table(tmp_path / "study")
    assert [row["state"] for row in rows] == ["done"] * 4 + ["failed"] * 2
    assert {row["reason"] for row in rows[4:]} == {"the loss is nan at step 3"}
    assert "trial 0 failed: the loss is nan at step 3" in capsys.readouterr().err
    written = (tmp_path / "study" / "trials.md").read_text(encoding="utf-8")
    assert written.endswith("|\n\ntrial 0, 2 failed: the loss is nan at step 3\n")
    assert not list((tmp_path / "study").rglob("*.h5"))


def test_without_a_trial_there_is_no_best_one(records, process, tmp_path):
    process.faults = dict.fromkeys(range(6), ConfigError("no such layer"))
    with pytest.raises(ValueError, match="study: no trial came to its end, so there is no best one"):
        tune(records, tmp_path / "study")
    assert not (tmp_path / "study" / "best.yaml").exists()


def figures(out):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table(out)]


@pytest.mark.parametrize(
    "fault",
    [
        OSError(28, "No space left on device", "model.weights.h5"),
        ValueError("records/train: no such folder of records"),
        RuntimeError("the training process ended with code 1"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_fault_that_passes_costs_no_trial(records, process, tmp_path, capsys, fault):
    tune(records, tmp_path / "whole", trials=3)
    process.calls.clear()
    process.faults = {1: fault, 3: fault}  # in the second fold of the first trial, and in the first of the next one
    for left in ("trial 0 was left in fold 2", "trial 1 was left in fold 1"):
        with pytest.raises(type(fault), match=str(fault).split("] ")[-1]):
            tune(records, tmp_path / "study", trials=3, quiet=False)
        assert f"{left}; run again to go on there" in capsys.readouterr().err
    tune(records, tmp_path / "study", trials=3)
    assert len(process.calls) == 8, "six folds, two of them in two parts"
    assert figures(tmp_path / "study") == figures(tmp_path / "whole")
    assert (tmp_path / "study" / "trials.md").read_text() == (tmp_path / "whole" / "trials.md").read_text()


def test_a_weight_file_is_missed_before_the_study_and_later_costs_no_trial(records, process, tmp_path, monkeypatch):
    key, file = "model.appearance.weights", tmp_path / "weights.h5"
    base = Space({**BASE, "model": {**BASE["model"], "appearance": {"weights": str(file)}}}, SPACE.entries)
    sections = Choice(choice=({"weights": None}, {"weights": str(file)}))
    entries = {key: Choice(choice=(None, str(file)))}, {"model.appearance": sections}
    for missing in (base, *(Space(BASE, one) for one in entries)):
        with pytest.raises(ConfigError, match=rf"^{key}: {file}: no such file"):
            tune(records, tmp_path / "study", missing)
    assert not (tmp_path / "study").exists()
    file.touch()
    monkeypatch.setattr(process, "train", lambda *job: (file.unlink(), Process.train(process, *job)))
    with pytest.raises(ValueError, match=rf"^{key}: {file}: no such file") as error:
        tune(records, tmp_path / "study", base, trials=2)
    assert not isinstance(error.value, ConfigError)
    file.touch()
    monkeypatch.undo()
    monkeypatch.setattr(tuning, "TrainingProcess", lambda: process)
    tune(records, tmp_path / "study", base, trials=2)
    assert [row["state"] for row in table(tmp_path / "study")] == ["done", "done"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 3}, "folds: 2 -> 3"),
        ({"objective": "rank1"}, "objective: mAP -> rank1"),
        (
            {"space": Space({**BASE, "loss": {"mining": "all"}}, SPACE.entries)},
            "configuration.loss.mining: hard -> all",
        ),
        ({"space": Space(BASE, {"loss.margin": Range(low=0.1, high=0.2)})}, "space.model.heads.layers: .* -> None"),
        ({"space": Space({**BASE, "data": {**BASE["data"], "fraction": 0.5}}, SPACE.entries)}, "data.images: "),
    ],
)
def test_what_would_make_trials_incomparable_is_refused(records, process, tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(tuning, "make_folds", lambda *_: [np.array([0, 1]), np.array([2, 3])])
    tune(records, tmp_path / "study", trials=1)
    with pytest.raises(ValueError, match=rf"cannot be compared with these \(.*{message}"):
        tune(records, tmp_path / "study", **change)


def test_another_protocol_or_cameras_make_trials_incomparable(filmed, process, tmp_path):
    copy = shutil.copytree(filmed, tmp_path / "records", ignore=shutil.ignore_patterns("test", "valid"))
    tune(copy, tmp_path / "study", trials=1)
    described, path = (copy / "info.json").read_text(), copy / "train" / "index.npz"
    info = json.loads(described)
    info["splits"]["train"]["protocol"] = "action"
    (copy / "info.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError, match=r"with these \(data.protocol: cross_camera -> action\)"):
        tune(copy, tmp_path / "study", trials=1)
    (copy / "info.json").write_text(described)
    arrays = read_arrays(path)
    arrays["camera"] = arrays["camera"][::-1]  # as many of each
    write_arrays(path, arrays)
    with pytest.raises(ConfigError, match=r"with these \(data.records: "):
        tune(copy, tmp_path / "study", trials=1)


def test_without_optuna_the_command_says_how_to_get_it(tmp_path, monkeypatch):
    from kreid.cli.tune import Objective
    from kreid.cli.tune import tune as command

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'kreid\[tune\]'"):
        command(tmp_path, tmp_path, tmp_path, tmp_path, objective=Objective.mAP)


def test_what_cannot_be_searched_leaves_no_study(records, process, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="objective: expected one of mAP, rank1, received 'map'"):
        tune(records, tmp_path / "study", objective="map")
    large = Space({**BASE, "data": {"persons": 40}}, SPACE.entries)
    with pytest.raises(
        ValueError,
        match="without fold 1 of 2: data.persons x data.views is 160 images a batch, but the training set has",
    ):
        tune(records, tmp_path / "study", large)
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="TF_CONFIG: a trial is trained on one machine"):
        tune(records, tmp_path / "study")
    assert not (tmp_path / "study").exists()
