"""The store of a search: shared, stopped, gone on with, and refused where it would compare the incomparable."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kreid.tuning import study as tuning_study
from kreid.tuning.space import Choice, Range, Space, WholeRange
from kreid.tuning.study import STORE, Study
from kreid.tuning.table import best

pytestmark = pytest.mark.usefixtures("unsynced")

TREE = {"model": {"embedder": "one_stream"}}
ENDLESS = Space(
    TREE, {"loss.margin": Range(low=0.1, high=0.5), "loss.distance": Choice(choice=("euclidean", "cosine"))}
)
SMALL = Space(TREE, {"model.heads.layers": Choice(choice=([], ["conv4"])), "data.views": WholeRange(low=2, high=4)})

# A process of its own: takes trials until there are 10, or dies by kill -9 in its first one.
WORKER = """
import os, signal, sys, time, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_study import ENDLESS, Study
folder, name, others = Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
Path(f"{folder}.{name}").touch()
while not all(Path(f"{folder}.{other}").exists() for other in others):
    time.sleep(0.01)
study = Study(folder, ENDLESS, {}, seed=1)  # closed by the process's end
while trial := study.next_trial(10):
    print(trial.number, flush=True)
    study.add_score(trial, 0.5)
    if name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    study.complete(trial)
"""


def worker(folder, *names):
    line = [sys.executable, "-W", "error", "-c", WORKER, str(Path(__file__).parent), str(folder), *names]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def study_of(tmp_path):
    """Opens studies by the name of their folder, and closes them."""
    with contextlib.ExitStack() as stack:
        yield lambda name, space=ENDLESS, settings=None, **options: stack.enter_context(
            Study(tmp_path / name, space, settings or {}, **{"seed": 1, **options})
        )


def search(study, limit, score=lambda values: 0.5, folds=2):
    """Carry out trials as `kreid.tuning` does and return what each tried."""
    tried = []
    while trial := study.next_trial(limit):
        tried.append(study.values(trial))
        for fold in range(folds):
            if study.add_score(trial, score(tried[-1]) + 0.01 * fold) and fold + 1 < folds:
                study.prune(trial)
                break
        else:
            study.complete(trial)
    return tried


def test_two_processes_share_the_trials(study_of, tmp_path):
    processes = [worker(tmp_path / "study", *names) for names in (("one", "two"), ("two", "one"))]
    numbers = [[int(number) for number in process.communicate(timeout=120)[0].split()] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(numbers)
    assert sorted(numbers[0] + numbers[1]) == list(range(10))
    rows = study_of("study").rows()
    assert [row.state for row in rows] == ["done"] * 10
    assert len({row.values["loss.margin"] for row in rows}) == 10


def test_a_trial_outlives_its_process(study_of, tmp_path):
    dead = worker(tmp_path / "study", "dies")
    assert dead.communicate(timeout=120)[0] == "0\n"
    assert dead.returncode == -signal.SIGKILL
    study = study_of("study")
    (before,) = study.rows()
    assert (before.state, before.scores) == ("running", [0.5])
    trial = study.next_trial(2)
    assert (trial.number, trial.scores, study.values(trial)) == (0, [0.5], before.values)
    other = study_of("study").next_trial(2)
    assert other.number == 1, "a trial that is worked on is nobody else's"
    study.add_score(trial, 0.7)
    study.complete(trial)
    assert best(study.rows()).mean == pytest.approx(0.6)


def test_a_study_that_was_stopped_draws_as_one_that_was_not(study_of):
    def score(values):
        return values["loss.margin"]

    whole = search(study_of("whole", seed=7), 12, score)
    parts = [search(study_of("parts", seed=7), limit, score) for limit in (3, 11, 12)]
    assert [len(part) for part in parts] == [3, 8, 1]
    assert [values for part in parts for values in part] == whole
    assert search(study_of("other", seed=8), 1) != whole[:1]


def test_draws_move_towards_what_scores(study_of):
    study = study_of("study", seed=0)
    tried = search(study, 25, lambda values: 0.5 - abs(values["loss.margin"] - 0.2))
    distance = [abs(values["loss.margin"] - 0.2) for values in tried]
    assert sum(distance[15:]) < 0.5 * sum(distance[:10])
    assert abs(best(study.rows()).values["loss.margin"] - 0.2) < 0.02


def test_every_combination_is_tried_once(study_of):
    tried = search(study_of("study", SMALL), limit=50)
    assert len(tried) == SMALL.combinations() == 6
    assert all(values in tried for values in SMALL.every())


def test_trials_behind_the_median_stop_after_the_same_folds(study_of):
    study = study_of("study", seed=0)
    scores = [*[[0.9, 0.3, 0.3]] * 2, *[[0.8, 0.4, 0.4]] * 3, [0.79, 0.9, 0.9], [0.85, 0.3, 0.9], [0.85, 0.7, 0.9]]
    for folds in scores:
        trial = study.next_trial(len(scores))
        behind = [study.add_score(trial, score) for score in folds]
        # Medians of the first five: 0.8 after one fold, (0.8 + 0.4) / 2 after two.
        assert behind[:2] == (
            [False, False] if trial.number in (0, 1, 2, 3, 4, 7) else [trial.number == 5, trial.number == 6]
        )
        study.prune(trial) if any(behind[:2]) else study.complete(trial)
    assert [row.state for row in study.rows()] == [*["done"] * 5, "pruned", "pruned", "done"]
    unpruned = study_of("study", prune=False)
    assert not unpruned.add_score(unpruned.next_trial(9), 0.0)


def test_other_settings_are_refused_by_name(study_of):
    settings = {"folds": 2, "configuration": {"train": {"epochs": 5, "seed": 1}}}
    study_of("study", ENDLESS, settings)
    study_of("study", ENDLESS, settings)
    settings["configuration"]["train"]["epochs"] = 6
    with pytest.raises(ValueError, match=r"cannot be compared with these \(configuration.train.epochs: 5 -> 6\); give"):
        study_of("study", ENDLESS, settings)


def test_a_study_of_earlier_versions_is_held_to_the_records_it_goes_on_with(study_of):
    data = {"images": 8, "digest": "1a"}
    study_of("study", ENDLESS, {"data": data})
    with pytest.raises(ValueError, match=r"\(data.digest: 1a -> 2b\); give another folder"):
        study_of("study", ENDLESS, {"data": {**data, "digest": "2b", "records": "c", "protocol": "action"}})
    now = {**data, "records": "c", "protocol": "action"}
    study_of("study", ENDLESS, {"data": now})
    study_of("study", ENDLESS, {"data": now})
    for change in ({"records": "d"}, {"protocol": "cross_camera"}):
        (key,) = change
        with pytest.raises(ValueError, match=rf"\(data.{key}: {now[key]} -> {change[key]}\); give another folder"):
            study_of("study", ENDLESS, {"data": now | change})


def test_a_key_that_came_since_has_its_default(study_of, tiny_one):
    """A study begun before a key was there goes on under its default, and not under another value."""
    configuration = tiny_one.model_dump(mode="json")
    before = {**configuration, "loss": {key: one for key, one in configuration["loss"].items() if "circle" not in key}}
    study_of("study", ENDLESS, {"configuration": before})
    study_of("study", ENDLESS, {"configuration": configuration})
    changed = {**configuration, "loss": {**configuration["loss"], "circle_weight": 1.0}}
    with pytest.raises(ValueError, match=r"configuration\.loss\.circle_weight: 0\.0 -> 1\.0\)"):
        study_of("study", ENDLESS, {"configuration": changed})


def test_a_store_that_cannot_be_written_is_named(study_of, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning_study, "_BUSY", 0.1)
    study = study_of("study")
    with contextlib.closing(sqlite3.connect(tmp_path / "study" / STORE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match=r"study.db: cannot be written .*database is locked"):
            study.next_trial(1)
    assert study.next_trial(1).number == 0


def test_any_folder_name_will_do(study_of, tmp_path):
    folder = tmp_path / "50%? {a}#é"
    search(study_of(folder.name, SMALL), limit=1)
    assert (folder / STORE).stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_what_is_no_study_is_left_alone(study_of, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    for taken in (tmp_path / "notes", tmp_path / "notes" / "mine.txt"):
        with pytest.raises(ValueError, match="exists already and is no study"):
            study_of(taken, SMALL)
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / STORE).write_bytes(b"no database at all" * 100)
    with pytest.raises(ValueError, match=r"broken/study.db: not an SQLite store"):
        study_of("broken", SMALL)
