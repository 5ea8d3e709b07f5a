"""A disk that is full, wherever kreid-convert writes: one line that names what the user knows, and OUT as it was."""

import errno
import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_tree import LISTS, write_tree

from tfrecords_tools import cli
from tfrecords_tools.records import RecordFile
from tfrecords_tools.writer import convert

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", {split: LISTS[split] for split in ("valid", "test")})


@pytest.fixture
def command(tree, tmp_path, monkeypatch, capsys):
    """Runs kreid-convert into `<tmp>/out`, which holds records; gives its last line, of one that it fails with."""
    out = tmp_path / "out"
    convert(tree, out)
    before = snapshot(out)

    def run():
        monkeypatch.setattr(sys, "argv", ["kreid-convert", str(tree), str(out), "--overwrite", "--shards", "1"])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr().err.splitlines()
        assert left.value.code == 1
        assert snapshot(out) == before
        assert [line for line in said if ".kreid" in line] == []
        return said[-1].replace(str(out), "OUT")

    return run


def snapshot(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def fail(*arguments, **options):
    raise OSError(*FULL.args)


@contextmanager
def largest_file(size):
    """Let no file of this process get larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "size, place", [(0, "OUT"), (300, "OUT"), (1500, "OUT/valid/valid-00000-of-00001.tfrecord")]
)  # the first two not even for what is asked for
def test_records_that_find_no_room(command, size, place):
    with largest_file(size):
        line = command()
    assert line == f"error: {place}: File too large"


def test_a_record_that_finds_no_room(command, monkeypatch):
    monkeypatch.setattr(RecordFile, "write", fail)
    assert command() == "error: OUT: No space left on device"


@pytest.mark.parametrize("step", ["mkdir", "fsync", "replace"])
def test_every_other_step(command, monkeypatch, step):
    monkeypatch.setattr(os, step, fail)
    assert command() == "error: OUT: No space left on device"


@pytest.mark.parametrize("writes", ["tfrecords_tools.split_writer.write_index", "tfrecords_tools.staging._move"])
def test_the_index_and_the_moves(command, monkeypatch, writes):
    monkeypatch.setattr(writes, fail)
    assert command() == "error: OUT: No space left on device"


@pytest.mark.parametrize("name", ["info.json", "journal.json.new"])
def test_the_small_files(command, monkeypatch, name):
    real = Path.write_text
    monkeypatch.setattr(
        Path, "write_text", lambda path, *text, **how: fail() if path.name == name else real(path, *text, **how)
    )
    assert command() == "error: OUT: No space left on device"


def test_a_new_folder_is_gone_afterwards(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(RecordFile, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        convert(tree, tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()
