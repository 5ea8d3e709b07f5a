"""Records whose bytes have changed: whoever reads them says which record of which file it is, and what to do."""

import shutil

import numpy as np
import pytest

from kreid.config.sections import Data
from kreid.data.records import damage_named, first_damaged, read_fields, record_batches
from kreid.data.training_set import TrainingSet, training_batches
from kreid.report.looks import _read
from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.index import read_index
from tfrecords_tools.records import checksum_in, frame

ROW = 3
AGAIN = r"run kreid-convert again \(with --overwrite if the folder stays\)"


@pytest.fixture
def copy(records, tmp_path):
    shutil.copytree(records / "train", tmp_path / "records" / "train")
    shutil.copy(records / "info.json", tmp_path / "records")
    return tmp_path / "records"


def flip(copy):
    """Turn one bit in the middle of one record."""
    index = read_index(copy / "train")
    shard = index.shards[0]
    content = bytearray(shard.read_bytes())
    content[int(index.offset[ROW] + index.length[ROW] // 2)] ^= 1
    shard.write_bytes(content)
    return rf"{shard}: action {index.action[ROW]} bbox {index.bbox[ROW]}: the record is damaged, "


def replace(copy, payload):
    """Let another payload stand in the place of one record, with checksums that are right, as if converted so."""
    index = read_index(copy / "train")
    shard, start = index.shards[0], int(index.offset[ROW])
    content = shard.read_bytes()
    size = int(index.length[ROW])
    framed = frame((payload + bytes(size))[:size])
    shard.write_bytes(content[: start - 12] + framed + content[start - 12 + len(framed) :])
    path = copy / "train/index.npz"
    arrays = read_arrays(path)
    arrays["checksum"][ROW] = checksum_in(framed)
    write_arrays(path, arrays)
    return rf"{shard}: action {index.action[ROW]} bbox {index.bbox[ROW]}: the record is damaged, "


def train(folder):
    training_set = TrainingSet(folder, Data(persons=2, views=2), seed=1)
    batch = [np.full(training_set.sampler.batch_size, ROW)]
    with damage_named(training_set.index, training_set.rows):
        list(training_batches(training_set, (8, 4), batch))


def embed_all(folder):
    with damage_named(index := read_index(folder / "train"), np.arange(len(index))):
        list(record_batches(folder / "train", (8, 4)))


def embed_some(folder):
    with damage_named(read_index(folder / "train"), [2, ROW]):
        list(record_batches(folder / "train", (8, 4), rows=[2, ROW]))


def fields(folder):
    list(read_fields(read_index(folder / "train"), np.array([2, ROW])))


def look(folder):
    _read(read_index(folder / "train"), ROW)


@pytest.mark.parametrize("read", [train, embed_all, embed_some, fields, look])
def test_a_flipped_bit_is_noticed_by_every_reader(copy, read):
    read(copy)  # which is sound yet
    where = flip(copy)
    with pytest.raises(ValueError, match=rf"^{where}its checksum differs; {AGAIN}$"):
        read(copy)


# No message that can be parsed, one that TensorFlow quotes though it is no text, none at all.
@pytest.mark.parametrize("payload", [b"\xff" * 9, b"\x0a\xd8\xd9\xda", b""], ids=["junk", "no text", "zeros"])
@pytest.mark.parametrize("read", [train, embed_some, fields, look])
def test_a_record_that_does_not_parse_is_named(copy, read, payload):
    where = replace(copy, payload)
    with pytest.raises(ValueError, match=rf"^{where}its image cannot be decoded; {AGAIN}$"):
        read(copy)


def test_of_a_record_that_does_not_parse_and_a_later_flipped_bit_the_first_is_named(copy):
    where = replace(copy, b"\xff" * 9)
    index = read_index(copy / "train")
    later = index.shards[0].read_bytes()
    place = int(index.offset[ROW + 2] + index.length[ROW + 2] // 2)
    index.shards[0].write_bytes(later[:place] + bytes([later[place] ^ 1]) + later[place + 1 :])
    with pytest.raises(ValueError, match=rf"^{where}its image cannot be decoded; {AGAIN}$"):
        list(read_fields(read_index(copy / "train"), np.array([0, ROW, ROW + 2])))


def test_the_first_damaged_of_some_is_told_and_none_of_sound_ones(copy):
    where = flip(copy)
    with read_index(copy / "train") as index:
        assert first_damaged(index, [0, 1, 2, 4]) is None
        assert first_damaged(index, [4, ROW, 0]).startswith(where)
