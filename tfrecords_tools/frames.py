"""What is cut out of frames: each frame is decoded once for the boxes that are asked for together."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from PIL import Image

from tfrecords_tools.entry import Box
from tfrecords_tools.formats import as_rgb

_KEPT = 8  # decoded frames: 50 MB of 1080p


class Frames:
    """The frames read last, decoded; several threads may ask for one at once.

    Args:
        load: returns the kind of a file and its image.
    """

    def __init__(self, load: Callable[[Path], tuple[str, Image.Image]]) -> None:
        self._load = load
        self._kept: OrderedDict[Path, Future[tuple[str, Image.Image]]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> tuple[str, Image.Image]:
        """Return the kind of a frame's file and its pixels, RGB; raise what `load` raised."""
        with self._lock:
            mine = path not in self._kept
            future = self._kept.setdefault(path, Future())
            self._kept.move_to_end(path)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if mine:
            try:
                kind, image = self._load(path)
                future.set_result((kind, as_rgb(image)))
            except BaseException as error:
                future.set_exception(error)
        return future.result()


def cut_out(path: Path, frame: Image.Image, box: Box) -> Image.Image:
    """Return a part of a frame, clipped at its border.

    Raises:
        ValueError: naming the file, if nothing of the box lies inside.
    """
    left, top, width, height = box.clipped(frame.width, frame.height)
    if width <= 0 or height <= 0:
        raise ValueError(
            f"{path}: the box at x {box.left}, y {box.top}, {box.width} wide and {box.height} high, leaves nothing of "
            f"the frame of {frame.width} x {frame.height} pixels; mend it, or leave it out"
        )
    return frame.crop((left, top, left + width, top + height))
