"""Frames of a video file by their numbers, through PyAV (extra `video`). No TensorFlow.

Frames are counted as a player shows them, the first is 1, as in a folder `img1` that FFmpeg has written; when they are
shown does not count, so that a rate that varies shifts nothing. Pixels are taken as they are stored, without the turn
that a phone notes down.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tfrecords_tools.errors import ConfigError, one_line

if TYPE_CHECKING:
    import av

_NEAR = 250  # frames ahead that are decoded one by one; what lies further is sought by its key frame
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
        path.open("rb").close()  # an error of the system, in its words
        try:
            self._container = self._av.open(str(path))
            self._stream = self._container.streams.video[0]
            self._times = self._read_times()
        except (self._av.error.FFmpegError, IndexError, ValueError) as error:
            said = "it holds no video" if isinstance(error, IndexError) else _reason(error)
            raise ValueError(f"{path}: not a video that FFmpeg reads ({said})") from None
        if not len(self._times):
            raise ValueError(f"{path}: not a video that FFmpeg reads (it has no frames)")
        size = (self._stream.width, self._stream.height)
        if max_pixels is not None and size[0] * size[1] > max_pixels:
            raise ValueError(
                f"{path}: has frames of {size[0]} x {size[1]} pixels, more than the {max_pixels:,} that are let pass "
                "(--max-pixels)"
            )
        self._stream.thread_type = "AUTO"
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._place = 0  # the frame read last
        self._kept: Image.Image | None = None

    def __len__(self) -> int:
        return len(self._times)

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
                self._kept = self._decode(number)
            except self._av.error.FFmpegError as error:
                self._place = len(self)  # where the file goes on is not known, so the next one is sought
                raise ValueError(f"{self.path}: frame {number} cannot be decoded, {_reason(error)}") from None
            self._place = number
        return self._kept

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decode(self, number: int) -> Image.Image:
        wanted = int(self._times[number - 1])
        if not self._place < number <= self._place + _NEAR or not self._place:
            self._container.seek(wanted, stream=self._stream)  # to the key frame before it
            self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            if frame.pts is not None and frame.pts >= wanted:
                if frame.pts == wanted:
                    return frame.to_image()
                break
        self._place = len(self)
        raise ValueError(f"{self.path}: frame {number} cannot be decoded; is the file whole?")

    def _read_times(self) -> np.ndarray:
        """When each frame is shown, in the stream's own unit, in order."""
        times = [packet.pts for packet in self._container.demux(self._stream) if packet.size and not packet.is_discard]
        if any(time is None for time in times):
            raise ValueError("some of its frames say no time; write it anew, such as by ffmpeg -i FILE new.mp4")
        return np.unique(np.array(times, np.int64))


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
        stream = container.streams.video[0]
        return stream.width, stream.height


def _reason(error: Exception) -> str:
    """What FFmpeg says, without its number and the file's name."""
    return one_line(getattr(error, "strerror", None) or error)


def _load_av() -> ModuleType:
    try:
        import av
    except ImportError:
        raise ConfigError("--video: needs PyAV, which is not installed; pip install 'kreid[video]'") from None
    return av
