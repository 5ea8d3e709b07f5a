"""Whether a file can be written is told before the work, and the trial leaves nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from kreid.files.atomic import atomic_file, partial_path
from kreid.files.trial import check_folder, check_output
from tfrecords_tools.errors import ConfigError


def test_what_can_be_written_leaves_no_trace(tmp_path):
    file = tmp_path / "file.json"
    file.write_text("old")
    (tmp_path / "folder").mkdir()
    for path in (file, tmp_path / "new.json", tmp_path / "folder" / "new.json", tmp_path / "a" / "b" / "new.json"):
        assert check_output(path) == path
    for folder in (tmp_path, tmp_path / "folder", tmp_path / "c" / "d"):
        assert check_folder(folder) == folder
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file.json", "folder"]
    assert file.read_text() == "old"


def test_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_output("x.json") == Path("x.json")
    assert check_folder("new") == Path("new")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "folder: a folder, expected the name of a file to write"),
        ("pipe", "pipe: a device or a pipe, expected the name of a file"),
        ("file/x.json", "x.json: cannot be written, .*file is a file, expected a folder"),
        ("file/a/b/x.json", "x.json: cannot be written, .*file is a file, expected a folder"),
    ],
)
def test_what_is_in_the_way_is_named(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=message):
        check_output(tmp_path / name)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(ConfigError, match="file.* expected a folder"):
            check_folder(folder)


@pytest.mark.parametrize("check", [check_output, check_folder])
def test_names_of_255_bytes_are_the_longest(tmp_path, check):
    check(tmp_path / ("x" * 250 + ".json"))
    for name in ("x" * 251 + ".json", f"{'x' * 300}/a.json", f"new/{'x' * 300}/a.json"):
        with pytest.raises(OSError, match="File name too long") as error:
            check(tmp_path / name)
        assert error.value.filename == str(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["touch", "mkdir"])
def test_what_the_system_refuses_is_told_of_the_path_itself(tmp_path, monkeypatch, call):
    def refuse(path, *arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(OSError, match="Read-only") as error:
        check_output(tmp_path / "new" / "x.json")
    assert error.value.filename == str(tmp_path / "new" / "x.json")


@pytest.mark.parametrize("name", ["x.json", "x" * 95 + ".json", "x" * 244 + ".json", "x" * 250 + ".json", "ä" * 125])
def test_a_temporary_name_is_no_longer_than_it_may_be(tmp_path, name):
    path = tmp_path / name
    partial = partial_path(path).name
    assert len(os.fsencode(partial)) <= max(len(os.fsencode(name)), 100)
    assert partial.endswith(name[-6:])
    with atomic_file(path) as file:
        file.write(b"{}")
    assert [path] == list(tmp_path.iterdir())
