import errno
import os

import pytest
import tensorflow as tf

from tfrecords_tools.records import FOOTER, HEADER, RecordFile, frame, unframe

RECORDS = [b"", b"x", b"payload" * 1000, bytes(range(256))]


def test_offsets_lead_to_the_payloads(tmp_path):
    path = tmp_path / "a.tfrecord"
    with RecordFile(path) as file:
        offsets = [file.write(record) for record in RECORDS]
    data = path.read_bytes()
    assert [data[offset : offset + len(record)] for offset, record in zip(offsets, RECORDS, strict=True)] == RECORDS
    assert file.size == len(data)


def test_tensorflow_reads_what_is_written_and_writes_the_same(tmp_path):
    with RecordFile(tmp_path / "ours") as file, tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
        for record in RECORDS:
            file.write(record)
            theirs.write(record)
    assert [one.numpy() for one in tf.data.TFRecordDataset(str(tmp_path / "ours"))] == RECORDS
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("record", RECORDS)
def test_a_frame_is_taken_off(record):
    assert unframe(frame(record)) == record


@pytest.mark.parametrize("bit", range(8))
def test_a_bit_that_is_flipped_anywhere_is_noticed(bit):
    framed = frame(b"twenty bytes of data")
    for place in range(len(framed)):
        damaged = bytearray(framed)
        damaged[place] ^= 1 << bit
        with pytest.raises(ValueError, match="expected length|checksum"):
            unframe(bytes(damaged))


@pytest.mark.parametrize("length", [0, 7, HEADER, HEADER + FOOTER - 1, HEADER + FOOTER, 35, 37])
def test_a_frame_of_another_length_is_noticed(length):
    with pytest.raises(ValueError, match="no record of the expected length begins here"):
        unframe((frame(b"twenty bytes of data") + b"x")[:length])


def test_no_records(tmp_path):
    with RecordFile(tmp_path / "a.tfrecord") as file:
        pass
    assert file.size == (tmp_path / "a.tfrecord").stat().st_size == 0


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError) as failure:
        RecordFile(tmp_path / "nowhere" / "a.tfrecord")
    assert failure.value.filename == str(tmp_path / "nowhere" / "a.tfrecord")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")  # noqa: PTH110
@pytest.mark.parametrize("size", [10, 10_000_000])  # it is noticed on closing, on writing
def test_full_disk(tmp_path, monkeypatch, size):
    (tmp_path / "full.tfrecord").symlink_to("/dev/full")
    real = type(tmp_path).open
    monkeypatch.setattr(type(tmp_path), "open", lambda path, mode, **options: real(path, "wb", **options))

    def write():
        with RecordFile(tmp_path / "full.tfrecord") as file:
            file.write(b"x" * size)

    with pytest.raises(OSError, match="No space left") as failure:
        write()
    assert (failure.value.errno, failure.value.filename) == (errno.ENOSPC, str(tmp_path / "full.tfrecord"))


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        RecordFile(tmp_path / "a.tfrecord")


def test_error_inside_the_block_is_the_one_that_is_seen(tmp_path):
    with pytest.raises(KeyError, match="mine"), RecordFile(tmp_path / "a.tfrecord"):
        raise KeyError("mine")
