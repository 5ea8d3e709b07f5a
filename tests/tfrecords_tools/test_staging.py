import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.locks import LOCK_NAME, lock_folder
from tfrecords_tools.staging import (
    JOURNAL,
    PREFIX,
    claim,
    complete,
    find_leftovers,
    is_unfinished,
    publish,
    recover,
    stage,
)


def fill(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(out, files, names):
    with claim(out), stage(out) as staged:
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
        with claim(out), stage(out) as staged:
            fill(staged, {"train/x": "1"})
            assert find_leftovers(out) == [staged]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_right_after_the_hidden_folder_is_made_leaves_nothing(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def stop_after(path, *args, **kwargs):
        mkdir(path, *args, **kwargs)
        if path.name.startswith(PREFIX):
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", stop_after)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, {"train/x": "1"}, ["train"])
    assert list(tmp_path.iterdir()) == []


def test_error_leaves_the_folder_that_was_there(tmp_path):
    out = tmp_path / "a"
    out.mkdir()

    def fail():
        with claim(out), stage(out) as staged:
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
        if len(moves) == failing + 2:  # the first one is the journal's
            raise OSError("disk")
        return real(self, target)

    with stage(tmp_path) as staged:
        fill(staged, {"train/new": "1", "valid/new": "1", "info": "1"})
        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="disk"):
            publish(staged, tmp_path, ["train", "valid", "info"])
        monkeypatch.undo()
        assert not is_unfinished(tmp_path)
        assert content(staged) == {"train/new": "1", "valid/new": "1", "info": "1"}
    assert content(tmp_path) == before


@pytest.mark.parametrize("last, published", [(1, False), (2, False), (3, True)])
def test_interruption_right_after_a_move(tmp_path, monkeypatch, last, published):
    old, new = {"train/old": "0", "info": "0"}, {"train/new": "1", "info": "1"}
    fill(tmp_path, old)
    real = Path.replace
    moves = []

    def replace(self, target):
        real(self, target)
        moves.append(self)
        if len(moves) == last + 1:  # the first one is the journal's
            raise KeyboardInterrupt

    def run():
        with stage(tmp_path) as staged:
            fill(staged, new)
            monkeypatch.setattr(Path, "replace", replace)
            publish(staged, tmp_path, ["train", "info"])

    with pytest.raises(KeyboardInterrupt):
        run()
    recover(tmp_path)
    assert content(tmp_path) == (new if published else old)


# === What killed runs leave ===


def test_a_leftover_of_a_dead_run_is_removed_and_told(tmp_path, caplog):
    fill(tmp_path, {".kreid-convert-a/train/x": "1", "info": "0"})
    with claim(tmp_path):
        assert find_leftovers(tmp_path) == []
    assert content(tmp_path) == {"info": "0"}
    assert caplog.messages == [f"{tmp_path}/.kreid-convert-a: removed, it was left by a run that was killed"]


def test_the_leftover_of_a_live_run_is_not_touched(tmp_path):
    fill(tmp_path, {".kreid-convert-a/train/x": "1"})
    with lock_folder(tmp_path, "kreid-convert"):
        with pytest.raises(ConfigError, match="another kreid-convert"), claim(tmp_path):
            pass
        assert len(find_leftovers(tmp_path)) == 1


def test_where_there_are_no_locks_nothing_is_removed(tmp_path, caplog, monkeypatch):
    fill(tmp_path, {".kreid-convert-a/train/x": "1"})
    monkeypatch.setattr("fcntl.flock", lambda *arguments: (_ for _ in ()).throw(OSError(errno.ENOSYS, "no locks")))
    with claim(tmp_path):
        assert len(find_leftovers(tmp_path)) == 1
    assert "left by a run that was killed, or one under way; remove it if none is" in caplog.messages[1]


def signed(**journal):
    return json.dumps({**journal, "digest": hashlib.sha256(json.dumps(journal, sort_keys=True).encode()).hexdigest()})


def unfinished(out, names=("train", "info")):
    """What a run leaves that was killed right after it had written down what it would move."""
    fill(out, {"train/old": "0", "info": "0"})
    fill(out, {f".kreid-convert-a/{name}": "1" for name in ("train/new", "info", JOURNAL)})
    (out / ".kreid-convert-a" / JOURNAL).write_text(signed(names=names, request={"of": "mine"}))


@pytest.mark.parametrize("opened", [".", "train", "valid"])
def test_who_opens_the_folder_or_a_split_of_it_completes_it(tmp_path, caplog, opened):
    unfinished(tmp_path)
    assert is_unfinished(tmp_path)
    recover(tmp_path / opened)
    assert content(tmp_path) == {"train/new": "1", "info": "1"}
    assert caplog.messages == [f"{tmp_path}: completed the work of a kreid-convert that was killed: train, info"]
    recover(tmp_path / opened)
    assert len(caplog.messages) == 1


def test_a_claim_leaves_it_to_be_completed(tmp_path):
    unfinished(tmp_path)
    with claim(tmp_path):
        assert complete(tmp_path) == [{"of": "mine"}]
        assert complete(tmp_path) == []


def test_a_reader_that_may_not_write_is_told_who_can(tmp_path, monkeypatch):
    unfinished(tmp_path)
    before = content(tmp_path)
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only")))
    with pytest.raises(ValueError, match=r"was killed .*run it once more .*may write there \(Read-only\)"):
        recover(tmp_path)
    assert content(tmp_path) == before


def test_a_reader_without_locks_leaves_it_to_the_converter(tmp_path, monkeypatch):
    unfinished(tmp_path)
    monkeypatch.setattr("fcntl.flock", lambda *arguments: (_ for _ in ()).throw(OSError(errno.ENOSYS, "no locks")))
    with pytest.raises(ValueError, match="run it once more into this folder$"):
        recover(tmp_path)
    assert is_unfinished(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"names": ["info"], "request": 1}',
        signed(names=["../x"], request=1),
        signed(names=[1], request=1),
    ],
)
def test_a_journal_of_something_else_is_refused(tmp_path, text):
    unfinished(tmp_path)
    (tmp_path / ".kreid-convert-a" / JOURNAL).write_text(text)
    with pytest.raises(ValueError, match=rf"{JOURNAL}: not what kreid-convert wrote, .*; remove .*-a and run"):
        recover(tmp_path)


def test_a_claim_locks_and_leaves_no_trace(tmp_path):
    with claim(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK_NAME).exists()
    assert list(tmp_path.iterdir()) == []


# === No room, no right ===


@pytest.mark.parametrize(
    "inside, told", [(None, ""), ("train/x", "train/x"), (f"{JOURNAL}.new", ""), ("/elsewhere/y", "/elsewhere/y")]
)
def test_an_error_names_the_place_that_a_file_was_meant_for(tmp_path, inside, told):
    def run():
        with stage(tmp_path) as staged:
            raise OSError(errno.ENOSPC, "full", None if inside is None else str(staged / inside))

    with pytest.raises(OSError, match="full") as failure:
        run()
    assert failure.value.filename == str(tmp_path / told)


def test_a_folder_that_takes_no_new_one_is_named(tmp_path, monkeypatch):
    def refuse(path, *mode, **options):
        raise OSError(errno.ENOSPC, "full", path)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(OSError, match="full") as failure, stage(tmp_path):
        pass
    assert failure.value.filename == str(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError), claim(tmp_path / "out"):
        pass


def test_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), claim(tmp_path / "file" / "out"):
        pass
    assert (tmp_path / "file").is_file()


def test_a_flipped_bit_in_a_journal_moves_and_removes_nothing(tmp_path):
    unfinished(tmp_path)
    journal = tmp_path / ".kreid-convert-a" / JOURNAL
    whole, before = journal.read_bytes(), sorted(tmp_path.rglob("*"))
    place = whole.index(b"train")  # another name: a split that would not be moved, and then removed with the rest
    for bit in range(8):
        journal.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=rf"{JOURNAL}: not what kreid-convert wrote"):
            recover(tmp_path)
        assert sorted(path for path in tmp_path.rglob("*") if path.name != LOCK_NAME) == before
    journal.write_bytes(whole)
    recover(tmp_path)
    assert content(tmp_path) == {"train/new": "1", "info": "1"}
