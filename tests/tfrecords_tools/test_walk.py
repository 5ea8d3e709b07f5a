import logging
import os
from contextlib import suppress

import pytest
from examples import few
from examples import names as file_names
from hypothesis import given
from hypothesis import strategies as st

from tfrecords_tools.walk import Skipped, describe, walk, walk_folders, warn_of_skipped


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder, walked):
    files = [str(path.relative_to(folder)) for path in walked.files]
    return files, {str(path.relative_to(folder)): why for path, why in walked.skipped}


def test_images_come_in_the_order_of_their_paths_with_all_the_rest_named(tmp_path):
    make(tmp_path, "b.jpeg", "a/z.PNG", "a/b/c.jpg", "a.png", "._b.png", ".DS_Store", "__MACOSX/x.png", ".cache/y.png")
    make(tmp_path, "c.webp", "notes.txt", "x.png/inner.png")
    files, skipped = names(tmp_path, walk(tmp_path))
    assert files == ["a/b/c.jpg", "a/z.PNG", "a.png", "b.jpeg"]
    assert skipped == {
        **dict.fromkeys(["._b.png", ".DS_Store", "__MACOSX", ".cache"], "hidden"),
        **dict.fromkeys(["c.webp", "notes.txt"], "not .png or .jpg or .jpeg"),
        "x.png": "a folder",
    }
    assert names(tmp_path, walk(tmp_path, (".png",)))[0] == ["a/z.PNG", "a.png"]


def test_folders_come_in_the_order_of_their_paths_with_the_names_in_each(tmp_path):
    make(tmp_path, "b/c.jpg", "b/a.PNG", "b c/1.png", "b/d/2.png", "a/0.png", "z.png", "b/notes.txt")
    (tmp_path / "empty").mkdir()
    found = [
        (path.relative_to(tmp_path).as_posix(), names, len(skipped)) for path, names, skipped in walk_folders(tmp_path)
    ]
    assert found == [
        (".", ["z.png"], 0),
        ("a", ["0.png"], 0),
        ("b", ["a.PNG", "c.jpg"], 1),
        ("b/d", ["2.png"], 0),
        ("b c", ["1.png"], 0),
        ("empty", [], 0),
    ]


def test_links_are_followed_and_loops_end(tmp_path):
    make(tmp_path, "elsewhere/1.png", "crops/0.png")
    place = tmp_path / "crops"
    (place / "disk").symlink_to(tmp_path / "elsewhere")
    (place / "twice").symlink_to(tmp_path / "elsewhere")
    (place / "up").symlink_to(tmp_path / "crops")
    (tmp_path / "elsewhere" / "back").symlink_to(place)
    (place / "2.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (place / "gone.png").symlink_to(tmp_path / "nowhere")
    (place / "self.png").symlink_to(place / "self.png")
    files, skipped = names(place, walk(place))
    assert files == ["0.png", "2.png", "disk/1.png"]
    assert skipped == {
        **dict.fromkeys(["disk/back", "twice", "up"], "leads to a folder seen already"),
        **dict.fromkeys(["gone.png", "self.png"], "a link that leads nowhere"),
    }


def test_what_would_block_a_reader_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path, walk(tmp_path)) == ([], {"pipe.png": "not a file"})


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        walk(tmp_path)


def test_the_line_counts_all_and_names_some(tmp_path, caplog):
    skipped = [Skipped(tmp_path / f"{number}\n.gif", "not .png") for number in range(1234)]
    assert describe(tmp_path, skipped[:2]) == "skipped 2: 0 .gif (not .png), 1 .gif (not .png)"
    assert describe(tmp_path, skipped).startswith("skipped 1,234: 0 .gif (not .png), ")
    assert describe(tmp_path, skipped).endswith(", 4 .gif (not .png), and 1,229 more")
    with caplog.at_level(logging.WARNING):
        warn_of_skipped(tmp_path, [])
        assert caplog.messages == []
        warn_of_skipped(tmp_path, skipped[:1])
    assert caplog.messages == [f"{tmp_path}: skipped 1: 0 .gif (not .png)"]


@few
@given(st.lists(st.lists(st.one_of(file_names, file_names.map("{}.png".format)), min_size=1, max_size=3), max_size=6))
def test_every_file_is_found_or_told(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("tree")
    for parts in paths:
        path = root.joinpath(*(part if part not in (".", "..") else "x" for part in parts))
        with suppress(OSError, UnicodeEncodeError):  # a file stands where a folder would, or no file system has it
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    walked = walk(root)
    assert walked.files == sorted(walked.files)
    assert {path for path in walked.files if not path.is_file()} == set()
    told = [one.path for one in walked.skipped]
    for path in root.rglob("*"):
        covered = path in told or any(place in path.parents for place in told)
        assert covered != (path in walked.files) or path.is_dir(), path
    assert describe(root, walked.skipped).isprintable()
