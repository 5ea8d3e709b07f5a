import sys

import numpy as np
import pytest
from clips import SIZE, grey, turned, write_clip

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.video import Video, Videos, count_frames, frame_size


def number_of(image):
    """Which frame an image is, as its grey says."""
    value = np.asarray(image).mean()
    return min(range(1, 41), key=lambda number: abs(grey(number) - value))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", 30)


def test_frames_are_counted_from_1_whatever_is_read_before(clip, monkeypatch):
    monkeypatch.setattr("tfrecords_tools.video._NEAR", 5)  # so that some are sought
    video = Video(clip)
    assert len(video) == 30
    for number in (1, 2, 2, 5, 30, 29, 1, 17, 18, 4):
        image = video.read(number)
        assert image.size == SIZE[::-1]
        assert image.mode == "RGB"
        assert number_of(image) == number
    video.close()


# Frames in front of a key frame that need what is before it; others are stored in front of those they are shown after.
OPEN = {"x264-params": "bframes=3:b-adapt=0:keyint=8:min-keyint=8:scenecut=0:open-gop=1"}


@pytest.mark.parametrize(
    "codec, name, options",
    [
        ("libx264", "b.mp4", {}),
        ("libx264", "b.mp4", OPEN),
        ("libx264", "b.mkv", OPEN),
        ("libx264", "b.avi", OPEN),  # which notes no times
        ("libx264", "b.ts", OPEN),  # in which nothing is found exactly
        ("libx264", "b.h264", {}),  # which has nothing but frames
        ("mpeg4", "b.avi", {"bf": "2"}),
        ("mpeg4", "b.mp4", {"bf": "2"}),
        ("mpeg2video", "b.mpg", {"bf": "2"}),
    ],
)
def test_frames_that_are_stored_in_another_order_come_as_they_are_shown(tmp_path, monkeypatch, codec, name, options):
    monkeypatch.setattr("tfrecords_tools.video._NEAR", 5)
    av = pytest.importorskip("av")
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec} in this FFmpeg")
    video = Video(write_clip(tmp_path / name, 40, codec=codec, options=options))
    assert len(video) == 40
    assert [number_of(video.read(number)) for number in range(1, 41)] == list(range(1, 41))
    places = [40, 3, 33, *range(40, 0, -1)]
    assert [number_of(video.read(number)) for number in places] == places
    video.close()


def test_a_stream_that_begins_anywhere_begins_with_its_first_whole_frame(tmp_path):
    path = write_clip(tmp_path / "late.ts", 40, codec="mpeg2video")
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 2 // 188 * 188 :])
    video = Video(path)
    first = number_of(video.read(1))
    assert 15 < first < 35
    assert [number_of(video.read(number)) for number in range(1, len(video) + 1)] == list(range(first, 41))


def test_a_file_whose_frames_are_two_halves_each_is_counted(clip, monkeypatch):
    """Each half is stored with a time of its own."""
    unique = np.unique
    monkeypatch.setattr("tfrecords_tools.video._NEAR", 2)
    monkeypatch.setattr(
        "tfrecords_tools.video.np.unique", lambda times: np.sort(np.concatenate([unique(times), unique(times) + 1]))
    )
    video = Video(clip)
    assert [number_of(video.read(number)) for number in (1, 7, 30, 12)] == [1, 7, 30, 12]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_are_turned_as_the_file_asks(tmp_path, degrees):
    path = write_clip(tmp_path / "phone.mp4", 3)
    plain = np.asarray(Video(path).read(2)).copy()
    video = Video(turned(path, degrees))
    found = np.asarray(video.read(2))
    np.testing.assert_array_equal(found, np.rot90(plain, -degrees // 90))
    assert not np.array_equal(found, np.rot90(plain, degrees // 90)) or degrees == 180
    assert frame_size(path) == video.read(2).size == found.shape[1::-1]


def test_a_rate_that_varies_shifts_no_number_and_is_told(tmp_path, clip, caplog):
    times = [0, 1, 2, 3, 10, 11, 12, 40, 41, 42]
    path = write_clip(tmp_path / "vfr.mp4", 10, times)
    video = Video(path)
    assert [number_of(video.read(number)) for number in range(1, 11)] == list(range(1, 11))
    assert count_frames(clip) == 30
    assert frame_size(clip) == Video(clip).read(1).size
    assert caplog.messages == []
    assert count_frames(path) == 10
    assert f"{path}: its frames follow each other at varying times; they are counted, not timed, from 1" in caplog.text


@pytest.mark.parametrize("number", [0, 31])
def test_a_number_that_no_frame_has(clip, number):
    with pytest.raises(ValueError, match=rf"a\.mp4: has 30 frames, received the number {number}"):
        Video(clip).read(number)


@pytest.mark.parametrize("content", [b"", b"no video" * 99, b"\0\0\0\x18ftypmp42" + bytes(99)])
def test_what_is_no_video(tmp_path, content):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.mp4: not a video that FFmpeg reads \(") as refused:
        Video(path)
    assert "\n" not in str(refused.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        Video(tmp_path / "nowhere.mp4")


def test_a_video_that_was_cut_or_damaged_raises_nothing_else(clip, tmp_path):
    """Whatever byte is wrong: frames, or a ValueError."""
    data, path = clip.read_bytes(), tmp_path / "x.mp4"
    said: list[str] = []
    places = np.random.default_rng(0).integers(0, len(data), 40).tolist()
    for place in places:
        for content in (data[:place], data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]):
            path.write_bytes(content)
            said.append(f"{path}: ")
            try:
                video = Video(path)
                for number in (1, len(video), 3):
                    video.read(number)
                video.close()
            except ValueError as error:
                said[-1] = str(error)
    assert [line for line in said if not line.startswith(f"{path}: ")] == []
    assert len(set(said)) > 3


def test_frames_of_too_many_pixels(clip):
    with pytest.raises(ValueError, match=r"has frames of 64 x 48 pixels, more than the 3,071 that are let pass"):
        Video(clip, max_pixels=3071)


def test_one_video_is_open_at_once(clip, tmp_path):
    other = write_clip(tmp_path / "b.mp4", 3)
    videos = Videos(max_pixels=10**6)
    assert [number_of(videos.read(path, number)) for path, number in ((clip, 9), (other, 2), (clip, 10))] == [9, 2, 10]
    videos.close()
    videos.close()


def test_without_pyav_it_is_said(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"--video: needs PyAV, which is not installed; pip install 'kreid\[video\]'"):
        Video(clip)
