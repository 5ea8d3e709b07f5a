import json
import shutil

import pytest
from tiny_tree import LISTS, make_image, write_tree

from tfrecords_tools import staging
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info
from tfrecords_tools.info import VERSION
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.soccernet import SPLITS, scan
from tfrecords_tools.split_writer import write_split
from tfrecords_tools.writer import check_arguments, convert


def snapshot(folder):
    """Every file and folder below `folder` with its bytes."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def broken(tree):
    """A tree whose last split has a bad image."""
    scan(tree, "challenge")[-1].path.write_bytes(b"not an image")
    return tree


def test_every_split_is_converted_and_counted(tree, tmp_path):
    info = convert(tree, tmp_path / "out")
    assert info == json.loads((tmp_path / "out/info.json").read_text())
    assert info["schema_version"] == VERSION
    assert {split: one["images"] for split, one in info["splits"].items()} == {s: len(LISTS[s]) for s in SPLITS}
    assert {split: one["actions"] for split, one in info["splits"].items()} == {
        "train": 3, "valid": 2, "test": 1, "challenge": 1,
    }  # fmt: skip
    assert [one["queries"] for one in info["splits"].values()] == [0, 2, 1, 1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*SPLITS, "info.json"])
    for split in SPLITS:
        assert len(read_index(tmp_path / "out" / split)) == len(LISTS[split])


def test_splits_join_those_that_are_there(tree, tmp_path):
    out = tmp_path / "out"
    convert(tree, out, ["test"])
    before = snapshot(out / "test")
    info = convert(tree, out, ["valid", "train", "valid"], fraction=0.5)
    assert list(info["splits"]) == ["train", "valid", "test"]
    assert snapshot(out / "test") == before
    assert info["splits"]["train"]["fraction"] == 0.5
    assert info["splits"]["valid"]["fraction"] == 1.0


def test_fraction_cuts_the_training_set_only(tree, tmp_path):
    info = convert(tree, tmp_path / "out", fraction=0.5)  # actions 0, 1, 3: those below 2
    assert [one["images"] for one in info["splits"].values()] == [4, 5, 3, 3]
    assert read_index(tmp_path / "out/train").last_action == 3


def test_existing_split_is_kept_unless_told(tree, tmp_path):
    out = tmp_path / "out"
    convert(tree, out, ["train", "valid"])
    before = snapshot(out)
    with pytest.raises(ValueError, match="out/train: already there; replace it with --overwrite"):
        convert(tree, out, ["train"], resize=(8, 4))
    assert snapshot(out) == before
    info = convert(tree, out, ["train"], resize=(8, 4), overwrite=True)
    assert info["splits"]["train"]["resize"] == [8, 4]
    assert info["splits"]["valid"]["resize"] is None
    assert read_index(out / "train").read([0])
    assert staging.find_leftovers(out) == []


# === All or nothing ===


@pytest.mark.parametrize("below", ["out", "a/b/out"])
def test_bad_image_in_the_last_split_leaves_nothing(broken, tmp_path, below):
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="is not an image"):
        convert(broken, tmp_path / below)
    assert snapshot(tmp_path) == before


def test_bad_image_leaves_what_was_there(broken, tmp_path):
    out = tmp_path / "out"
    convert(broken, out, ["train"])
    before = snapshot(out)
    with pytest.raises(ValueError, match="is not an image"):
        convert(broken, out, ["train", "challenge"], overwrite=True)
    assert snapshot(out) == before


def test_interruption_leaves_nothing(tree, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfrecords_tools.split_writer.write_index", interrupt)
    before = snapshot(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        convert(tree, tmp_path / "out")
    assert snapshot(tmp_path) == before


def test_wrong_name_is_found_before_anything_is_written(tree, tmp_path, monkeypatch):
    scan(tree, "challenge")[0].path.with_name("x.png").touch()
    monkeypatch.setattr("tfrecords_tools.writer.stage", lambda out: pytest.fail("wrote"))
    with pytest.raises(ValueError, match=r"x\.png: the file name fits neither form"):
        convert(tree, tmp_path / "out")


def test_leftover_of_a_killed_run_is_removed(tree, tmp_path, caplog):
    (tmp_path / "out/.kreid-convert-abc/test").mkdir(parents=True)
    convert(tree, tmp_path / "out", ["test"])
    assert [".kreid-convert-abc: removed, it was left by" in message for message in caplog.messages] == [True]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["info.json", "test"]


def test_a_second_conversion_into_the_folder_is_refused_whatever_the_splits(tree, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def second(*arguments, **settings):
        with pytest.raises(ConfigError, match=r"out: another kreid-convert \(process \d+ on .*\) is at work"):
            convert(tree, out, ["valid"])
        return write_split(*arguments, **settings)

    monkeypatch.setattr("tfrecords_tools.split_writer.write_split", second)
    convert(tree, out, ["test"])
    assert list(read_info(out)["splits"]) == ["test"]


# === Refused ===


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"fraction": 0}, r"fraction: expected a number in \(0, 1\]"),
        ({"fraction": 1.5}, r"fraction: expected a number in \(0, 1\]"),
        ({"shards": 0}, "shards: expected 1 or more, received 0"),
        ({"resize": (0, 4)}, "resize: expected"),
        ({"resize": (4,)}, "resize: expected"),
        ({"image_format": "webp"}, "image_format: expected one of original, png, jpeg, uncompressed, received"),
    ],
)
def test_settings_out_of_range(tree, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        Settings(**settings)
    with pytest.raises(ConfigError, match=message):
        convert(tree, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("splits", [[], ["vaild"], ["train", "all"]])
def test_unknown_splits(tree, tmp_path, splits):
    with pytest.raises(ValueError, match="splits: expected names out of train, valid, test, challenge"):
        convert(tree, tmp_path / "out", splits)


def test_fraction_without_a_training_set(tree, tmp_path):
    with pytest.raises(ValueError, match=r"only the training set is cut, received 0\.1 for valid, test"):
        convert(tree, tmp_path / "out", ["valid", "test"], fraction=0.1)


def test_default_is_what_is_there(tree, tmp_path):
    shutil.rmtree(tree / "reid/valid")
    assert check_arguments(tree, tmp_path / "out") == ["train", "test", "challenge"]


def test_records_never_go_among_the_thumbnails(tree):
    for out in (tree, tree / "reid", tree / "reid" / ".." / "reid"):
        with pytest.raises(ValueError, match="holds the thumbnails"):
            convert(tree, out, overwrite=True)


def test_out_that_is_a_file(tree, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ValueError, match="out: not a folder"):
        convert(tree, tmp_path / "out")


def test_overwrite_replaces_records_only(tree, tmp_path):
    (tmp_path / "out/train").mkdir(parents=True)
    (tmp_path / "out/train/thesis.txt").touch()
    with pytest.raises(ValueError, match=r"holds more than records \(thesis\.txt\)"):
        convert(tree, tmp_path / "out", overwrite=True)
    write_tree(tmp_path / "other", {"train": LISTS["train"]})
    with pytest.raises(ValueError, match="holds more than records"):
        convert(tree, tmp_path / "other", overwrite=True)


def test_records_of_another_version_are_not_mixed(tree, tmp_path):
    out = tmp_path / "out"
    convert(tree, out, ["train"])
    (out / "info.json").write_text(json.dumps(read_info(out) | {"schema_version": VERSION + 1}))
    before = snapshot(out)
    with pytest.raises(ValueError, match=f"schema version {VERSION + 1}, this program reads versions 1 and {VERSION}"):
        convert(tree, out, ["valid"])
    assert snapshot(out) == before


def test_image_that_vanishes_while_converting(tree, tmp_path, monkeypatch):
    listed = scan(tree, "test")
    monkeypatch.setattr("tfrecords_tools.sources.soccernet.scan", lambda root, split: listed)
    listed[0].path.unlink()
    with pytest.raises(ValueError, match="No such file"):
        convert(tree, tmp_path / "out", ["test"])


def test_link_to_an_image(tree, tmp_path):
    path = scan(tree, "test")[0].path
    target = tmp_path / "elsewhere.png"
    target.write_bytes(make_image(5))
    path.unlink()
    path.symlink_to(target)
    convert(tree, tmp_path / "out", ["test"])
    assert make_image(5) in read_index(tmp_path / "out/test").read([0])[0]
