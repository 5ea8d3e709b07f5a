import csv
import io
from collections import Counter

import numpy as np
import pytest
from examples import damaged, few, refused
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sets import labels, write_images

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source
from tfrecords_tools.writer import convert

FULL = """path,person,split,subset,camera,role,jersey,frame,track
a.png,anna,train,,main,Player,9,12,t1
b.jpg,anna,train,,side,,,,
c.png,bert,test,query,main,,,,
c2.png,bert,test,gallery,side,,,,
d.png,,test,gallery,side,,,,
"""
IMAGES = ["a.png", "b.jpg", "c.png", "c2.png", "d.png"]


def write(root, text, images=IMAGES):
    written = write_images(root, images)
    (root / "images.csv").write_text(text)
    return written


def read(root, splits=None, **options):
    options = Options(**options)
    return SOURCES["csv"].read(root, splits or SOURCES["csv"].splits(root, options), options)


def test_every_column_comes_through(tmp_path):
    written = write(tmp_path / "set", FULL)
    assert find_source(tmp_path / "set").name == find_source(tmp_path / "set/images.csv").name == "csv"
    listing = read(tmp_path / "set")
    assert listing.protocol == "cross_camera"
    assert list(listing.people) == ["", "anna", "bert"]
    assert labels(listing.entries["test"]) == [
        ("query", 2, 0, "c.png"),
        ("gallery", 2, 1, "c2.png"),
        ("gallery", 0, 1, "d.png"),
    ]
    first = listing.entries["train"][0]
    named = (first.thumbnail.role, first.thumbnail.jersey, first.thumbnail.frame, first.track)
    assert named == ("Player", "9", 12, "main/t1")
    convert(tmp_path / "set/images.csv", tmp_path / "out")
    with read_index(tmp_path / "out/train") as index:
        assert [written[name] in record for name, record in zip(IMAGES, index.read([0, 1]), strict=False)] == [True] * 2


def test_boxes_are_cut_out_of_frames(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    (tmp_path / "set").mkdir()
    Image.fromarray(pixels).save(tmp_path / "set/f.png")
    (tmp_path / "set/i.csv").write_text("path,person,x,y,w,h\nf.png,a,1,2,8,16\nf.png,a,-4,30.4,10,20\n")
    convert(tmp_path / "set", tmp_path / "out", ["test"], options=Options(train_share=0))
    with read_index(tmp_path / "out/test") as index:
        records = index.read([0, 1])
        sources = [b"f.png#xywh=1,2,8,16", b"f.png#xywh=-4,30,10,20"]
        parts = [pixels[2:18, 1:9], pixels[30:40, 0:6]]
        found = sorted((next(place for place, source in enumerate(sources) if source in one), one) for one in records)
        for (place, record), part in zip(found, parts, strict=True):
            image = Image.open(io.BytesIO(record[record.index(b"\x89PNG") :]))
            np.testing.assert_array_equal(np.asarray(image), part)
            assert place in (0, 1)
    assert read_info(tmp_path / "out")["splits"]["test"]["protocol"] == "action"


def test_people_count_inside_their_action(tmp_path):
    text = "path,person,action\n" + "".join(
        f"{name},p,{action}\n" for name, action in zip(IMAGES, "11220", strict=True)
    )
    write(tmp_path, text.replace("d.png,p,0", "d.png,p,10"))
    listing = read(tmp_path, train_share=0)
    assert listing.protocol == "action"
    assert list(listing.people) == ["", "1/p", "10/p", "2/p"]
    entries = [one for split in listing.entries.values() for one in split]
    assert {(one.thumbnail.action, one.thumbnail.person, one.game) for one in entries} == {
        (0, 1, "1"), (1, 3, "2"), (2, 2, "10"),
    }  # fmt: skip


def test_without_a_division_one_is_made(tmp_path):
    names = [f"{person}{camera}{view}.png" for person in "abcd" for camera in "12" for view in "xy"]
    write(tmp_path, "path,person,camera\n" + "".join(f"{name},{name[0]},{name[1]}\n" for name in names), names)
    listing = read(tmp_path)
    assert {split: len(entries) for split, entries in listing.entries.items()} == {"train": 8, "test": 8}
    assert Counter(one.subset for one in listing.entries["test"]) == {"query": 4, "gallery": 4}


def test_a_column_that_is_not_read_is_told(tmp_path, caplog):
    write(tmp_path, "path,person,camra\na.png,x,1\nb.jpg,x,1\nc.png,y,1\nc2.png,y,2\n")
    read(tmp_path)
    assert caplog.messages[0].startswith(f"{tmp_path}/images.csv: not read: the columns camra; read are: path, person")


HEAD = "path,person,split,subset,frame,x,y,w,h\n"
WRONG = {
    "duplicate row": (HEAD + "a.png,p,,,,,,,\nb.jpg,p,,,,,,,\na.png,q,,,,,,,\n", "line 4: the same image as in line 2"),
    "duplicate box": (HEAD + "a.png,p,,,,1,2,3,4\n" * 2, "line 3: the same image as in line 2; remove one"),
    "unknown path": (HEAD + "\nno.png,p,,,,,,,\n", "line 3: path: no such file: .*no.png"),
    "no path": (HEAD + ",p,,,,,,,\n", "line 2: path: expected a file, received nothing"),
    "not a number": (HEAD + "a.png,p,,,,1,2,x,4\n", "line 2: w: expected a number, received 'x'"),
    "not finite": (HEAD + "a.png,p,,,,1,2,inf,4\n", "line 2: w: expected a number, received 'inf'"),
    "frame": (HEAD + "a.png,p,,,1.5,,,,\n", "line 2: frame: expected a whole number from 0 up, received '1.5'"),
    "half a box": (HEAD + "a.png,p,,,,1,2,,\n", "line 2: expected all of x, y, w, h or none of them, received x, y"),
    "empty box": (HEAD + "a.png,p,,,,1,2,0,5\n", "line 2: the box is empty: 0 wide and 5 high"),
    "subset": (HEAD + "a.png,p,test,probe,,,,,\n", "line 2: subset: expected one of query, gallery, received 'probe'"),
    "split": (HEAD + "a.png,p,dev,,,,,,\n", "line 2: split: expected one of train, valid, .*, test, received 'dev'"),
    "training query": (HEAD + "a.png,p,train,query,,,,,\n", "line 2: subset: training images are neither"),
    "split left open": (HEAD + "a.png,p,train,,,,,,\nb.jpg,p,,,,,,,\n", "line 3: split: other rows name theirs"),
    "subset left open": (
        HEAD + "a.png,p,test,query,,,,,\nb.jpg,p,test,,,,,,\n", "line 3: subset: other rows of test name theirs",
    ),
    "junk": (HEAD + "a.png,-1,,,,,,,\n", "line 2: person: received '-1'; leave it empty for nobody"),
    "unknown": (HEAD + "a.png,Unknown,,,,,,,\n", "line 2: person: received 'Unknown'; leave it empty for nobody"),
    "cells": (HEAD + "a.png,p\n", "line 2: expected 9 cells .*, received 2"),
    "quote": (HEAD + 'a.png,"p,,,,,,,\n', "line 2: not CSV: "),
    "no rows": (HEAD, "no row below the names of the columns"),
    "cameras": ("path,person,camera\na.png,p,Main\nb.jpg,p,main\n", "two cameras of one name"),
    "cameras by zeros": ("path,person,camera\na.png,p,1\nb.jpg,p,01\n", "two cameras of one name, '01' and '1'"),
    "actions": ("path,person,action\na.png,p,7\nb.jpg,p,7.0\n", "two actions of one name, '7' and '7.0': rename one"),
    "people": ("path,person\na.png,1\nb.jpg,1.0\n", "two people of one name, '1' and '1.0': rename one"),
    "people of an action": (
        "path,person,action\na.png,1,x\nb.jpg,01,x\n", "two people of one name, 'x/01' and 'x/1': rename one",
    ),
    "camera left open": (
        "path,person,split,camera\na.png,p,test,1\nb.jpg,p,test,2\nc.png,q,train,\n",
        "line 4: camera: other rows name theirs; name this one's, or leave the column out$",
    ),
    "action left open": ("path,person,action\na.png,p,1\nb.jpg,p,\n", "line 3: action: other rows name theirs"),
}  # fmt: skip


@pytest.mark.parametrize("text, message", WRONG.values(), ids=WRONG)
def test_what_is_wrong_names_file_and_line(tmp_path, text, message):
    write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as refused:
        read(tmp_path)
    assert "\n" not in str(refused.value)
    assert message.startswith("two ") or str(refused.value).startswith(f"{tmp_path}/images.csv")


def test_bytes_that_are_no_utf8(tmp_path):
    write(tmp_path, "")
    (tmp_path / "images.csv").write_bytes(b"path,person\na.png,p\nb.jpg,caf\xe9\n")
    with pytest.raises(ValueError, match=r"images\.csv, line 3: not UTF-8 \(byte 0xe9\); save it as UTF-8"):
        read(tmp_path)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    write(tmp_path, "\ufeff" + FULL)
    assert len(read(tmp_path).entries["test"]) == 3


@pytest.mark.parametrize(
    "texts, message",
    [
        ([], "no CSV file with the columns path and person"),
        (["path,name\n"], "no CSV file with the columns path and person"),
        (["path,person\n"] * 2, r"expected one CSV file of images, found 0\.csv, 1\.csv; give one of them"),
    ],
)
def test_a_folder_that_is_none_is_told_what_it_misses(tmp_path, texts, message):
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        find_source(tmp_path, "csv")


def test_a_fraction_of_a_set_without_actions_is_refused(tmp_path):
    write(tmp_path / "set", "path,person,split\n" + "".join(f"{name},p,train\n" for name in IMAGES))
    with pytest.raises(ConfigError, match=r"fraction: keeps whole actions, .* a single one: .* received 0\.5"):
        convert(tmp_path / "set", tmp_path / "out", fraction=0.5)
    assert not (tmp_path / "out").exists()


def test_a_box_outside_of_the_frame_is_a_named_problem(tmp_path):
    write(tmp_path / "set", "path,person,x,y,w,h\na.png,p,100,0,5,5\nb.jpg,p,0,0,5,5\n")
    with pytest.raises(ValueError, match=r"a\.png: the box at x 100, y 0, .* leaves nothing of the frame of 6 x 12"):
        convert(tmp_path / "set", tmp_path / "out", ["test"], options=Options(train_share=0))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def file(tmp_path):
    write(tmp_path, FULL)
    return tmp_path / "images.csv"


KNOWN = ("images.csv", "no CSV file", "two cameras", "two actions", "two people", "no image is left")


@few
@given(damaged(FULL.encode(), bytes([0, 10, 13, 34, 44, 128, 195, 45, 57])))
def test_bytes_of_any_kind_are_refused_in_a_line(file, data):
    file.write_bytes(data)
    assert refused(lambda: read(file.parent), KNOWN)


NUMBERS = ["1e400", "nan", "-0", "9" * 30]
CELLS = st.one_of(
    st.sampled_from(
        ["a.png", "c.png", "../a.png", ".", "train", "query", "gallery", "test", "1e400", "nan", "-0", "9" * 30]
    ),
    st.integers(-2, 70).map(str),
    st.text(max_size=6),
)
COLUMNS = st.lists(st.sampled_from(["path", "person", *FULL.splitlines()[0].split(",")]), min_size=1, unique=True)


@few
@given(COLUMNS, st.lists(st.lists(CELLS, max_size=14), max_size=6))
def test_cells_of_any_text_are_read_or_refused_in_a_line(file, columns, rows):
    with file.open("w", newline="", encoding="utf-8", errors="surrogatepass") as text:
        writer = csv.writer(text)
        writer.writerow(["path", "person", *(name for name in columns if name not in ("path", "person"))])
        writer.writerows((*row, *[""] * 14)[: len({"path", "person", *columns})] for row in rows)
    assert refused(lambda: read(file.parent), KNOWN)


def test_a_query_of_nobody_in_particular_is_left_out(tmp_path):
    rows = "a.png,,c0,query\nb.jpg,,c1,gallery\nc.png,p,c0,query\nd.png,p,c1,gallery\n"
    write_images(tmp_path, ["a.png", "b.jpg", "c.png", "d.png"])
    (tmp_path / "images.csv").write_text(f"path,person,camera,subset\n{rows}")
    listing = SOURCES["csv"].read(tmp_path, ["test"], Options())
    assert [(one.subset, one.thumbnail.person) for one in listing.entries["test"]] == [
        ("query", 1), ("gallery", 0), ("gallery", 1),
    ]  # fmt: skip
    assert listing.notes["test"] == {"queries of nobody in particular left out": 1}


def test_a_track_of_one_name_in_two_actions_is_two(tmp_path):
    lines = [f"{action}{camera}.png,p,{action},1,{camera}" for action in "AB" for camera in "xy"]
    write(tmp_path, "path,person,action,track,camera\n" + "\n".join(lines), [line.split(",")[0] for line in lines])
    listing = read(tmp_path, train_share=0)
    assert listing.protocol == "action"
    assert sorted(one.track for one in listing.entries["test"]) == ["x/A/1", "x/B/1", "y/A/1", "y/B/1"]
    without = [line.rpartition(",")[0] for line in lines]
    (tmp_path / "images.csv").write_text("path,person,action,track\n" + "\n".join(without))
    assert {one.track for one in read(tmp_path, train_share=0).entries["test"]} == {"A/1", "B/1"}


@pytest.mark.parametrize(
    "head, shown",
    [
        ("path;person\n", "'path;person'"),
        ("path\tperson\n", r"'path\\tperson'"),
        ("Path,person\n", "'Path', 'person'"),
        ("", "none"),
    ],
)
def test_a_file_without_the_columns_is_told_what_it_has(tmp_path, head, shown):
    (tmp_path / "images.csv").write_text(head)
    with pytest.raises(ConfigError, match=f"csv: expected the columns path and person, .* received {shown}") as refused:
        find_source(tmp_path / "images.csv")
    assert str(refused.value).startswith(f"{tmp_path / 'images.csv'}: expected")
    assert "soccernet" not in str(refused.value)
    with pytest.raises(ConfigError, match=rf"no CSV file with the columns .*; images\.csv has {shown}"):
        find_source(tmp_path, "csv")


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_of_utf16_is_called_so(tmp_path, coding):
    write_images(tmp_path, IMAGES)
    (tmp_path / "images.csv").write_bytes(FULL.encode(coding))
    for place in (tmp_path / "images.csv", tmp_path):
        with pytest.raises(ConfigError, match=r"images\.csv.* a file in UTF-16; save it as UTF-8"):
            find_source(place, "csv")


def test_a_name_with_a_nul_is_refused(tmp_path):
    write(tmp_path, FULL.replace("anna", "an\0na", 1))
    with pytest.raises(ValueError, match=r"images\.csv, line 2: .*NUL"):
        read(tmp_path)


def test_one_person_in_two_forms_of_a_letter_is_told(tmp_path):
    write(tmp_path, FULL.replace("anna", "ann\u00e9", 1).replace("anna", "anne\u0301"))
    with pytest.raises(ValueError, match="two people of one name, 'anne.u0301' and 'ann.xe9': rename one"):
        read(tmp_path)
