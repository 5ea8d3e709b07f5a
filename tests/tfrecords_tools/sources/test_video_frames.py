"""Sequences whose frames are a video: the same images as from a folder of frames, and one line for what is wrong."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from clips import write_clip
from PIL import Image

from tfrecords_tools import cli
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import find_source
from tfrecords_tools.video import Video
from tfrecords_tools.writer import convert

LINES = [f"{frame},{track},{8 * track},4,10,20,1,-1,-1,-1" for frame in (1, 2, 5, 9, 12) for track in (1, 2)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "match.mp4", 12)


@pytest.fixture
def boxes(tmp_path):
    path = tmp_path / "club" / "boxes.txt"
    path.parent.mkdir()
    path.write_text("\n".join(LINES))
    return path


def list_of(root, options):
    source = find_source(root, None, video=options.video is not None)
    listing = source.read(root, source.splits(root, options), options)
    return source.name, [entry for entries in listing.entries.values() for entry in entries]


def without_file(entry):
    labels = entry.thumbnail
    return entry.split, entry.subset, labels, entry.box, entry.track, entry.camera


def test_a_tracker_s_boxes_and_a_video_are_a_sequence(clip, boxes, tmp_path):
    root = boxes.parent
    name, entries = list_of(root, Options(tracks=boxes, video=clip))
    assert name == "mot"
    assert {entry.path for entry in entries} == {clip}
    assert sorted(entry.number for entry in entries) == sorted([1, 2, 5, 9, 12] * 2)
    assert all(entry.number == entry.thumbnail.frame for entry in entries)
    assert f"{clip}#frame=5&xywh=16,4,10,20" in [entry.source for entry in entries]

    folder = tmp_path / "frames" / "club"  # as FFmpeg writes them
    (folder / "img1").mkdir(parents=True)
    video = Video(clip)
    for number in range(1, len(video) + 1):
        video.read(number).save(folder / f"img1/{number:06d}.png")
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text(boxes.read_text())
    _, others = list_of(folder, Options())
    assert list(map(without_file, others)) == list(map(without_file, entries))

    told = {"source": "mot", "image_format": "png"}
    convert(root, tmp_path / "a", options=Options(tracks=boxes, video=clip), workers=3, **told)
    convert(folder, tmp_path / "b", **told)
    for split in ("train", "test"):
        assert images_of(tmp_path / "a" / split) == images_of(tmp_path / "b" / split)


def images_of(folder):
    with read_index(folder) as index:
        examples = [tf.train.Example.FromString(record) for record in index.read(range(len(index)))]
    return [example.features.feature["image"].bytes_list.value[0] for example in examples]


def test_game_states_have_a_video_too(clip, tmp_path):
    root = tmp_path / "SNGS-1"
    root.mkdir()
    box = {"x": 3, "y": 4, "w": 10, "h": 20}
    labels = {
        "images": [{"image_id": "7", "file_name": "000003.jpg"}],
        "annotations": [
            {"image_id": "7", "track_id": 2, "bbox_image": box, "attributes": {"role": "player", "team": "left"}}
        ],
    }
    (root / "Labels-GameState.json").write_text(json.dumps(labels))
    name, (entry,) = list_of(root, Options(video=clip, train_share=1))
    assert (name, entry.number, entry.thumbnail.role) == ("soccernet-gsr", 3, "Player_team_left")


def test_every_nth_frame_counts_from_the_first(clip, boxes):
    _, entries = list_of(boxes.parent, Options(tracks=boxes, video=clip, every=4))
    assert sorted({entry.number for entry in entries}) == [1, 5, 9]


def test_crops_are_jpeg_by_default(clip, boxes, tmp_path):
    convert(boxes.parent, tmp_path / "out", options=Options(tracks=boxes, video=clip, train_share=1))
    assert {data[:3] for data in images_of(tmp_path / "out/train")} == {b"\xff\xd8\xff"}


@pytest.fixture
def command(boxes, monkeypatch, capsys, tmp_path):
    def run(video, *options):
        told = ["kreid-convert", boxes.parent, tmp_path / "out", "--tracks", boxes, "--video", video, *options]
        monkeypatch.setattr(sys, "argv", list(map(str, told)))
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, capsys.readouterr().err.splitlines()[-1]

    return run


def test_a_video_that_is_too_short_is_said(command, tmp_path):
    short = write_clip(tmp_path / "short.mp4", 8)
    code, line = command(short)
    assert (code, line) == (
        1,
        f"error: {short}: has 8 frames, and a box of track 1 lies in frame 9; is it whole, and the video that the "
        "boxes were drawn on?",
    )


def test_boxes_that_are_counted_from_0_are_said(command, boxes, clip):
    boxes.write_text("\n".join(["0" + LINES[0][1:], *LINES]))
    assert command(clip) == (
        1,
        f"error: {clip}: its first frame is 1, and a box of track 1 lies in frame 0; add 1 to all frames of the boxes",
    )


@pytest.mark.parametrize("length, warned", [("12", False), ("24", True), ("?", False)])
def test_a_video_of_another_length_than_seqinfo_s_is_warned_of(clip, boxes, caplog, length, warned):
    (boxes.parent / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={length}\nframeRate=50\n")
    list_of(boxes.parent, Options(tracks=boxes, video=clip))
    assert (f"seqinfo.ini: tells of 24 frames, and {clip} has 12; boxes are taken as" in caplog.text) is warned


@pytest.mark.parametrize(
    "video, options, code, said",
    [
        ("nowhere.mp4", [], 1, "nowhere.mp4: No such file or directory"),
        ("boxes", [], 1, "boxes.txt: not a video that FFmpeg reads ("),
        ("clip", ["--source", "folders"], 2, "takes no --video"),
        ("clip", ["--source", "soccernet-gsr"], 2, "no Labels-GameState.json here"),
        ("clip", ["--max-pixels", "1000"], 1, "has frames of 64 x 48 pixels, more than the 1,000 that are let pass"),
    ],
)
def test_what_is_wrong_is_a_line(command, clip, boxes, video, options, code, said):
    path = {"clip": clip, "boxes": boxes}.get(video, Path(video))
    left, line = command(path, *options)
    assert left == code
    assert said in line
    assert not (boxes.parent.parent / "out").exists()


def test_boxes_beside_a_video_that_is_damaged_are_skipped_one_by_one(clip, boxes, tmp_path):
    bad = tmp_path / "bad.mp4"
    data = clip.read_bytes()
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    bad.write_bytes(data[: start + size // 2] + bytes(size - size // 2) + data[start + size :])
    told = {"on_error": "skip", "options": Options(tracks=boxes, video=bad, train_share=1)}
    info = convert(boxes.parent, tmp_path / "out", **told)["splits"]["train"]
    assert info["images"] + info["skipped"] == len(LINES)


def test_without_the_extra_it_is_said(clip, boxes, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match="--video: needs PyAV"):
        list_of(boxes.parent, Options(tracks=boxes, video=clip))


def test_a_margin_is_clipped_at_the_frame(clip, boxes, tmp_path):
    options = Options(tracks=boxes, video=clip, margin=1, train_share=1)
    convert(boxes.parent, tmp_path / "out", options=options, image_format="png")
    sizes = {np.asarray(Image.open(io.BytesIO(data))).shape for data in images_of(tmp_path / "out/train")}
    assert sizes == {(44, 28, 3), (44, 30, 3)}
