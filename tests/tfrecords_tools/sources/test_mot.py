import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from examples import damaged, few, numbers, refused
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sets import write_images, write_sequence

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info
from tfrecords_tools.sources.mot import MARKED, NO_TRACK, OTHER_CLASS
from tfrecords_tools.sources.sequences import find_footage
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source
from tfrecords_tools.writer import convert

# Two tracks through six frames, as SoccerNet-Tracking writes them.
LINES = [f"{frame},{track},{5 * track}.4,3,8,16,1,-1,-1,-1" for track in (1, 2) for frame in range(1, 7)]


def read(root, splits=None, **options):
    options = Options(**options)
    return SOURCES["mot"].read(root, splits or SOURCES["mot"].splits(root, options), options)


def every(listing):
    return sorted(
        (one for entries in listing.entries.values() for one in entries),
        key=lambda one: (one.track, one.thumbnail.frame),
    )


def test_a_sequence_is_a_camera_and_a_track_a_person(tmp_path):
    write_sequence(tmp_path / "SNMOT-1", LINES)
    assert find_source(tmp_path).name == find_source(tmp_path / "SNMOT-1").name == "mot"
    listing = read(tmp_path)
    assert listing.protocol == "action"
    assert (list(listing.cameras), list(listing.people)) == (["SNMOT-1"], ["", "SNMOT-1/1", "SNMOT-1/2"])
    first = every(listing)[0]
    assert (first.thumbnail.person, first.thumbnail.frame, first.camera, first.track) == (1, 1, 0, "SNMOT-1/1")
    assert first.source == "SNMOT-1/img1/000001.png#frame=1&xywh=5,3,8,16"
    assert {split: len(entries) for split, entries in listing.entries.items()} == {"train": 6, "test": 6}
    assert Counter(one.subset for one in listing.entries["test"]) == {"query": 1, "gallery": 5}
    assert every(read(tmp_path / "SNMOT-1"))[0].source == "img1/000001.png#frame=1&xywh=5,3,8,16"


def test_crops_are_the_pixels_of_their_boxes(tmp_path):
    frames = write_sequence(tmp_path / "set/a", [*LINES, "1,3,-5,30,20,99,1,-1,-1,-1"])
    convert(tmp_path / "set", tmp_path / "out", ["test"], options=Options(train_share=0))
    info = read_info(tmp_path / "out")["splits"]["test"]
    assert (info["images"], info["tracks"], info["cameras"], info["protocol"]) == (13, 3, 1, "action")
    assert info["notes"] == {"people without a second view, in the gallery alone": 1}
    with read_index(tmp_path / "out/test") as index:
        for row, record in enumerate(index.read(range(len(index)))):
            image = np.asarray(Image.open(io.BytesIO(record[record.index(b"\x89PNG") :])))
            track = int(index.tracks[index.track[row]].partition("/")[2])
            part = (slice(30, 40), slice(0, 15)) if track == 3 else (slice(3, 19), slice(5 * track, 5 * track + 8))
            assert any(np.array_equal(image, pixels[part]) for pixels in frames.values())


def test_folders_above_are_splits(tmp_path):
    for split, name in (("train", "a"), ("val", "a"), ("val", "b")):
        write_sequence(tmp_path / split / name, LINES)
    listing = read(tmp_path)
    assert list(listing.entries) == ["train", "valid"]
    assert list(listing.cameras) == ["train/a", "val/a", "val/b"]
    assert {one.thumbnail.action for one in listing.entries["valid"]} == {0, 1}
    assert Counter(one.subset for one in listing.entries["valid"]) == {"query": 4, "gallery": 20}


@pytest.mark.parametrize("names", [("Main", "main"), ("01", "1")])
def test_two_sequences_of_one_name_are_refused(tmp_path, names):
    for name in names:
        write_sequence(tmp_path / name, LINES)
    with pytest.raises(ValueError, match=f"two cameras of one name, '{names[0]}' and '{names[1]}': rename one"):
        read(tmp_path)


def test_a_fraction_is_one_of_the_training_sequences(tmp_path):
    for name in ("test/a", "test/b", "train/c", "train/d"):
        write_sequence(tmp_path / "set" / name, LINES)
    convert(tmp_path / "set", tmp_path / "out", ["train"], fraction=0.5)
    with read_index(tmp_path / "out/train") as index:
        assert index.games.tolist() == ["train/c"]
        assert set(index.action.tolist()) == {0}


def test_a_split_stands_anywhere_above_and_what_is_withheld_is_left_out(tmp_path, caplog):
    for place in ("dataset/train/a", "dataset/validation/b", "dataset/test/c", "dataset/challenge/d"):
        write_sequence(tmp_path / place, LINES)
    listing = read(tmp_path)
    assert {split: {one.game for one in entries} for split, entries in listing.entries.items()} == {
        "train": {"dataset/train/a"},
        "valid": {"dataset/validation/b"},
        "test": {"dataset/test/c"},
    }
    assert caplog.messages == [
        f"{tmp_path}: 1 sequences have no boxes, or those of another, and are left out, the first: dataset/challenge/d"
    ]


def test_a_sequence_that_mot17_has_once_a_detector_is_taken_once(tmp_path, caplog):
    names = [f"train/MOT17-{number}-{detector}" for number in ("02", "04") for detector in ("SDP", "DPM", "FRCNN")]
    for name in (*names, "train/mine-DPM", "train/mine-SDP"):
        write_sequence(tmp_path / name, LINES)
    first = ["train/MOT17-02-DPM", "train/MOT17-04-DPM"]
    assert list(read(tmp_path).cameras) == [*first, "train/mine-DPM", "train/mine-SDP"]
    assert caplog.messages == [
        f"{tmp_path}: 4 sequences have no boxes, or those of another, and are left out, the first: train/MOT17-02-FRCNN"
    ]
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes/MOT17-02-SDP.txt").write_text("\n".join(LINES))
    assert list(read(tmp_path, tracks=tmp_path / "boxes").cameras) == ["train/MOT17-02-SDP"]


def test_a_sequence_beside_the_splits_is_refused(tmp_path):
    for place in ("train/a", "test/b", "c"):
        write_sequence(tmp_path / place, LINES)
    with pytest.raises(ValueError, match=r"/c: is below none of the folders train, valid, .*; move it below one"):
        read(tmp_path)


def test_a_seqinfo_that_names_a_folder_which_is_not_there_does_not_hide_the_frames(tmp_path):
    write_sequence(tmp_path / "a", LINES)
    (tmp_path / "a/seqinfo.ini").write_text("[Sequence]\nimDir=frames\n")
    assert find_source(tmp_path).name == "mot"
    assert len(every(read(tmp_path))) == len(LINES)


def test_identities_join_sequences(tmp_path):
    for name in "ab":
        write_sequence(tmp_path / "set" / name, LINES)
    (tmp_path / "who.csv").write_text("camera,track,person\na,1,anna\nb,2,anna\na,2,\n")
    listing = read(tmp_path / "set", ["test"], identities=tmp_path / "who.csv", train_share=0)
    assert listing.protocol == "cross_camera"
    assert {one.track: one.thumbnail.person for one in every(listing)} == {"a/1": 1, "a/2": 0, "b/2": 1}
    assert {one.thumbnail.action for one in every(listing)} == {0}
    assert listing.notes["test"] == {"boxes of tracks without an identity left out": 6}
    assert Counter(one.subset for one in every(listing)) == {"query": 2, "gallery": 16}


def test_identities_that_name_one_of_two_cameras_are_refused(tmp_path):
    for name in ("m1/left", "m1/right", "m2/left"):
        write_sequence(tmp_path / "set" / name, LINES)
    table = tmp_path / "who.csv"
    table.write_text("camera,track,person\nleft,1,anna\nright,1,anna\n")
    told = r"who\.csv: camera 'left' may be m1/left, m2/left; write its folders too, such as m1/left$"
    with pytest.raises(ValueError, match=told):
        read(tmp_path / "set", identities=table)
    table.write_text("camera,track,person\nm1/left,1,anna\nright,1,anna\n")
    listing = read(tmp_path / "set", ["test"], identities=table, train_share=0)
    assert {one.track for one in every(listing)} == {"m1/left/1", "m1/right/1"}
    table.write_text("camera,track,person\nm1/right,1,anna\nright,1,bert\n")
    told = r"who\.csv: track '1' of 'm1/right' stands under 'm1/right' and 'right'; remove one"
    with pytest.raises(ValueError, match=told):
        read(tmp_path / "set", identities=table)


def test_a_camera_of_a_whole_name_is_not_another_s_last_folder(tmp_path):
    for name in ("left", "m2/left"):
        write_sequence(tmp_path / "set" / name, LINES)
    (tmp_path / "who.csv").write_text("camera,track,person\nleft,1,anna\n")
    listing = read(tmp_path / "set", ["test"], identities=tmp_path / "who.csv", train_share=0)
    assert {one.track for one in every(listing)} == {"left/1"}


def test_identities_of_tracks_that_are_not_there_are_told(tmp_path, caplog):
    for name in ("m1/a", "m1/b"):
        write_sequence(tmp_path / "set" / name, LINES)
    rows = ["camera,track,person", "a,1,anna", "m1/b,1,anna", "a,9,bert", "c,1,bert"]
    (tmp_path / "who.csv").write_text("\n".join(rows))
    read(tmp_path / "set", ["test"], identities=tmp_path / "who.csv", train_share=0)
    assert caplog.messages == [f"{tmp_path}/who.csv: 2 of 4 tracks have no images, the first: track '1' of camera 'c'"]


def test_a_name_for_nobody_is_refused(tmp_path):
    write_sequence(tmp_path / "set/a", LINES)
    (tmp_path / "who.csv").write_text("camera,track,person\na,1,anna\na,2,-1\n")
    with pytest.raises(ValueError, match=r"who\.csv, line 3: person: received '-1'; leave it empty for nobody"):
        read(tmp_path / "set", identities=tmp_path / "who.csv")


def test_identities_name_sequences_in_any_form_of_a_letter(tmp_path):
    write_sequence(tmp_path / "set/cote\u0301", LINES)
    write_sequence(tmp_path / "set/a\u00e9", LINES)
    rows = ["camera,track,person", "cot\u00e9,1,anna", "ae\u0301,2,anna"]
    (tmp_path / "who.csv").write_text("\n".join(rows), encoding="utf-8")
    listing = read(tmp_path / "set", ["test"], identities=tmp_path / "who.csv", train_share=0)
    assert {one.track for one in every(listing)} == {"a\u00e9/2", "cote\u0301/1"}
    rows += ["cot\u00e9,2,z\u00e9", "ae\u0301,1,ze\u0301"]
    (tmp_path / "who.csv").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(ValueError, match=r"two people of one name, 'ze.u0301' and 'z.xe9': rename one"):
        read(tmp_path / "set", ["test"], identities=tmp_path / "who.csv", train_share=0)
    (tmp_path / "who.csv").write_text("\n".join([*rows[:3], "cot\u00e9,2,1", "ae\u0301,1,01"]), encoding="utf-8")
    with pytest.raises(ValueError, match="two people of one name, '01' and '1': rename one"):
        read(tmp_path / "set", ["test"], identities=tmp_path / "who.csv", train_share=0)


MOT16 = [
    "1,1,0,0,10,20,1,1,0.9",
    "2,1,0,0,10,20,1,1,0.3",
    "3,1,0,0,4,20,1,1,0.9",
    "1,2,0,0,10,20,0,1,0.9",  # does not count
    "1,3,0,0,10,20,1,8,0.9",  # a distractor
    "4,1,0,0,10,20,1,1,-1",
]


@pytest.mark.parametrize(
    "options, frames",
    [
        ({}, [1, 2, 3, 4]),
        ({"min_visibility": 0.5}, [1, 3, 4]),
        ({"min_size": 5}, [1, 2, 4]),
        ({"every": 2}, [1, 3]),
        ({"every": 3}, [1, 4]),
    ],
)
def test_what_is_left_out(tmp_path, options, frames):
    write_sequence(tmp_path / "a", MOT16)
    listing = read(tmp_path, ["test"], train_share=0, **options)
    assert [one.thumbnail.frame for one in every(listing)] == frames
    small, hidden = "boxes too small left out", "boxes hardly visible left out"
    expected = {"min_visibility": {hidden: 1}, "min_size": {small: 1}}.get(next(iter(options), ""), {})
    assert {name: count for name, count in listing.notes["test"].items() if name in (small, hidden)} == expected


def test_lines_that_do_not_count_are_counted(tmp_path):
    write_sequence(tmp_path / "set/a", [*MOT16, "2,-1,0,0,10,20,1,1,0.9", "7,-1,0,0,10,20,1,1,0.9"])
    convert(tmp_path / "set", tmp_path / "out", ["test"], options=Options(train_share=0))
    counted = {NO_TRACK: 1, MARKED: 1, OTHER_CLASS: 1}  # the seventh frame is not there, and none is taken from it
    notes = read_info(tmp_path / "out")["splits"]["test"]["notes"]
    assert {name: count for name, count in notes.items() if "left out" in name} == counted
    listing = read(tmp_path / "set", ["test"], train_share=0, every=2)
    assert {name for name in counted if listing.notes["test"].get(name)} == {MARKED, OTHER_CLASS}
    (tmp_path / "set/a/gt/gt.txt").write_text("1,1,0,0,10,20,1,8,1\n")
    with pytest.raises(ValueError, match="no box of a track is left .1 boxes of another class than pedestrian"):
        read(tmp_path / "set", ["test"], train_share=0)


def test_the_smallest_size_is_that_of_what_is_cut(tmp_path):
    boxes = ["-6,0,10,20", "-5,0,10,20", "56,0,10,20", "55,10,10,20", "0,36,10,20", "30,30,4,8", "90,90,10,20"]
    write_sequence(tmp_path / "a", [f"1,{track},{box},1,1,1" for track, box in enumerate(boxes)])  # 60 x 40 pixels
    listing = read(tmp_path, ["test"], train_share=0, min_size=5)
    assert [one.track for one in every(listing)] == ["a/1", "a/3"]
    assert listing.notes["test"]["boxes too small left out"] == 5
    wide = read(tmp_path, ["test"], train_share=0, min_size=5, margin=0.25)
    assert [one.track for one in every(wide)] == [f"a/{track}" for track in range(6)]
    (tmp_path / "a/img1/000001.png").write_bytes(b"damaged")  # which is told where it is cut
    assert len(every(read(tmp_path, ["test"], train_share=0, min_size=5))) == 6


def test_a_margin_widens_boxes(tmp_path):
    write_sequence(tmp_path / "a", ["1,1,10,10,10,20", "2,1,10,10,10,20"])
    boxes = {one.box for one in every(read(tmp_path, ["test"], train_share=0, margin=0.1))}
    assert boxes == {(9, 8, 12, 24)}


def test_a_trackers_boxes_take_the_place_of_the_truth(tmp_path):
    for name in "ab":
        write_sequence(tmp_path / "set" / name, LINES[:1], truth=None)
        (tmp_path / "set" / name / "tracker.txt").write_text("1,7,0,0,5,5,0.9,-1,-1,-1\n2,7,0,0,5,5,0,-1,-1,-1\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/b.txt").write_text("1,8,0,0,5,5\n2,-1,0,0,5,5\n2,8,0,0,5,5\n")
    tracks = {one.track for one in every(read(tmp_path / "set", tracks=Path("tracker.txt"), train_share=0))}
    assert tracks == {"a/7", "b/7"}
    found = every(read(tmp_path / "set", tracks=tmp_path / "results", train_share=0))
    assert [(one.track, one.thumbnail.frame) for one in found] == [("b/8", 1), ("b/8", 2)]
    with pytest.raises(ConfigError, match="--tracks: .* is one file for 2 sequences"):
        read(tmp_path / "set", tracks=tmp_path / "results/b.txt")
    assert len(every(read(tmp_path / "set/b", tracks=tmp_path / "results/b.txt", train_share=0))) == 2


def test_sequences_without_boxes_are_told(tmp_path, caplog):
    write_sequence(tmp_path / "test/b", [], truth=None)
    write_sequence(tmp_path / "train/a", LINES)
    assert list(read(tmp_path).entries) == ["train"]
    assert caplog.messages == [
        f"{tmp_path}: 1 sequences have no boxes, or those of another, and are left out, the first: test/b"
    ]


def test_seqinfo_names_the_frames(tmp_path):
    write_sequence(tmp_path / "a", LINES)
    (tmp_path / "a/img1").rename(tmp_path / "a/color")
    assert find_footage(tmp_path) == []
    (tmp_path / "a/seqinfo.ini").write_text("[Sequence]\nname=a\nimDir=color\n")
    assert [one.name for one in find_footage(tmp_path)] == ["a"]
    assert every(read(tmp_path))[0].source.startswith("a/color/000001.png#")


# === Refused ===

WRONG = {
    "cells": (["1,1,0,0,5"], r"gt\.txt, line 1: expected frame, track, left, top, width, height, received '1,1,0,0,5'"),
    "number": (["1,1,0,0,5,5", "2,1,0,zero,5,5"], r"gt\.txt, line 2: top: expected a number, received 'zero'"),
    "half a frame": (["1.5,1,0,0,5,5"], "line 1: expected whole numbers as frame and track, received '1.5' and '1'"),
    "twice": (["1,1,0,0,5,5", "", "1,1,1,0,5,5"], "line 3: track 1 in frame 1 stands in line 1 too"),
    "frame": (["1,1,0,0,5,5", "9,1,0,0,5,5"], "img1: frame 9 of track 1 is missing; was the archive unpacked whole?"),
    "nothing": (["1,-1,0,0,5,5"], "no box of a track is left"),
}


@pytest.mark.parametrize("lines, message", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(tmp_path, lines, message):
    write_sequence(tmp_path / "a", lines)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_a_folder_that_is_none(tmp_path):
    write_images(tmp_path, ["a/b/1.jpg"])
    with pytest.raises(ConfigError, match="no sequence here: no folder with img1 and gt/gt.txt"):
        find_source(tmp_path, "mot")
    write_sequence(tmp_path / "c", [], truth=None)
    with pytest.raises(ValueError, match=r"c/gt/gt\.txt: no such file, and no other sequence has one; see --tracks"):
        read(tmp_path)


def test_a_seqinfo_that_is_none(tmp_path):
    write_sequence(tmp_path / "a", LINES)
    (tmp_path / "a/seqinfo.ini").write_text("imDir=img1\n")
    with pytest.raises(ValueError, match=r"a/seqinfo\.ini: not readable, "):
        find_source(tmp_path, "mot")


KNOWN = ("gt.txt, line", "is missing", "no box of a track is left")


@pytest.fixture
def boxes_file(tmp_path):
    write_sequence(tmp_path / "a", LINES)
    return tmp_path / "a/gt/gt.txt"


@few
@given(damaged("\n".join(LINES).encode(), b"\0\n,-.eE9n\x80"))
def test_bytes_of_any_kind_are_refused_in_a_line(boxes_file, data):
    boxes_file.write_bytes(data)
    assert refused(lambda: read(boxes_file.parents[2], ["test"], train_share=0), KNOWN)


@few
@given(st.lists(st.lists(st.one_of(st.integers(-1, 7), numbers).map(str), min_size=5, max_size=11), max_size=5))
def test_cells_of_any_text_are_read_or_refused_in_a_line(boxes_file, rows):
    boxes_file.write_text("\n".join(map(",".join, rows)), encoding="utf-8", errors="surrogatepass")
    assert refused(lambda: read(boxes_file.parents[2], ["test"], train_share=0), KNOWN)
