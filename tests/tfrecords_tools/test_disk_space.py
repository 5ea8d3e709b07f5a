from collections import namedtuple

import pytest
from sets import write_images
from tiny_tree import LISTS, write_tree

from tfrecords_tools import disk_space
from tfrecords_tools.disk_space import check_space
from tfrecords_tools.entry import Box
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.soccernet import scan
from tfrecords_tools.writer import convert

Usage = namedtuple("Usage", "free")


@pytest.fixture
def entries(tmp_path):
    return scan(write_tree(tmp_path / "tree", {"train": LISTS["train"]}), "train")


def needed(tmp_path, monkeypatch, entries, settings, finished=0):
    """The least room that lets a conversion begin."""
    fits, too_little = 10**9, -1
    while fits - too_little > 1:
        middle = (fits + too_little) // 2
        monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda out, free=middle: Usage(free))
        try:
            check_space(tmp_path, [entries], settings, finished)
            fits = middle
        except ValueError:
            too_little = middle
    return fits


@pytest.mark.parametrize(
    "settings, image",
    [
        ({}, None),
        ({"image_format": "png"}, None),
        ({"image_format": "jpeg"}, 0),
        ({"resize": (8, 4)}, 0),
        ({"resize": (8, 4), "image_format": "uncompressed"}, 8 * 4 * 3),
    ],
)
def test_what_is_known_of_the_room_that_is_needed(tmp_path, monkeypatch, entries, settings, image):
    files = sum(entry.path.stat().st_size for entry in entries)
    expected = 300 * 6 + (files if image is None else 6 * image)
    assert needed(tmp_path, monkeypatch, entries, Settings(**settings)) == expected
    assert needed(tmp_path, monkeypatch, list(entries), Settings(**settings)) == expected
    assert needed(tmp_path, monkeypatch, entries, Settings(**settings), finished=1000) == expected - 1000


def test_frames_say_nothing_of_what_is_cut_out_of_them_and_what_is_gone_is_said_later(tmp_path, monkeypatch, entries):
    cut = [entry._replace(box=Box(0, 0, 1, 1)) for entry in entries]
    assert needed(tmp_path, monkeypatch, cut, Settings()) == 300 * 6
    entries[0].path.unlink()
    files = sum(entry.path.stat().st_size for entry in entries[1:])
    assert needed(tmp_path, monkeypatch, entries, Settings()) == 300 * 6 + files


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    names = [f"{camera}/{person}/{frame}.png" for camera in "ab" for person in "12" for frame in (1, 2)]
    write_images(tmp_path / "set", names)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda out: Usage(1000))
    monkeypatch.setattr("tfrecords_tools.writer.write_split", lambda *how: pytest.fail("wrote"))
    with pytest.raises(
        ValueError, match=r"out: the records take 0\.00 GB or more, and 0\.00 GB are free on that disk; make"
    ):
        convert(tmp_path / "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()
