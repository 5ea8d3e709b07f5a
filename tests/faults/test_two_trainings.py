"""Two trainings in one run folder: the second is told who is at work, and touches nothing."""

import contextlib
import os
import re

import pytest
from configurations import changed

from kreid import runs
from kreid.errors import ConfigError
from kreid.serving.versions import write_version
from kreid.training import run as module
from kreid.training.run import train
from tfrecords_tools.locks import LOCK_NAME

pytestmark = pytest.mark.usefixtures("resnet_stem")

AT_WORK = rf"run: another kreid-train \(process {os.getpid()} on .*\) is at work in this folder"


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.usefixtures("eagerly")
def test_the_second_is_refused_and_the_first_goes_on(records, tiny_one, tmp_path):
    config, run = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1, "validate_actions": 1}), tmp_path / "run"
    said = []

    def during(epoch, logs):
        (run / "checkpoints" / ".partial-1-state-00001-0000001.npz").write_bytes(b"half of the first's state")
        before = names(run)
        assert LOCK_NAME in before
        for resume, message in ((True, AT_WORK), (False, "exists already")):
            with pytest.raises(ConfigError, match=message):
                train(config, records, run, resume=resume, quiet=True)
        assert names(run) == before
        said.append(epoch)

    train(config, records, run, quiet=True, on_validation=during)
    assert said == [1]
    assert LOCK_NAME not in names(run)


def test_of_two_that_begin_at_once_the_second_is_refused(records, tiny_one, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with runs.hold(run), pytest.raises(ConfigError, match=AT_WORK):
        train(tiny_one, records, run, quiet=True)
    assert not run.exists()

    @contextlib.contextmanager
    def held_later(out):
        with hold(out):
            (out / runs.CONFIG).write_text("of a first one that was done between the check and the lock")
            yield

    hold = runs.hold
    monkeypatch.setattr(module.runs, "hold", held_later)
    with pytest.raises(ConfigError, match=re.escape(f"{run}: exists already")):
        train(tiny_one, records, run, quiet=True)
    assert names(run) == [runs.CONFIG]


def test_the_lock_of_a_killed_one_holds_nobody_up(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / LOCK_NAME).write_text("{}")
    (run / ".partial-1-config.yaml").write_text("half")
    runs.check_new(run)
    with runs.hold(run):
        assert names(run) == [LOCK_NAME]
    assert names(run) == [], "a folder that was there stays"


def test_without_locks_nobodys_files_are_removed(tmp_path, monkeypatch):
    """On a file system without locks another may be at work: what is half-written stays."""
    run, out = tmp_path / "run", tmp_path / "serving"
    for folder in (run, out / ".partial-x1y2"):
        folder.mkdir(parents=True)
    (run / ".partial-1-config.yaml").write_text("half")
    monkeypatch.setattr("kreid.runs.folder.lock_folder", lambda *arguments: contextlib.nullcontext(False))
    monkeypatch.setattr("kreid.serving.versions.lock_folder", lambda *arguments, wait: contextlib.nullcontext(False))
    with runs.hold(run):
        assert names(run) == [".partial-1-config.yaml"]
    write_version(out, lambda folder: None)
    assert names(out) == [".partial-x1y2", "1"]
