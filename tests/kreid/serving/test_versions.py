"""A folder of versions: one writer at a time, the dead one's left-overs removed, nothing half-written to be seen."""

import errno
import os
import threading

import pytest

from kreid.errors import ConfigError
from kreid.serving.versions import check_versions, write_version
from tfrecords_tools.locks import lock_folder


def model(folder):
    (folder / "saved_model.pb").write_bytes(b"model")


def seen(out):
    return sorted(path.name for path in out.iterdir())


def test_left_overs_of_the_dead_are_removed(tmp_path):
    out = tmp_path / "serving"
    (out / ".partial-x1y2" / "variables").mkdir(parents=True)
    (out / "7").mkdir()
    (out / "notes.txt").touch()
    assert write_version(out, model) == out / "8"
    assert seen(out) == ["7", "8", "notes.txt"]


def test_two_at_once_get_two_numbers(tmp_path, caplog):
    """The second begins while the first is in the middle of its writing."""
    second = threading.Thread(target=write_version, args=(tmp_path, model))

    def write(folder):
        second.start()
        while "waiting for another kreid-export" not in caplog.text:
            second.join(0.01)
        model(folder)

    assert write_version(tmp_path, write).name == "1"
    second.join()
    assert seen(tmp_path) == ["1", "2"]


def test_a_number_that_is_taken_meanwhile_is_left_alone(tmp_path, monkeypatch):
    """As on a file system without locks: another exporter names its version after this one has looked."""
    for taken in ("4", "5"):
        (tmp_path / taken).mkdir()
        model(tmp_path / taken)
    monkeypatch.setattr("kreid.serving.versions._next_number", lambda out: 4)
    assert write_version(tmp_path, model) == tmp_path / "6"
    assert seen(tmp_path) == ["4", "5", "6"]


def test_a_failed_version_leaves_nothing(tmp_path):
    def full(folder):
        model(folder)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        write_version(tmp_path, full)
    assert seen(tmp_path) == []
    with lock_folder(tmp_path, "test"):
        pass  # it is let go


@pytest.mark.parametrize("name", ["run[1]", "a*", "what?", "]", "back\\slash"])
def test_what_tensorflow_takes_for_a_pattern_is_refused(tmp_path, name):
    (tmp_path / "link").symlink_to(tmp_path / name)
    for out in (tmp_path / name / "serving", tmp_path / name, tmp_path / "link" / "serving"):
        with pytest.raises(ConfigError, match="out .*: TensorFlow cannot load a model from a path with "):
            check_versions(out)
    assert not (tmp_path / name).exists()


def test_a_file_is_no_folder_of_versions(tmp_path):
    (tmp_path / "serving").touch()
    with pytest.raises(ConfigError, match="is a file; give a folder for versions"):
        check_versions(tmp_path / "serving")
