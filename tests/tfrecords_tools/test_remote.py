import copy
import errno
import io
import os
import pickle
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from elsewhere import upload
from tiny_tree import write_tree

from tfrecords_tools import remote
from tfrecords_tools.addresses import as_path, local_path
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info, split_folder
from tfrecords_tools.remote import RemotePath, open_descriptor, path_of
from tfrecords_tools.writer import convert

LISTS = {"train": [("train", action, action) for action in range(6) for _ in range(2)]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records of 12 thumbnails in two files."""
    folder = tmp_path_factory.mktemp("made")
    write_tree(folder / "tree", LISTS)
    convert(folder / "tree", folder / "records", shards=2)
    return folder / "records"


@pytest.fixture
def address(made):
    return upload(made)


def put(address, data):
    if tf.io.gfile.exists(address):  # else this file system writes behind what is there
        tf.io.gfile.remove(address)
    with tf.io.gfile.GFile(address, "wb") as file:
        file.write(data)


@pytest.fixture
def failing(monkeypatch):
    """Makes every look at an address fail, as TensorFlow has it."""

    def fail(error):
        def look(name):
            raise error(None, None, f"no answer\n\t when reading {name}")

        monkeypatch.setattr(tf.io.gfile, "stat", look)

    return fail


def test_a_path_keeps_the_two_slashes_of_its_address():
    path = path_of("gs://bucket/records/")
    assert str(path) == os.fspath(path) == "gs://bucket/records"
    assert repr(path) == "RemotePath('gs://bucket/records')"
    for each in (path / "train", path.joinpath("x", "y"), path.parent, path.with_name("a"), copy.copy(path)):
        assert isinstance(each, RemotePath)
        assert str(each).startswith("gs://bucket")
    assert str(pickle.loads(pickle.dumps(path))) == "gs://bucket/records"
    assert str(path / "train" / "index.npz") == "gs://bucket/records/train/index.npz"
    assert (path.name, path.parent.name, str(path.absolute()), str(path.resolve())) == (
        *("records", "bucket"),
        *("gs://bucket/records",) * 2,
    )
    assert path_of(path) == path
    assert as_path(path) is path
    assert type(path_of("records")) is type(Path("records"))
    with pytest.raises(ConfigError, match="gs://bucket/records: an address"):
        local_path(path)


def test_what_is_there_is_told_apart(address):
    folder = path_of(address)
    kinds = [(path.exists(), path.is_dir(), path.is_file()) for path in (folder, folder / "info.json", folder / "x")]
    assert kinds == [(True, True, False), (True, False, True), (False, False, False)]
    assert list(map(str, folder.glob("*/index.npz"))) == [f"{address}/train/index.npz"]
    with pytest.raises(FileNotFoundError, match=f"{address}/x"):
        (folder / "x").stat()


def test_a_file_is_read_into_memory_and_never_written(address, made):
    path = path_of(address) / "info.json"
    with path.open("rb") as file:
        assert file.read() == path.read_bytes() == (made / "info.json").read_bytes()
    assert path.stat().st_size == len(path.read_bytes())
    for write in (lambda: path.open("wb"), lambda: path.write_bytes(b"x"), lambda: path.write_text("x")):
        with pytest.raises(OSError, match="an address is only read"):
            write()


def test_records_at_an_address_are_those_that_were_copied_there(address, made):
    assert read_info(address) == read_info(made)
    with read_index(f"{address}/train") as there, read_index(made / "train") as here:
        rows = [11, 0, 5, 11]
        assert there.read(rows) == here.read(rows)
        assert there.name(0) == f"{address}/train/{here.shards[0].name}: action 0 bbox 0"
        assert there.digest() == here.digest()
    assert str(split_folder(address, "train")) == str(split_folder(f"{address}/train", "train")) == f"{address}/train"


def test_each_file_is_copied_once_in_a_process_and_anew_once_it_has_changed(address, monkeypatch):
    copied, copy_file = [], RemotePath._copy
    monkeypatch.setattr(RemotePath, "_copy", lambda path: copied.append(path.name) or copy_file(path))
    for _ in range(2):
        with read_index(f"{address}/train") as index:
            index.read([0, 11, 1])
    assert len(copied) == len(set(copied)) == 2
    shard = index.shards[0]
    put(str(shard), shard.read_bytes() + b"more")
    descriptor = open_descriptor(shard)
    assert os.pread(descriptor, 1 << 20, 0).endswith(b"more")
    os.close(descriptor)
    assert len(copied) == 3


def test_a_file_of_the_same_size_and_second_is_copied_anew(address, monkeypatch):
    shard = next(path_of(address).glob("train/*.tfrecord"))
    look, age = tf.io.gfile.stat, [5 * 10**8]

    def stat(name):
        told = look(name)
        return SimpleNamespace(length=told.length, is_directory=told.is_directory, mtime_nsec=age[0])

    monkeypatch.setattr(tf.io.gfile, "stat", stat)
    os.close(open_descriptor(shard))
    put(str(shard), bytes(len(shard.read_bytes())))
    age[0] += 1
    descriptor = open_descriptor(shard)
    assert not any(os.pread(descriptor, 100, 0))
    os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hdfs:///user/records", "expected a bucket or a host after hdfs://, such as hdfs://host/user/records"),
        ("file:///data/records", "files of this machine are given by their path; leave file:// out"),
    ],
)
def test_an_address_without_a_host_is_not_taken_for_another(text, message):
    with pytest.raises(ConfigError) as caught:
        path_of(text)
    assert str(caught.value) == f"{text}: {message}"


def test_a_copy_bears_no_name_and_outlives_the_descriptors_given_out(address, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shard = next(path_of(address).glob("train/*.tfrecord"))
    first = shard.copied()
    assert list(tmp_path.iterdir()) == []
    os.close(first)
    second = shard.copied()
    assert os.pread(second, 1 << 20, 0) == shard.read_bytes()
    os.close(second)


def test_what_is_missing_or_damaged_is_named_by_its_address(address):
    with pytest.raises(ValueError, match=f"{address}/valid: no such folder of records"):
        read_index(f"{address}/valid")
    with pytest.raises(ValueError, match=rf"{address}/index.npz: no such file, .*; give one of its splits: train"):
        read_index(address)
    index = read_index(f"{address}/train")
    shard = index.shards[1]
    data = bytearray(shard.read_bytes())
    data[-9] ^= 1
    put(str(shard), bytes(data))
    with pytest.raises(ValueError, match=rf"{shard}: action 5 bbox \d+: the record is damaged, .* again"):
        index.read([11])
    put(str(shard), b"short")
    with pytest.raises(ValueError, match=rf"{shard}: expected {len(data)} bytes, the file has 5"):
        read_index(f"{address}/train")


def test_a_file_system_that_tensorflow_lacks_is_named():
    with pytest.raises(ConfigError, match=r"nowhere://b/x/train: this TensorFlow has no file system for nowhere://; "):
        read_index("nowhere://b/x/train")


def test_an_address_that_cannot_be_reached_is_an_error_in_one_line_and_not_a_missing_one(failing):
    failing(tf.errors.UnavailableError)
    with pytest.raises(OSError, match="cannot be reached, no answer when reading ram://b/x") as caught:
        path_of("ram://b/x").exists()
    assert (caught.value.filename, caught.value.errno) == ("ram://b/x", errno.EIO)


def test_a_server_that_goes_while_records_are_read_is_not_a_fault_of_the_records(address, failing):
    index = read_index(f"{address}/train")
    failing(tf.errors.UnavailableError)
    with pytest.raises(ValueError, match=r"\.tfrecord: cannot be reached, no answer when reading \S+$"):
        index.read([0])


def test_a_full_disk_says_where_the_copies_go(address, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    index = read_index(f"{address}/train")
    monkeypatch.setattr(remote.tempfile, "TemporaryFile", lambda **options: Full())
    said = rf"\.tfrecord: No space left on device: .* copied to {tempfile.gettempdir()} .*set TMPDIR to a folder"
    with pytest.raises(ValueError, match=said):
        index.read([0])


def test_a_slow_disk_takes_a_copy_in_parts(address, monkeypatch):
    """A system may write less than it was given."""

    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(data[:1000])

    slow = Slow()
    remote._write(slow, bytes(range(250)) * 10)
    assert slow.getvalue() == bytes(range(250)) * 10
