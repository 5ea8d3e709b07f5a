import errno
import io
import stat
import zipfile
from types import SimpleNamespace

import pytest
from examples import damaged, few, refused
from hypothesis import given

from tfrecords_tools.download import archive as module
from tfrecords_tools.download.archive import check_room, unpack

FILES = {"england/a.png": b"first" * 50, "england/b.png": b"second" * 50, "bbox_info.json": b"{}"}


def zipped(files, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def place(tmp_path):
    """Where an archive is written, and where it is unpacked to."""
    return tmp_path / "train.zip", tmp_path / "train"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("above", ["", "train/"])
def test_files_stand_in_a_folder_of_the_split_or_in_none(place, above):
    archive, folder = place
    archive.write_bytes(zipped({f"{above}{name}": data for name, data in FILES.items()} | {"__MACOSX/._a.png": b"x"}))
    told = []
    unpack(archive, folder, lambda done, total: told.append((done, total)))
    assert {name: (folder / name).read_bytes() for name in names(folder)} == FILES
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["train", "train.zip"]


@pytest.mark.parametrize(
    "name", ["../a.png", "train/../../a.png", "/etc/a.png", "..\\a.png", "\\a.png", "C:\\a.png", "C:a.png"]
)
def test_what_would_land_elsewhere_is_refused(place, name):
    archive, folder = place
    archive.write_bytes(zipped({"train/b.png": b"x", name: b"y"}))
    with pytest.raises(ValueError, match=r"train.zip: .*a.png would be written outside of train; it is not what"):
        unpack(archive, folder)
    assert names(folder.parent) == ["train.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(place, kind):
    archive, folder = place
    link = zipfile.ZipInfo("train/a")
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(link, "/etc")
        file.writestr("train/a/b.png", b"x")
    with pytest.raises(ValueError, match="train/a is a link or a device, no file"):
        unpack(archive, folder)
    assert not folder.exists()


def test_a_bomb_is_refused_before_it_is_unpacked(place, monkeypatch):
    archive, folder = place
    archive.write_bytes(zipped({"train/a.png": bytes(100_000)}, zipfile.ZIP_DEFLATED))
    unpack(archive, folder)  # small enough, whatever it weighs
    monkeypatch.setattr(module, "_SMALL", 99_999)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(ValueError, match=r"train.zip: \d+ bytes would unpack to 100,000, more than images can"):
        unpack(archive, folder.with_name("again"))


def test_files_that_share_their_bytes_are_a_bomb(place):
    archive, folder = place
    archive.write_bytes(zipped({f"train/{number}.png": b"x" * 300 for number in range(3)}))
    with zipfile.ZipFile(archive, "a") as file:  # the list at its end names the first one's bytes three times
        first = file.infolist()[0]
        for member in file.infolist():
            member.compress_size, member.header_offset = 1000, first.header_offset
        file._didModify = True
    with pytest.raises(ValueError, match="more than images can"):
        unpack(archive, folder)


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "text"])
def test_a_damaged_archive_is_told(place, harm):
    archive, folder = place
    data = zipped({f"train/{name}": content for name, content in FILES.items()}, zipfile.ZIP_DEFLATED)
    at = data.index(b"a.png") + 12
    harmed = {"cut": data[:-9], "flipped": data[:at] + b"\xff" + data[at + 1 :], "empty": b"", "text": b"<html>"}
    archive.write_bytes(harmed[harm])
    with pytest.raises(ValueError, match=r"train.zip: not a whole zip file \(.+\); remove it and download again"):
        unpack(archive, folder)
    assert names(folder.parent) == ["train.zip"]


@few
@given(damaged(zipped(FILES, zipfile.ZIP_DEFLATED), bytes([0, 1, 9, 47, 80, 128, 255])))
def test_bytes_of_any_kind_are_unpacked_or_refused_in_a_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("set") / "train"
    archive = folder.with_name("train.zip")
    archive.write_bytes(data)
    assert refused(lambda: unpack(archive, folder), [f"{archive}: "])
    assert set(names(folder.parent)) == {"train.zip"} or folder.is_dir()


@pytest.mark.parametrize(
    "offset, value",
    [(8, b"\1"), (10, b"\x63"), (28, bytes(2)), (46, b"\xff"), (9, b"\x08"), (42, b"\xff\xff\xff\xff")],
)
def test_a_list_of_files_that_cannot_be_read_is_told(place, offset, value):
    """Encrypted, packed by a method that nobody knows, of no name, of one that is no text, at a place far behind."""
    archive, folder = place
    data = bytearray(zipped({"train/a.png": b"x" * 99}))
    start = data.rindex(b"PK\1\2") + offset
    data[start : start + len(value)] = value
    archive.write_bytes(data)
    assert refused(lambda: unpack(archive, folder), [f"{archive}: not a whole zip file (", f"{archive}: holds no"])


def test_a_full_disk_is_not_the_archive_s_fault(place, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    archive, folder = place
    archive.write_bytes(zipped(FILES))
    monkeypatch.setattr("shutil.copyfileobj", fail)
    with pytest.raises(OSError, match="No space left") as left:
        unpack(archive, folder)
    assert left.value.filename == str(folder)
    assert names(folder.parent) == ["train.zip"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_inside_of_a_file(place, order):
    archive, folder = place
    archive.write_bytes(zipped(dict.fromkeys(["train/a", "train/a/b/c.png"][::order], b"x")))
    with pytest.raises(ValueError, match=r"train.zip: a/b/c.png lies in what is a file there; it is not what"):
        unpack(archive, folder)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_stands_in_it_twice(place):
    archive, folder = place
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train/a.png", b"x")
        file.writestr("train/a.png", b"y")
    with pytest.raises(ValueError, match="train.zip: names a file twice"):
        unpack(archive, folder)


def test_an_archive_of_nothing(place):
    archive, folder = place
    archive.write_bytes(zipped({"__MACOSX/a": b""}))
    with pytest.raises(ValueError, match="holds no files of train"):
        unpack(archive, folder)


def test_what_a_killed_run_left_is_removed(place):
    archive, folder = place
    archive.write_bytes(zipped(FILES))
    (folder.parent / ".kreid-download-train-x").mkdir()
    (folder.parent / ".kreid-download-valid-x").mkdir()
    unpack(archive, folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == [".kreid-download-valid-x", "train", "train.zip"]


def test_room_is_counted_in_blocks(place, monkeypatch):
    archive, folder = place
    archive.write_bytes(zipped(FILES))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 * 4096))
    unpack(archive, folder)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 * 4096 - 1))
    with pytest.raises(ValueError, match=r"what train.zip unpacks to takes 0.00 GB, and 0.00 GB are free on that disk"):
        unpack(archive, folder.with_name("again"))


def test_room_is_looked_for_where_a_folder_will_be(tmp_path):
    check_room(tmp_path / "not/there", 1, "a byte takes")
    with pytest.raises(ValueError, match=r"not/there: all takes 1,000,000,000.00 GB"):
        check_room(tmp_path / "not/there", 10**18, "all takes")
