import json

import pytest
from examples import damaged, few, json_values, refused
from hypothesis import given
from hypothesis import strategies as st
from sets import write_sequence

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source


def annotation(frame, track, role="player", team="left", jersey="10", **changes):
    return {
        "id": f"{frame}{track}",
        "image_id": f"1060000{frame:03d}",
        "track_id": track,
        "supercategory": "object",
        "attributes": {"role": role, "team": team, "jersey": jersey},
        "bbox_image": {"x": 5, "x_center": 9, "y": 3, "y_center": 11, "w": 8, "h": 16},
    } | changes


def write(root, annotations):
    write_sequence(root, [], frames=3, truth=None)
    images = [{"image_id": f"1060000{frame:03d}", "file_name": f"{frame:06d}.png"} for frame in (1, 2, 3)]
    (root / "Labels-GameState.json").write_text(json.dumps({"images": images, "annotations": annotations}))


def read(root, splits=("test",), **options):
    return SOURCES["soccernet-gsr"].read(root, splits, Options(**{"train_share": 0, **options}))


def test_roles_teams_and_jerseys_come_through(tmp_path):
    write(
        tmp_path / "SNGS-1",
        [
            annotation(1, 1),
            annotation(2, 1),
            annotation(1, 2, "goalkeeper", "right", "1"),
            annotation(1, 3, "referee", None, None),
            annotation(1, 4, "other", None, ""),
            annotation(1, 5, "ball", None, None),
            annotation(1, 6, bbox_image=None),
            {"image_id": "1060000001", "supercategory": "pitch", "lines": {}},
        ],
    )
    assert find_source(tmp_path).name == "soccernet-gsr"
    listing = read(tmp_path)
    found = sorted(
        (one.track, one.thumbnail.frame, one.thumbnail.role, one.thumbnail.jersey) for one in listing.entries["test"]
    )
    assert found == [
        ("SNGS-1/1", 1, "Player_team_left", "10"),
        ("SNGS-1/1", 2, "Player_team_left", "10"),
        ("SNGS-1/2", 1, "Goalkeeper_team_right", "1"),
        ("SNGS-1/3", 1, "Referee", None),
        ("SNGS-1/4", 1, "Other", None),
    ]
    assert listing.entries["test"][0].box == (5, 3, 8, 16)
    assert listing.protocol == "action"


WRONG = {
    "track": (annotation(1, "one"), "annotation 0 .*the track is 'one', expected a whole number"),
    "image": (annotation(1, 1, image_id="7"), "annotation 0 .*KeyError: '7'"),
    "box": (annotation(1, 1, bbox_image={"x": 1}), "annotation 0 .*KeyError: 'y'"),
    "infinite": (annotation(1, 1, bbox_image={"x": 1, "y": 2, "w": float("inf"), "h": 1}), "annotation 0 .*the box is"),
    "no object": (3, "annotation 0 .*AttributeError"),
}


@pytest.mark.parametrize("wrong, message", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(tmp_path, wrong, message):
    write(tmp_path / "a", [wrong])
    with pytest.raises(ValueError, match=message) as refused:
        read(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}/a/Labels-GameState.json")


def test_a_track_twice_in_a_frame(tmp_path):
    write(tmp_path / "a", [annotation(1, 1), annotation(1, 1)])
    with pytest.raises(ValueError, match="annotation 1 .*track 1 in frame 1 is that of annotation 0 too"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 3, "annotations": []}', '{"images": [{}]}', "[" * 9999])
def test_a_file_that_is_none(tmp_path, text):
    write(tmp_path / "a", [])
    (tmp_path / "a/Labels-GameState.json").write_text(text)
    with pytest.raises(ValueError, match=r"Labels-GameState\.json: not the labels of a game state"):
        read(tmp_path)


def test_a_folder_that_is_none(tmp_path):
    write_sequence(tmp_path / "a", ["1,1,0,0,5,5"])
    with pytest.raises(ConfigError, match="no sequence here: no folder with img1 and Labels-GameState.json"):
        find_source(tmp_path, "soccernet-gsr")


KNOWN = ("GameState.json", "is missing", "no box of a track is left")
LABELS = [annotation(frame, track) for frame in (1, 2) for track in (1, 2)]
IMAGES = [{"image_id": f"1060000{frame:03d}", "file_name": f"{frame:06d}.png"} for frame in (1, 2, 3)]


@pytest.fixture
def labels_file(tmp_path):
    write(tmp_path / "a", LABELS)
    return tmp_path / "a/Labels-GameState.json"


@few
@given(damaged(json.dumps({"images": IMAGES, "annotations": LABELS}).encode(), b'\0",:{}[]9e-\x80'))
def test_bytes_of_any_kind_are_refused_in_a_line(labels_file, data):
    labels_file.write_bytes(data)
    assert refused(lambda: read(labels_file.parent.parent), KNOWN)


@few
@given(st.sampled_from(["image_id", "track_id", "attributes", "bbox_image", "role", "jersey", "x", "w"]), json_values)
def test_values_of_any_kind_are_read_or_refused_in_a_line(labels_file, name, value):
    wrong = annotation(1, 1)
    inner = {"role": "attributes", "jersey": "attributes", "x": "bbox_image", "w": "bbox_image"}.get(name)
    (wrong[inner] if inner else wrong)[name] = value
    labels_file.write_text(json.dumps({"images": IMAGES, "annotations": [wrong, *LABELS[1:]]}))
    assert refused(lambda: read(labels_file.parent.parent), KNOWN)


@few
@given(json_values, json_values)
def test_lists_of_any_kind_are_read_or_refused_in_a_line(labels_file, images, annotations):
    labels_file.write_text(json.dumps({"images": images, "annotations": annotations}))
    assert refused(lambda: read(labels_file.parent.parent), KNOWN)


def test_a_challenge_whose_labels_are_withheld_leaves_the_splits_as_they_are(tmp_path):
    for split in ("train", "valid", "test", "challenge"):
        write(tmp_path / split / "SNGS-1", [annotation(frame, 1) for frame in (1, 2) if split != "challenge"])
    source = SOURCES["soccernet-gsr"]
    for _ in range(2):
        assert source.splits(tmp_path, Options()) == ["train", "valid", "test"]
        listing = source.read(tmp_path, ["test"], Options())
        assert {one.game for one in listing.entries["test"]} == {"test/SNGS-1"}
        (tmp_path / "challenge/SNGS-1/Labels-GameState.json").unlink(missing_ok=True)
