"""A conversion that is killed and gone on with: the bytes are those of one that never was, and little is done twice."""

import contextlib
import os
import shutil
import threading

import pytest
from tiny_tree import make_image, write_tree

from tfrecords_tools import images
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.records import RecordFile
from tfrecords_tools.sources.soccernet import scan
from tfrecords_tools.staging import find_leftovers
from tfrecords_tools.writer import convert


class Killed(BaseException):
    """The end of a process."""


def die(*arguments, **options):
    raise Killed


LISTS = {
    "train": [("train", action, 10 * action + view // 2) for action in range(6) for view in range(3)],
    "test": [("query", 0, 20), ("gallery", 0, 21), ("gallery", 0, 20)],
}
BAD, WRONG_SIZE = 3, 5  # positions in the training set
HOW = {"shards": 3, "on_error": "skip"}


def files(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.fixture
def tree(tmp_path):
    root = write_tree(tmp_path / "tree", LISTS)
    entries = scan(root, "train")
    entries[BAD].path.write_bytes(b"no image")
    entries[WRONG_SIZE].path.write_bytes(make_image(1, height=9, width=7))
    return root


@pytest.fixture
def read(monkeypatch):
    """The images that are read, one by one."""
    asked = []
    real = images._read
    monkeypatch.setattr(images, "_read", lambda path: asked.append(path) or real(path))
    return asked


def kill_at(tree, out, monkeypatch, record, **how):
    """Convert until so many records are written, and die without tidying up."""
    left = [record]
    real = RecordFile.write

    def write(file, content):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(file, content)

    with monkeypatch.context() as patch:
        patch.setattr(RecordFile, "write", write)
        patch.setattr(shutil, "rmtree", die)
        with pytest.raises(Killed):
            convert(tree, out, **{**HOW, **how})
    for thread in threading.enumerate():  # they go with a process that is killed; here they read what is begun
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(60)


@pytest.mark.parametrize("record", [0, 4, 5, 7, 11, 17, 18])
def test_the_bytes_are_those_of_a_run_never_interrupted(tree, tmp_path, monkeypatch, read, caplog, record):
    convert(tree, tmp_path / "whole", workers=1, **HOW)
    warned, out = caplog.messages[:], tmp_path / "out"
    kill_at(tree, out, monkeypatch, record, workers=3)
    del read[:]
    caplog.clear()
    convert(tree, out, resume=True, **HOW)
    assert files(out) == files(tmp_path / "whole")
    assert "problems.csv" in str(sorted(files(out)))
    assert sorted(path.name for path in out.iterdir()) == ["info.json", "test", "train"]
    assert caplog.messages == warned  # also of what was looked at before the kill
    finished = sum(record >= end for end in (5, 11, 17))
    assert len(read) == 21 - 6 * finished - (record == 18)  # of test's files, each of one image, the first


def test_a_run_that_goes_on_is_killed_too(tree, tmp_path, monkeypatch):
    convert(tree, tmp_path / "whole", **HOW)
    for record in (6, 7, 3):
        kill_at(tree, tmp_path / "out", monkeypatch, record, resume=record != 6)
    convert(tree, tmp_path / "out", resume=True, **HOW)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def damage(path):
    data = path.read_bytes()
    path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])


@pytest.mark.parametrize(
    "lose, left",
    {
        "a byte of the records": (lambda staged: damage(staged / "train/train-00000-of-00003.tfrecord"), 0),
        "the end of the records": (lambda staged: os.truncate(staged / "train/train-00001-of-00003.tfrecord", 99), 1),
        "the records": (lambda staged: (staged / "train/train-00001-of-00003.tfrecord").unlink(), 1),
        "what is told of them": (
            lambda staged: (staged / "finished/train-00001-of-00003.tfrecord.json").write_text("{"),
            1,
        ),
        "all that is told": (lambda staged: shutil.rmtree(staged / "finished"), 0),
        "the request": (lambda staged: (staged / "request.json").write_bytes(b""), 0),
    }.values(),
)
def test_what_a_disk_has_lost_is_made_again(tree, tmp_path, monkeypatch, read, lose, left):
    convert(tree, tmp_path / "whole", **HOW)
    out = tmp_path / "out"
    kill_at(tree, out, monkeypatch, 12)
    (staged,) = find_leftovers(out)
    lose(staged)
    del read[:]
    convert(tree, out, resume=True, **HOW)
    assert files(out) == files(tmp_path / "whole")
    assert len(read) == 21 - 6 * left


@pytest.mark.parametrize(
    "how, said",
    [
        ({"shards": 4}, "shards 3, and now it is 4"),
        ({"resize": (8, 4)}, r"resize None, and now it is \[8, 4\]"),
        ({"splits": ["train"]}, r"splits \['train', 'test'\], and now it is \['train'\]"),
    ],
)
def test_other_options_are_refused(tree, tmp_path, monkeypatch, how, said):
    kill_at(tree, tmp_path / "out", monkeypatch, 6)
    before = files(tmp_path / "out")
    with pytest.raises(ConfigError, match=f"--resume: the killed kreid-convert had {said}; ask for the same, or"):
        convert(tree, tmp_path / "out", resume=True, **{**HOW, **how})
    assert files(tmp_path / "out") == before


def touch(path):
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change, said",
    [
        (
            touch,
            "images of train-00000-of-00003.tfrecord, which a killed kreid-convert had finished, have changed since",
        ),
        (lambda path: path.write_bytes(make_image(7)), "have changed since; convert without it, from the start"),
        (lambda path: path.rename(path.with_name(path.name.replace("left", "right"))), "have changed since"),
        (
            lambda path: path.unlink(),
            r"had images \{'train': 18, 'test': 3\}, and now it is \{'train': 17, 'test': 3\}",
        ),
    ],
)
def test_another_source_is_refused(tree, tmp_path, monkeypatch, change, said):
    kill_at(tree, tmp_path / "out", monkeypatch, 6)
    change(scan(tree, "train")[0].path)
    with pytest.raises(ConfigError, match=said):
        convert(tree, tmp_path / "out", resume=True, **HOW)


def test_an_image_that_was_still_to_come_may_be_mended(tree, tmp_path, monkeypatch):
    entries = scan(tree, "train")
    entries[10].path.write_bytes(b"no image")
    kill_at(tree, tmp_path / "out", monkeypatch, 6)
    entries[10].path.write_bytes(make_image(10))
    convert(tree, tmp_path / "out", resume=True, **HOW)
    convert(tree, tmp_path / "whole", **HOW)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_without_anything_to_go_on_from_it_begins(tree, tmp_path, caplog):
    convert(tree, tmp_path / "out", resume=True, **HOW)
    assert f"{tmp_path / 'out'}: nothing is left of a killed kreid-convert to go on from" in caplog.text
    with pytest.raises(ConfigError, match="already there; replace it with --overwrite"):
        convert(tree, tmp_path / "out", resume=True, **HOW)


def test_where_a_file_system_has_no_locks_nothing_is_taken_over(tree, tmp_path, monkeypatch):
    kill_at(tree, tmp_path / "out", monkeypatch, 6)
    monkeypatch.setattr("tfrecords_tools.staging.lock_folder", lambda *how: contextlib.nullcontext(False))
    with pytest.raises(ConfigError, match="perhaps a run under way; remove it if none is"):
        convert(tree, tmp_path / "out", resume=True, **HOW)
