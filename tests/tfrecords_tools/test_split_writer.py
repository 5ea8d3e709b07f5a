import io
from itertools import groupby

import numpy as np
import pytest
import tensorflow as tf
from examples import few
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_tree import make_image, write_tree

from tfrecords_tools.schema import parse
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.soccernet import scan
from tfrecords_tools.split_writer import IMAGES_PER_SHARD, plan_shards, write_split

LISTS = {
    "train": [("train", action, 10 * action + view // 2) for action in range(8) for view in range(4)],
    "valid": [("query", 1, 10), ("gallery", 0, 11), ("gallery", 1, 10), ("gallery", 1, 12)],
    "challenge": [("query", 0, 0), ("gallery", 0, 0)],
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), LISTS)


def write(folder, entries, **settings):
    return write_split(folder, entries, entries[-1].thumbnail.action, Settings(**settings))


def read(folder):
    """Every record of a split by TensorFlow's reader, in the order of the files' names."""
    for path in sorted(folder.glob("*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)):
            yield path.name, {name: value.numpy() for name, value in parse(record).items()}


# === Dividing actions among files ===


@pytest.mark.parametrize(
    "counts, shards, sizes",
    [
        ([5, 5, 5, 5], 1, [20]),
        ([5, 5, 5, 5], 2, [10, 10]),
        ([5, 5, 5, 5, 20], 2, [20, 20]),
        ([20, 5, 5, 5, 5], 2, [20, 20]),
        ([1, 1, 1], 3, [1, 1, 1]),
        ([1, 1, 1], 9, [1, 1, 1]),
        ([100, 1, 1], 3, [100, 1, 1]),
        ([1, 1, 100], 3, [1, 1, 100]),
        ([7], 4, [7]),
        ([3, 4, 3], 2, [7, 3]),
    ],
)
def test_shards_of_named_cases(counts, shards, sizes):
    assert plan_shards(counts, shards) == sizes


@few
@given(st.lists(st.integers(1, 82), min_size=1, max_size=300), st.integers(1, 320))
def test_shards_hold_whole_actions_and_about_the_same(counts, shards):
    sizes = plan_shards(counts, shards)
    assert len(sizes) == min(shards, len(counts))
    assert sum(sizes) == sum(counts)
    assert min(sizes) > 0
    assert set(np.cumsum(sizes)) <= set(np.cumsum(counts))
    if max(counts) * shards <= sum(counts):
        assert np.abs(np.array(sizes) - sum(counts) / shards).max() <= max(counts)


# === Records ===


def test_actions_are_whole_queries_first_and_in_order(tree, tmp_path):
    write(tmp_path / "train", scan(tree, "train"), shards=3)
    names = [path.name for path in sorted((tmp_path / "train").glob("*.tfrecord"))]
    assert names == [f"train-{number:05d}-of-00003.tfrecord" for number in range(3)]
    where = [(row["action"], name) for name, row in read(tmp_path / "train")]
    assert len({name for _, name in where}) == 3
    assert [key for key, _ in groupby(where)] == sorted(set(where))  # each action once, in one file

    write(tmp_path / "valid", scan(tree, "valid"))
    order = [(row["action"], row["subset"], row["bbox"]) for _, row in read(tmp_path / "valid")]
    assert order == [(0, b"gallery", 0), (1, b"query", 0), (1, b"gallery", 1), (1, b"gallery", 2)]


def test_bytes_are_those_of_the_files(tree, tmp_path):
    entries = scan(tree, "train")
    write(tmp_path / "train", entries)
    stored = [row["image"] for _, row in read(tmp_path / "train")]
    assert stored == [entry.path.read_bytes() for entry in entries]


def test_same_tree_gives_same_files(tree, tmp_path):
    for folder in (tmp_path / "a" / "train", tmp_path / "b" / "train"):
        folder.parent.mkdir()
        write(folder, scan(tree, "train"), shards=2)
    for one in (tmp_path / "a" / "train").iterdir():
        assert one.read_bytes() == (tmp_path / "b" / "train" / one.name).read_bytes(), one.name


def test_info_counts(tree, tmp_path):
    info = write(tmp_path / "valid", scan(tree, "valid"), resize=(8, 4), image_format="jpeg")
    size = sum(path.stat().st_size for path in (tmp_path / "valid").glob("*.tfrecord"))
    assert info == {
        "images": 4,
        "queries": 1,
        "gallery": 3,
        "identities": 3,
        "actions": 2,
        "shards": 1,
        "bytes": size,
        "fraction": 1.0,
        "resize": [8, 4],
        "image_format": "jpeg",
        "source": "soccernet",
        "protocol": "action",
        "cameras": 0,
        "tracks": 0,
        "notes": {},
        "skipped": 0,
    }
    assert write(tmp_path / "train", scan(tree, "train"))["queries"] == 0
    assert write(tmp_path / "challenge", scan(tree, "challenge"))["identities"] is None


def test_default_number_of_files(tree, tmp_path, monkeypatch):
    assert IMAGES_PER_SHARD == 2000
    monkeypatch.setattr("tfrecords_tools.split_writer.IMAGES_PER_SHARD", 10)
    assert write(tmp_path / "train", scan(tree, "train"))["shards"] == 3  # 32 images


def test_resized_images_keep_the_original_size_in_their_fields(tree, tmp_path):
    write(tmp_path / "valid", scan(tree, "valid"), resize=(8, 4))
    for _, row in read(tmp_path / "valid"):
        assert (row["height"], row["width"]) == (12, 6)
        assert Image.open(io.BytesIO(row["image"])).size == (4, 8)


def test_real_size_is_recorded_where_a_name_is_wrong(tmp_path, caplog):
    write_tree(tmp_path, {"challenge": [("query", 0, 0), ("query", 0, 1), ("gallery", 0, 0)]})
    entries = scan(tmp_path, "challenge")
    for entry in entries[:2]:
        entry.path.write_bytes(make_image(0, height=9, width=7))
    write(tmp_path / "challenge-records", entries)
    assert [(row["height"], row["width"]) for _, row in read(tmp_path / "challenge-records")] == [(9, 7)] * 2 + [
        (12, 6)
    ]
    assert len(caplog.messages) == 1
    assert f"2 images are not of the size their names say, the first: {entries[0].path} has 9x7" in caplog.messages[0]


def test_every_image_advances_the_bar(tree, tmp_path):
    calls = []
    entries = scan(tree, "train")
    write_split(tmp_path / "train", entries, 7, Settings(), workers=2, advance=lambda: calls.append(1))
    assert len(calls) == len(entries)


def test_nothing_is_decoded_that_checksums_tell_of_unless_it_is_wanted(tree, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tfrecords_tools.split_writer.Checker.__call__", lambda self, path, data: asked.append(path))
    for number, settings in enumerate([{}, {"image_format": "png"}, {"decode": True}, {"resize": (8, 4)}]):
        write(tmp_path / f"{number}", scan(tree, "valid"), **settings)
        assert len(asked) == (0, 0, 4, 8)[number]
    for path in (tmp_path / "0").iterdir():
        assert (
            path.read_bytes() == (tmp_path / "2" / path.name.replace("0-", "2-", 1)).read_bytes() or "npz" in path.name
        )


# === Bad images ===


@pytest.mark.parametrize("place", [0, 15, 31], ids=["first", "middle", "last"])
def test_bad_image_is_named(tmp_path, place):
    write_tree(tmp_path, {"train": LISTS["train"]})
    entries = scan(tmp_path, "train")
    entries[place].path.write_bytes(make_image(0)[:60])
    with pytest.raises(ValueError, match="is not a whole PNG or JPEG image") as refused:
        write(tmp_path / "records", entries, shards=3)
    assert str(refused.value).startswith(str(entries[place].path))


def test_all_bad_images_are_counted_and_the_first_named(tmp_path):
    write_tree(tmp_path, {"train": LISTS["train"]})
    entries = scan(tmp_path, "train")
    for entry in entries[3:10]:
        entry.path.write_bytes(b"")
    entries[20].path.unlink()
    with pytest.raises(ValueError, match=r"\(8 bad images\)") as refused:
        write(tmp_path / "records", entries, shards=3)
    named = [entry.path.name in str(refused.value) for entry in entries]
    assert named == [3 <= place < 8 for place in range(len(entries))]


def test_search_for_bad_images_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("tfrecords_tools.split_writer._BAD_MAX", 6)
    write_tree(tmp_path, {"train": LISTS["train"]})
    entries = scan(tmp_path, "train")
    for entry in entries:
        entry.path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"\(6 or more bad images\)"):
        write(tmp_path / "records", entries)


@pytest.mark.parametrize("settings", [{}, {"resize": (8, 4)}, {"image_format": "png"}], ids=str)
def test_an_image_that_training_could_not_decode_is_refused(tmp_path, settings):
    root = write_tree(tmp_path / "tree", {"train": LISTS["train"][:4]})
    entries = scan(root, "train")
    entries[2].path.write_bytes(make_image(0, image_format="JPEG")[:-1] + b"\xdb")  # which Pillow lets pass
    with pytest.raises(ValueError, match="is damaged so that training could not decode it") as refused:
        write(tmp_path / "train", entries, **settings)
    assert str(refused.value).startswith(f"{entries[2].path}: ")


@pytest.mark.parametrize("settings", [{}, {"resize": (8, 4)}, {"image_format": "jpeg"}], ids=str)
def test_a_jpeg_with_a_second_picture_inside_is_its_first(tmp_path, settings):
    root = write_tree(tmp_path / "tree", {"train": LISTS["train"][:2]})
    entries = scan(root, "train")
    first, second = (Image.open(io.BytesIO(make_image(seed))) for seed in (1, 2))
    first.save(entries[0].path, "MPO", save_all=True, append_images=[second])
    write(tmp_path / "train", entries, **settings)
    ((_, row), _) = read(tmp_path / "train")
    stored = Image.open(io.BytesIO(row["image"]), formats=["JPEG"])
    assert stored.size == (settings.get("resize", (12, 6))[::-1])
    assert row["image"] == entries[0].path.read_bytes() or settings
