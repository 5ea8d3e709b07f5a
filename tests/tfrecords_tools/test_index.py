import contextlib
import dataclasses
import gc
import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_tree import make_image, write_tree

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import COLUMNS, NAMES, read_index, read_info
from tfrecords_tools.info import VERSION
from tfrecords_tools.schema import parse
from tfrecords_tools.writer import convert

LISTS = {
    "train": [("train", action, 10 * action + view // 2) for action in range(10) for view in range(5)],
    "valid": [("query", 0, 10), ("query", 1, 12), ("gallery", 0, 10), ("gallery", 0, 11), ("gallery", 1, 12)],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records of 50 training thumbnails in three shards, and of a valid split."""
    folder = tmp_path_factory.mktemp("made")
    write_tree(folder / "tree", LISTS)
    convert(folder / "tree", folder / "records", shards=3)
    return folder / "records"


@pytest.fixture
def records(made, tmp_path):
    """A copy of those records to break."""
    copy = tmp_path / "records"
    for path in made.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(made)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(made)).write_bytes(path.read_bytes())
    return copy


def edit(path, **changes):
    with np.load(path) as arrays:
        content = dict(arrays) | changes
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


def test_files_are_found_from_another_folder(made, monkeypatch):
    monkeypatch.chdir(made.parent)
    with read_index("records/valid") as index, read_index(made / "valid") as other:
        monkeypatch.chdir("/")
        assert index.read([0, 4]) == other.read([0, 4])
        assert index.name(0).startswith("records/valid/")


def test_index_says_what_the_records_say(made):
    # TensorFlow's own reader is the truth: every record in the order of the files.
    for split in LISTS:
        index = read_index(made / split)
        dataset = tf.data.TFRecordDataset([str(path) for path in index.shards])
        rows = [{name: value.numpy() for name, value in parse(record).items()} for record in dataset]
        assert len(rows) == len(index) == len(LISTS[split])
        for name in ("bbox", "action", "person"):
            assert [row[name] for row in rows] == getattr(index, name).tolist(), name
        assert [row["subset"] == b"query" for row in rows] == index.is_query.tolist()
        assert [row["game"].decode() for row in rows] == index.games[index.game].tolist()


def test_read_equals_tensorflows_reader(made):
    index = read_index(made / "train")
    expected = [record.numpy() for record in tf.data.TFRecordDataset([str(path) for path in index.shards])]
    assert index.read(range(50)) == expected
    order = np.random.default_rng(0).permutation(50)
    assert index.read(order) == [expected[row] for row in order]
    assert index.read([7, 7]) == [expected[7]] * 2
    assert index.read([]) == []


def test_records_of_version_1_are_read(records):
    """As that version left them: without cameras, tracks and names, and with less in info.json."""
    later = ("camera", "track", "checksum", *NAMES)
    edit(records / "train/index.npz", **dict.fromkeys(later))
    info = json.loads((records / "info.json").read_text())
    for split in info["splits"].values():
        for name in ("source", "protocol", "cameras", "tracks", "notes", "skipped"):
            del split[name]
    (records / "info.json").write_text(json.dumps(info | {"schema_version": 1}))
    index = read_index(records / "train")
    assert set(index.camera.tolist()) == set(index.track.tolist()) == {-1}
    assert [len(getattr(index, name)) for name in NAMES] == [0, 0, 0]
    assert len(index.read([0, 49])) == 2
    split = read_info(records)["splits"]["train"]
    assert (split["source"], split["protocol"], split["cameras"], split["skipped"]) == ("soccernet", "action", 0, 0)


def test_track_outside_of_the_names_is_refused(records):
    edit(records / "valid/index.npz", track=np.array([-1, 0, 0, 0, 0], np.int32))
    with pytest.raises(ValueError, match=r"track outside -1\.\.-1"):
        read_index(records / "valid")


def test_columns_have_their_types(made):
    index = read_index(made / "valid")
    for name, dtype in COLUMNS.items():
        assert getattr(index, name).dtype == dtype, name
    assert index.is_query.tolist() == [True, False, False, True, False]
    assert index.shards == (made / "valid/valid-00000-of-00002.tfrecord", made / "valid/valid-00001-of-00002.tfrecord")


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"shard", "offset"}))
def test_a_digest_tells_records_by_what_they_are(made, name):
    index, last = read_index(made / "valid"), np.arange(5) == 4
    column = getattr(index, name)
    changed = ~column if column.dtype == bool else column + 1
    other = dataclasses.replace(index, **{name: np.where(last, changed, column)})
    assert other.digest() != index.digest()
    assert other.digest(np.arange(4)) == index.digest(np.arange(4))
    assert other.digest([1, 0]) == index.digest([1, 0]) != index.digest([0, 1])


def test_a_digest_is_the_same_wherever_records_lie(made, records):
    index = read_index(made / "valid")
    elsewhere = {"shard": index.shard + 1, "offset": index.offset + 100}
    assert dataclasses.replace(index, **elsewhere).digest() == index.digest() == read_index(records / "valid").digest()
    assert index.digest() != read_index(made / "train").digest()


def test_index_is_frozen(made):
    index = read_index(made / "valid")
    with pytest.raises(dataclasses.FrozenInstanceError):
        index.bbox = None


@pytest.mark.parametrize("row", [50, -1, 1000])
def test_position_outside(made, row):
    with pytest.raises(IndexError, match=rf"expected positions in 0\.\.49, received {row}"):
        read_index(made / "train").read([row])


def test_threads_may_share_an_index(made):
    index = read_index(made / "train")
    expected = index.read(range(50))
    index.close()
    wrong = []

    def work(seed):
        for row in np.random.default_rng(seed).integers(0, 50, 300):
            if index.read([row]) != [expected[row]]:
                wrong.append(row)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def open_files(folder):
    """How many files below the folder this process holds open, whatever else other tests or threads have open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile, as the listing's own is
            found += link.readlink().is_relative_to(folder.resolve())
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")  # noqa: PTH112
def test_files_are_opened_late_and_closed(made):
    folder = made / "train"
    gc.collect()  # closes what other tests of these records have left
    index = read_index(folder)
    assert open_files(folder) == 0
    index.read([0, 1, 49])
    assert open_files(folder) == 2
    index.close()
    assert open_files(folder) == 0
    with index:
        index.read([0])
        assert open_files(folder) == 1
    assert open_files(folder) == 0
    index.read([0])
    del index
    gc.collect()
    assert open_files(folder) == 0


# === A fraction of what is there ===


@pytest.mark.parametrize("fraction, actions", [(1, 10), (0.5, 5), (0.11, 2), (0.1, 1)])
def test_fraction_rows(made, fraction, actions):
    index = read_index(made / "train")
    assert index.fraction_rows(fraction).tolist() == list(range(5 * actions))


def test_fraction_is_that_of_the_whole_set(made, tmp_path):
    convert(made.parent / "tree", tmp_path / "cut", ["train"], fraction=0.4)
    index = read_index(tmp_path / "cut" / "train")
    assert (len(index), index.fraction, index.last_action) == (20, 0.4, 9)
    assert len(index.fraction_rows(0.2)) == 10
    assert len(index.fraction_rows(0.4)) == len(index.fraction_rows(1)) == 20
    with pytest.raises(ConfigError, match=r"0\.5 was asked for, but .*train holds only 0\.4"):
        index.fraction_rows(0.5)
    with pytest.raises(ConfigError, match="fraction: expected"):
        index.fraction_rows(0)


# === What is missing or broken ===


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder of records; kreid-convert writes it"):
        read_index(tmp_path / "nowhere")


def test_folder_above_the_splits(made):
    with pytest.raises(ValueError, match="give one of its splits: train, valid"):
        read_index(made)


def test_folder_of_something_else(tmp_path):
    with pytest.raises(ValueError, match=r"index\.npz: no such file, expected the folder of one split"):
        read_index(tmp_path)


def test_missing_info(records):
    (records / "info.json").unlink()
    with pytest.raises(ValueError, match=r"info\.json: no such file"):
        read_index(records / "train")


@pytest.mark.parametrize("version", [0, VERSION + 1, None, "1"])
def test_another_schema_version(records, version):
    info = json.loads((records / "info.json").read_text()) | {"schema_version": version}
    (records / "info.json").write_text(json.dumps(info))
    with pytest.raises(
        ValueError, match=rf"schema version {version}, this program reads versions 1 and {VERSION}; run kreid-con"
    ):
        read_index(records / "train")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "splits": 3}', "\x00"]
)
def test_unreadable_info(records, text):
    (records / "info.json").write_text(text)
    with pytest.raises(ValueError, match=r"info\.json: not readable"):
        read_info(records)


@pytest.mark.parametrize("size", [0, 10, 700])
def test_index_cut_short(records, size):
    path = records / "train/index.npz"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        ValueError, match=r"index\.npz: expected a \.npz file of plain arrays: .*run kreid-convert again"
    ):
        read_index(records / "train")


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox": np.arange(49)},
        {"offset": None},
        {"shards": None},
        {"shard_bytes": np.array([1, 2])},
        {"shard": np.full(50, 3)},
        {"shard": np.full(50, -1)},
        {"game": np.full(50, 1)},
        {"offset": np.full(50, 0)},
        {"offset": np.full(50, 10**9)},
        {"length": np.full(50, -1)},
        {"games": np.array([{"an": "object"}])},
        {"fraction": None},
    ],
    ids=str,
)
def test_index_whose_arrays_do_not_fit(records, changes):
    edit(records / "train/index.npz", **changes)
    with pytest.raises(ValueError, match=r"train/index\.npz: (not a readable index|expected a \.npz file)"):
        read_index(records / "train")


def test_missing_shard(records):
    shard = records / "train/train-00001-of-00003.tfrecord"
    shard.unlink()
    with pytest.raises(ValueError, match=r"train-00001-of-00003\.tfrecord: expected \d+ bytes, the file is missing"):
        read_index(records / "train")


@pytest.mark.parametrize("change", [-1, -100, 1])
def test_shard_of_another_size(records, change):
    shard = records / "train/train-00002-of-00003.tfrecord"
    size = shard.stat().st_size
    os.truncate(shard, size + change)
    with pytest.raises(
        ValueError, match=rf"00002-of-00003\.tfrecord: expected {size} bytes, the file has {size + change}"
    ):
        read_index(records / "train")


def test_shard_that_vanishes_later(records):
    index = read_index(records / "train")
    index.shards[1].unlink()
    with pytest.raises(ValueError, match=r"train-00001-of-00003\.tfrecord: No such file.*kreid-convert"):
        index.read(range(50))


def test_shard_that_is_cut_later(records):
    index = read_index(records / "train")
    index.read([0])
    os.truncate(index.shards[0], 100)
    with pytest.raises(ValueError, match=r"00000-of-00003\.tfrecord: action 0 bbox 3: the record is damaged"):
        index.read([3])


def test_shard_of_another_conversion(records):
    # Of equal size, so that only the lengths in front of the records tell.
    shard = records / "train/train-00000-of-00003.tfrecord"
    size = shard.stat().st_size
    shard.write_bytes(make_image(0) + bytes(size - len(make_image(0))))
    index = read_index(records / "train")
    with pytest.raises(
        ValueError,
        match="bbox 0: the record is damaged, no record of the expected length begins here",
    ):
        index.read([0])


def test_index_of_another_conversion(records, tmp_path):
    """The same images with a label mended: equal lengths, equal counts, sound checksums."""
    people = [(subset, action, {10: 11, 11: 10}.get(person, person)) for subset, action, person in LISTS["valid"]]
    write_tree(tmp_path / "tree", {**LISTS, "valid": people})
    convert(tmp_path / "tree", tmp_path / "mended", shards=3)
    sizes = [
        [shard.stat().st_size for shard in read_index(out / "valid").shards] for out in (records, tmp_path / "mended")
    ]
    assert sizes[0] == sizes[1]
    shutil.copy(tmp_path / "mended/valid/index.npz", records / "valid")
    index = read_index(records / "valid")
    with pytest.raises(
        ValueError, match=r"action 0 bbox 0: the record is damaged, it is another one than the index desc"
    ):
        index.read([0])
    edit(records / "valid/index.npz", checksum=None)  # as earlier versions left it
    assert len(read_index(records / "valid").read([0])) == 1


@pytest.mark.parametrize("link", [False, True], ids=["copied", "linked"])
def test_folder_of_another_split_or_conversion(records, tmp_path, link):
    """A whole split under another's name would be scored as if it were the one that was asked for."""
    shutil.rmtree(records / "train")
    shutil.copytree(records / "valid", records / "train")
    folder = records / "train"
    if link:
        folder = tmp_path / "test"
        folder.symlink_to(records / "train")
    expected = r"not the records that info\.json beside it describes: images 5, not 50, queries 2, not 0, .*; restore"
    with pytest.raises(ValueError, match=f"{re.escape(str(folder))}: {expected}"):
        read_index(folder)


@pytest.mark.parametrize("place", [-12, -4, 0, 200, -1])  # length, its checksum, payload, its checksum
def test_a_flipped_bit_is_told_with_file_and_record(records, place):
    index = read_index(records / "train")
    content = bytearray(index.shards[0].read_bytes())
    start, length = int(index.offset[3]), int(index.length[3])
    content[start + (place if place != -1 else length)] ^= 16
    index.shards[0].write_bytes(content)
    with pytest.raises(ValueError) as failure:  # noqa: PT011
        index.read([3])
    what = str(failure.value)
    assert what.startswith(f"{index.shards[0]}: action 0 bbox 3: the record is damaged, ")
    assert what.endswith("; run kreid-convert again (with --overwrite if the folder stays)")
    assert len(index.read([2, 4])) == 2
