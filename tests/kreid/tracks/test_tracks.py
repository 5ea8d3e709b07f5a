"""Tracks: which crops they have, and which of them overlap in time."""

import numpy as np
import pytest
from track_cases import labels, seen

from kreid.tracks.tracks import group

EVERY = np.arange(4)


def test_crops_become_tracks_by_frame():
    found = group(
        labels([2, 0, 2, -1, 0, 2], [1, 0, 1, 0, 0, 1], [30, 5, 10, 1, 4, 20], [7, 8, 7, 9, 8, 7]),
        ["x", "nobody's", "y"],
        ["left", "right"],
    )
    assert found.names == ["x", "y"]
    assert found.of(0).tolist() == [4, 1]
    assert found.of(1).tolist() == [2, 5, 0]
    assert found.sizes.tolist() == [2, 3]
    assert (found.first.tolist(), found.last.tolist()) == ([4, 10], [5, 30])
    assert (found.person.tolist(), found.camera.tolist()) == ([8, 7], [0, 1])
    assert found.describe(1) == "right/y"


def test_tracks_stand_by_camera_and_name():
    names = ["10", "b", "9", "a", "2", "nobody's"]
    found = group(labels([0, 1, 2, 3, 4, -1], [1, 1, 1, 1, 0, 0]), names, ["left", "right"])
    assert found.names == ["2", "9", "10", "a", "b"]
    assert found.crops.tolist() == [4, 2, 0, 3, 1]


def test_no_crop_of_a_track():
    found = group(labels([-1, -1], [0, 0]), [], ["left"])
    assert len(found) == 0
    assert found.sizes.tolist() == []


def test_one_unknown_frame_makes_the_time_unknown():
    found = group(labels([0, 0, 1], [0, 0, 0], [3, -1, 3]), "ab", ["left"])
    assert (found.first.tolist(), found.last.tolist()) == ([-1, 3], [-1, 3])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"camera": [0, 0, 1, 0]}, "track b: expected crops of one camera, received camera 1 and 0"),
        ({"person": [5, 5, 6, 7]}, "track b: expected crops of one person, received person 6 and 7"),
        ({"action": [0, 1, 0, 0]}, "track a: expected crops of one action, received action 0 and 1"),
        ({"camera": [0, 0, -1, -1]}, "track b: its camera is unknown"),
    ],
)
def test_crops_that_contradict_each_other_are_refused(changed, message):
    arguments = {"track": [0, 0, 1, 1], "camera": [0, 0, 1, 1], "frame": [1, 2, 1, 2]} | changed
    with pytest.raises(ValueError, match=message):
        group(labels(**arguments), "ab", ["left", "right"])


def test_overlap_is_of_one_camera_one_time_and_one_action():
    tracks = seen((0, 10, 20), (0, 20, 30), (0, 21, 40), (1, 10, 20))
    assert np.argwhere(tracks.overlap(EVERY, EVERY)).tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    apart = seen((0, 10, 20), (0, 20, 30), (0, 10, 40), (0, -1, 20), (0, -1, 30), action=[0, 1, 1, 1, 1])
    every = np.arange(5)
    assert np.argwhere(apart.overlap(every, every)).tolist() == [[1, 2], [2, 1]]


def test_what_follows_in_time():
    tracks = seen((0, 10, 20), (0, 20, 30), (1, 21, 40), (2, 0, 5), action=[1, 1, 1, 2])
    assert np.argwhere(tracks.follows(EVERY, EVERY)).tolist() == [[0, 2], [0, 3], [1, 3], [2, 3]]


def test_tracks_by_camera():
    tracks = seen((1, 0, 0), (0, 0, 0), (1, 0, 0), (3, 0, 0))
    assert [members.tolist() for members in tracks.by_camera()] == [[0], [1, 2], [3]]
