"""Tracks as folders."""

import pytest

from kreid.errors import ConfigError
from kreid.tracks.folders import tracks_of_paths


def test_folders_are_tracks_and_cameras(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [
        "x/right/7/f3.png",
        "x/left/b/2.jpg",
        "x/right/7/f1.png",
        str(tmp_path / "x/left/7/0.png"),
        "x/left/b/9.jpg",
    ]
    tracks = tracks_of_paths(paths)
    assert [tracks.describe(track) for track in range(len(tracks))] == ["left/7", "left/b", "right/7"]
    assert [tracks.of(track).tolist() for track in range(3)] == [[3], [1, 4], [2, 0]]
    assert (tracks.first.tolist(), tracks.last.tolist()) == ([0, 2, 1], [0, 9, 3])
    assert set(tracks.person.tolist()) == {-1}
    assert set(tracks.action.tolist()) == {0}


def test_frames_are_the_last_numbers():
    tracks = tracks_of_paths(["a/t/f2_009.png", "a/t/f1_010.png", "b/t/crop.png"])
    assert (tracks.first.tolist(), tracks.last.tolist()) == ([9, -1], [10, -1])


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["x/cam/t/1.png", "x/cam/2.png"], "x/cam/2.png"),
        (["x/cam/t/1.png", "x/2.png"], "x/2.png"),
        (["x/cam/2.png", "x/other/t/1.png"], "x/cam/2.png"),
        (["x/cam/t/deep/1.png", "x/cam/t/2.png"], "x/cam/t/2.png"),
        (["/a/1.png"], "/a/1.png"),
        (["/1.png"], "/1.png"),
    ],
)
def test_images_outside_a_track_are_named(paths, named):
    with pytest.raises(ConfigError, match=f"^{named}: outside a track's folder; expected all images as CAMERA/TRACK"):
        tracks_of_paths(paths)


def test_cameras_of_one_name_are_refused():
    with pytest.raises(ConfigError, match=r"two cameras of one name but for case, spaces or zeros: .*Cam and .*cam;"):
        tracks_of_paths(["x/cam/t/1.png", "x/Cam/t/1.png"])
    with pytest.raises(ConfigError, match=r"two cameras of one name: .*x/a/cam and .*x/b/cam; rename one"):
        tracks_of_paths(["x/a/cam/t/1.png", "x/b/cam/s/1.png", "x/c/cam/s/1.png"])


def test_no_paths():
    assert len(tracks_of_paths([])) == 0
