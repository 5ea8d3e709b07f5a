import os

import pytest
import tensorflow as tf

from tfrecords_tools.records import RecordFile


def test_offsets_lead_to_the_payloads(tmp_path):
    path = tmp_path / "a.tfrecord"
    records = [b"", b"x", b"payload" * 1000]
    with RecordFile(path) as file:
        offsets = [file.write(record) for record in records]
    data = path.read_bytes()
    assert [data[offset : offset + len(record)] for offset, record in zip(offsets, records, strict=True)] == records
    assert file.size == len(data)
    assert [one.numpy() for one in tf.data.TFRecordDataset(str(path))] == records


def test_no_records(tmp_path):
    with RecordFile(tmp_path / "a.tfrecord") as file:
        pass
    assert file.size == (tmp_path / "a.tfrecord").stat().st_size == 0


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"a\.tfrecord: cannot be written"):
        RecordFile(tmp_path / "nowhere" / "a.tfrecord")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")  # noqa: PTH110
def test_full_disk(tmp_path):
    (tmp_path / "full.tfrecord").symlink_to("/dev/full")

    def write():
        with RecordFile(tmp_path / "full.tfrecord") as file:
            file.write(b"x" * 10_000_000)

    with pytest.raises(OSError, match=r"full\.tfrecord: .*(cannot be written|is the disk full)"):
        write()


def test_error_inside_the_block_is_the_one_that_is_seen(tmp_path):
    with pytest.raises(KeyError, match="mine"), RecordFile(tmp_path / "a.tfrecord"):
        raise KeyError("mine")
