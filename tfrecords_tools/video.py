"""Frames of a video file by their numbers, through PyAV (extra `video`). No TensorFlow.

Frames are counted as a player shows them, the first that can be decoded is 1, as FFmpeg and OpenCV hand them out; when
they are shown does not count, so that a rate that varies shifts nothing. They are turned as the file asks, as a phone's
does: so do those two.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tfrecords_tools.errors import ConfigError, one_line

if TYPE_CHECKING:
    import av

_NEAR = 250  # frames ahead that are decoded one by one; what lies further is sought by its key frame
# Frames by which one may be shown later than it is stored; those shown before a key frame may need what is before it.
_REORDERED = 16
_FIRST = 3  # frames by which it is told whether a frame's time says its number
_UNEVEN = 1.5  # longest time between two frames over the shortest, from which on a rate varies
_LOG = logging.getLogger(__name__)


class Video:
    """A video file, to be read in the order of its frames mostly; going back is allowed.

    Args:
        path: the file.
        max_pixels: frames of more are refused before they are decoded.

    Raises:
        ConfigError: PyAV is not installed.
        ValueError: naming the file, if it has no frames that FFmpeg can read.
        OSError: if it cannot be opened.

    Example:
        >>> video = Video(Path("match.mp4"))
        >>> len(video), video.read(1).size
        (750, (1920, 1080))
    """

    def __init__(self, path: Path, max_pixels: int | None = None) -> None:
        self.path = path
        self._av = _load_av()
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._place = 0  # the frame read last
        self._kept: Image.Image | None = None
        path.open("rb").close()  # an error of the system, in its words
        try:
            self._open()
            size = (self._stream.width, self._stream.height)
            if max_pixels is None or size[0] * size[1] <= max_pixels:
                self._count, self._times = self._look_through()
        except (self._av.error.FFmpegError, IndexError) as error:
            said = "it holds no video of a known kind" if isinstance(error, IndexError) else _reason(error)
            raise ValueError(f"{path}: not a video that FFmpeg reads ({said})") from None
        if max_pixels is not None and size[0] * size[1] > max_pixels:
            raise ValueError(
                f"{path}: has frames of {size[0]} x {size[1]} pixels, more than the {max_pixels:,} that are let pass "
                "(--max-pixels)"
            )
        if not self._count:
            raise ValueError(f"{path}: not a video that FFmpeg reads (it has no frames)")

    def __len__(self) -> int:
        return self._count

    def varies(self) -> bool:
        """Whether frames follow each other at varying times."""
        steps = np.diff(self._times)
        return len(steps) > 1 and bool(steps.max() > _UNEVEN * steps.min())

    def read(self, number: int) -> Image.Image:
        """Return the pixels of a frame, RGB.

        Args:
            number: of the frame, from 1.

        Raises:
            ValueError: naming file and frame, if there is none of this number, or it cannot be decoded.
        """
        if not 1 <= number <= len(self):
            raise ValueError(f"{self.path}: has {len(self):,} frames, received the number {number}")
        if number != self._place or self._kept is None:
            self._kept = None
            try:
                self._kept = self._find(number)
            except self._av.error.FFmpegError as error:
                self._place = len(self)  # where the file goes on is not known, so the next one is sought
                raise ValueError(f"{self.path}: frame {number} cannot be decoded, {_reason(error)}") from None
        return self._kept

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _find(self, number: int) -> Image.Image:
        if not self._place < number <= self._place + _NEAR:
            self._jump(number)
        for frame in self._frames:
            self._place = self._number_of(frame) or self._place + 1
            if self._place == number:
                return _upright(frame)
            if self._place > number:
                break
        raise ValueError(f"{self.path}: frame {number} cannot be decoded; is the file whole?")

    def _jump(self, number: int) -> None:
        """Go to a frame in front of one, or to the beginning, from which frames can be counted in any file."""
        for back in (_REORDERED, _NEAR):
            if number <= back + 1 or not len(self._times):
                break
            with suppress(self._av.error.FFmpegError):  # some files cannot be sought in
                self._container.seek(int(self._times[number - 1 - back]), stream=self._stream)
                frames = self._decoded()
                first = next(frames, None)
                found = None if first is None else self._number_of(first)
                if first is not None and found is not None and found <= number:
                    self._frames, self._place = chain([first], frames), found - 1
                    return
        if number <= self._place or len(self._times):  # else what comes next is the shorter way
            self._begin()

    def _begin(self) -> None:
        """Stand in front of the first frame."""
        self.close()
        self._open()

    def _open(self) -> None:
        self._container: av.container.InputContainer = self._av.open(str(self.path))
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise IndexError("no decoder")
        self._stream.thread_type = "AUTO"
        self._frames, self._place = self._decoded(), 0

    def _decoded(self) -> Iterator["av.VideoFrame"]:
        """Yield the frames from here on; what cannot be decoded is left out, as FFmpeg does."""
        for packet in self._container.demux(self._stream):
            with suppress(self._av.error.InvalidDataError):
                yield from packet.decode()

    def _number_of(self, frame: "av.VideoFrame") -> int | None:
        """Tell a frame by its time, None where that says nothing."""
        place = 0 if frame.pts is None else int(np.searchsorted(self._times, frame.pts))
        return place + 1 if place < len(self._times) and self._times[place] == frame.pts else None

    def _look_through(self) -> tuple[int, np.ndarray]:
        """Count frames, and note when each is shown, in the stream's own unit, in order; nothing where that is unknown.

        Some kinds of file, such as AVI, note the order in which frames are stored in place of times, or nothing. In
        some a frame is two, each a half. Those can only be read from their beginning.
        """
        stored = [packet.pts for packet in self._container.demux(self._stream) if packet.size and not packet.is_discard]
        self._begin()
        first = list(islice(self._frames, _FIRST))
        self._frames = chain(first, self._frames)
        if not first:
            return 0, np.array([], np.int64)
        kind = self._container.format
        if kind.name == "avi" or kind.flags & self._av.format.Flags.no_timestamps.value or None in stored:
            return len(stored), np.array([], np.int64)
        times = np.unique(np.array(stored, np.int64))
        times = times[times >= (times[0] if first[0].pts is None else first[0].pts)]  # a stream may begin anywhere
        if times[:_FIRST].tolist() != [frame.pts for frame in first]:
            return len(stored), np.array([], np.int64)
        return len(times), times


class Videos:
    """The video read last, open, for one who asks for its frames in order.

    Args:
        max_pixels: as for `Video`.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._video: Video | None = None

    def read(self, path: Path, number: int) -> Image.Image:
        """Return the pixels of a frame; raise what `Video` raises."""
        if self._video is None or self._video.path != path:
            self.close()
            self._video = Video(path, self._max_pixels)
        return self._video.read(number)

    def close(self) -> None:
        """Close the file."""
        if self._video is not None:
            self._video.close()
            self._video = None


def count_frames(path: Path) -> int:
    """Return how many frames a video has, and warn where its rate varies."""
    video = Video(path)
    if video.varies():
        _LOG.warning(
            "%s: its frames follow each other at varying times; they are counted, not timed, from 1: boxes must have "
            "been drawn on the frames of this very file", path,
        )  # fmt: skip
    video.close()
    return len(video)


def frame_size(path: Path) -> tuple[int, int]:
    """Return width and height of a video's frames, without looking for them."""
    with _load_av().open(str(path)) as container:
        return _upright(next(container.decode(video=0))).size


def _upright(frame: "av.VideoFrame") -> Image.Image:
    """A frame's pixels, turned as the file asks for them."""
    image = frame.to_image()
    turn = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    turned = turn.get(frame.rotation % 360)  # to the left, as Pillow's
    return image if turned is None else image.transpose(turned)


def _reason(error: Exception) -> str:
    """What FFmpeg says, without its number and the file's name."""
    return one_line(getattr(error, "strerror", None) or error)


def _load_av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise ConfigError("--video: needs PyAV, which is not installed; pip install 'kreid[video]'") from None
    return av
