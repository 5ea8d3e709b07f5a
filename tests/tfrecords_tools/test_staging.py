import os
from pathlib import Path

import pytest

from tfrecords_tools.staging import find_leftovers, publish, stage


def fill(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(out, files, names):
    with stage(out) as staged:
        fill(staged, files)
        publish(staged, out, names)


def test_new_folder(tmp_path):
    out = tmp_path / "a" / "b"
    run(out, {"train/x": "1", "info": "2", "scratch": "3"}, ["train", "info"])
    assert content(tmp_path) == {"a/b/train/x": "1", "a/b/info": "2"}


def test_what_is_there_is_replaced_or_kept(tmp_path):
    fill(tmp_path, {"train/old": "0", "valid/x": "9", "info": "0"})
    run(tmp_path, {"train/new": "1", "info": "2"}, ["train", "info"])
    assert content(tmp_path) == {"train/new": "1", "valid/x": "9", "info": "2"}


def test_error_leaves_nothing(tmp_path):
    out = tmp_path / "a" / "b"

    def fail():
        with stage(out) as staged:
            fill(staged, {"train/x": "1"})
            assert find_leftovers(out) == [staged]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_error_leaves_the_folder_that_was_there(tmp_path):
    out = tmp_path / "a"
    out.mkdir()

    def fail():
        with stage(out) as staged:
            fill(staged, {"train/x": "1"})
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert list(tmp_path.rglob("*")) == [out]


@pytest.mark.parametrize("failing", range(5))
def test_move_that_fails_takes_back_those_before(tmp_path, monkeypatch, failing):
    before = {"train/old": "0", "valid/old": "0", "info": "0"}
    fill(tmp_path, before)
    moves = []
    real = Path.replace

    def replace(self, target):
        moves.append(self)
        if len(moves) == failing + 1:
            raise OSError("disk")
        return real(self, target)

    with stage(tmp_path) as staged:
        fill(staged, {"train/new": "1", "valid/new": "1", "info": "1"})
        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="disk"):
            publish(staged, tmp_path, ["train", "valid", "info"])
        monkeypatch.undo()
        assert content(staged) == {"train/new": "1", "valid/new": "1", "info": "1"}
    assert content(tmp_path) == before


def test_interruption_right_after_a_move_is_taken_back_too(tmp_path, monkeypatch):
    fill(tmp_path, {"train/old": "0"})
    real = Path.replace
    moves = []

    def replace(self, target):
        real(self, target)
        moves.append(self)
        if len(moves) == 2:
            raise KeyboardInterrupt

    with stage(tmp_path) as staged:
        fill(staged, {"train/new": "1"})
        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            publish(staged, tmp_path, ["train"])
    assert content(tmp_path) == {"train/old": "0"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError), stage(tmp_path / "out"):
        pass


def test_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), stage(tmp_path / "file" / "out"):
        pass
    assert (tmp_path / "file").is_file()
