"""A converter that is killed before any of its steps on disk: what it leaves is the old set or the new one."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_tree import LISTS, write_tree

from kreid.cli import score as commands
from kreid.cli.sources import check_data
from kreid.search.sources import crop_source
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info, split_folder
from tfrecords_tools.staging import find_leftovers, is_unfinished
from tfrecords_tools.writer import convert

STEPS = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync")
SPLITS = ("valid", "test")


class Killed(BaseException):
    """The end of a process."""


def die(*arguments):
    raise Killed


def kill_before_moves(tree, out, monkeypatch):
    """Convert as far as the journal."""
    with monkeypatch.context() as patch:
        patch.setattr("tfrecords_tools.staging._move", die)
        patch.setattr("tfrecords_tools.staging._take_back", die)
        with pytest.raises(Killed):
            convert(tree, out, SPLITS)


class Kill:
    """Lets so many steps on disk be made, and none after them: nothing that a dead process would tidy up is."""

    def __init__(self, monkeypatch, steps):
        self.left = steps
        for name in STEPS:
            monkeypatch.setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, step):
        def count(*arguments, **options):
            if self.left <= 0:
                raise Killed
            self.left -= 1
            return step(*arguments, **options)

        return count


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), {split: LISTS[split] for split in SPLITS})


def fresh(tree, out):
    convert(tree, out, SPLITS)


def resume(tree, out):
    convert(tree, out, SPLITS, shards=1, resume=True)


def overwrite(tree, out):
    convert(tree, out, SPLITS, resize=(8, 4), overwrite=True)


def add(tree, out):
    convert(tree, out, ["test"], shards=1)


def content(out):
    """What a reader finds: `info.json`, and the records of every split that is there."""
    if not (out / "info.json").exists():
        assert not any((out / split).exists() for split in SPLITS)
        return None
    info = read_info(out)
    assert sorted(info["splits"]) == sorted(split for split in SPLITS if (out / split).exists())
    records = {}
    for split in info["splits"]:
        with read_index(out / split) as index:
            records[split] = index.read(range(len(index)))
    return json.dumps(info), records


def opened_by_a_reader(out):
    for split in SPLITS:
        with contextlib.suppress(ValueError):  # it is not there
            read_index(out / split).close()
    return content(out)


def again(work, tree, out):
    """Run the same conversion once more; only what stands there whole does it refuse to replace."""
    published = not is_unfinished(out) and (out / "test").exists()
    refused = pytest.raises(ConfigError, match="already there; replace it with --overwrite")
    with refused if published and work is not overwrite else contextlib.nullcontext():
        work(tree, out)
    assert find_leftovers(out) == [] or published
    return content(out)


@pytest.mark.parametrize("work, before", [(fresh, ()), (resume, ()), (overwrite, SPLITS), (add, ("valid",))])
def test_a_kill_before_any_step_leaves_the_old_set_or_the_new_one(tree, tmp_path, monkeypatch, work, before):
    (tmp_path / "old").mkdir()
    if before:
        convert(tree, tmp_path / "old", before)
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    work(tree, tmp_path / "new")
    old, new = content(tmp_path / "old"), content(tmp_path / "new")
    assert old != new
    found = []
    for steps in range(1000):
        out, other = tmp_path / f"{steps}", tmp_path / f"{steps}-again"
        shutil.copytree(tmp_path / "old", out)
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            Kill(patch, steps)
            work(tree, out)
            break
        shutil.copytree(out, other)
        found.append(opened_by_a_reader(out))
        assert found[-1] in (old, new), steps
        assert again(work, tree, other) == new, steps
    assert found == sorted(found, key=lambda one: one == new)  # no way back once a reader finds the new set
    assert found.count(old) >= 5
    assert found.count(new) >= 5


def test_the_same_conversion_again_has_the_killed_one_done(tree, tmp_path, monkeypatch, caplog):
    out = tmp_path / "out"
    kill_before_moves(tree, out, monkeypatch)
    monkeypatch.setattr("tfrecords_tools.writer._write_splits", lambda *arguments: pytest.fail("converted anew"))
    info = convert(tree, out, SPLITS)
    assert list(info["splits"]) == list(SPLITS)
    assert caplog.messages == [f"{out}: completed the work of a kreid-convert that was killed: valid, test, info.json"]


@pytest.mark.parametrize("settings", [{"splits": ["test"]}, {"splits": SPLITS, "resize": (8, 4)}])
def test_another_conversion_completes_it_and_asks_before_replacing(tree, tmp_path, monkeypatch, settings):
    out = tmp_path / "out"
    kill_before_moves(tree, out, monkeypatch)
    with pytest.raises(ConfigError, match="already there; replace it with --overwrite"):
        convert(tree, out, **settings)
    assert list(read_info(out)["splits"]) == list(SPLITS)


def score(out):
    with pytest.raises(ConfigError, match="FILE none: no such file"):
        commands.score(Path("none"), out / "test")
    return out / "test"


@pytest.mark.parametrize(
    "find",
    [
        lambda out: check_data(out, "test"),
        lambda out: check_data(out / "test", "test"),
        lambda out: crop_source("--query", [out / "test"]),
        lambda out: split_folder(out, "test"),
        score,
    ],
    ids=["data", "split", "crops", "folder", "score"],
)
def test_commands_find_a_split_that_was_on_its_way(tree, tmp_path, monkeypatch, find):
    out = tmp_path / "out"
    convert(tree, out, SPLITS)
    with monkeypatch.context() as patch:
        real = Path.replace
        patch.setattr(Path, "replace", lambda path, target: die() if target == out / "test" else real(path, target))
        patch.setattr("tfrecords_tools.staging._take_back", die)
        with pytest.raises(Killed):
            overwrite(tree, out)
    assert not (out / "test").exists()
    assert find(out) == out / "test"
    assert (out / "test" / "index.npz").is_file()
