"""One image with its labels, before it is a record: what every source ends in. No TensorFlow."""

import math
from pathlib import Path
from typing import NamedTuple

from tfrecords_tools.naming import Thumbnail

SPLITS = ("train", "valid", "test", "challenge")  # of any set, in the order they are told
SUBSETS = ("query", "gallery")  # of every split but train


class Box(NamedTuple):
    """A part of a frame, in pixels from its upper left corner; what lies outside of the frame is cut off."""

    left: int
    top: int
    width: int
    height: int

    def clipped(self, width: int, height: int) -> "Box":
        """Return what lies inside a frame of this size; its width or height is 0 or less where nothing does.

        Example:
            >>> Box(-4, 30, 10, 20).clipped(60, 40)
            Box(left=0, top=30, width=6, height=10)
        """
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.left + self.width, width), min(self.top + self.height, height)
        return Box(left, top, right - left, bottom - top)


def rounded_box(x: float, y: float, width: float, height: float, margin: float = 0.0) -> Box:
    """Return the box whose edges are nearest to these, in pixels; halves go right and down.

    So a box that is a pixel wide stays one, wherever it lies: rounding to even would empty some.

    Args:
        x: of the left edge.
        y: of the upper edge.
        width: to the right edge.
        height: to the lower edge.
        margin: added to each side, as a part of width and height.

    Example:
        >>> rounded_box(10.4, 20, 5.2, 9, margin=0.1)
        Box(left=10, top=19, width=6, height=11)
    """
    left, right = (math.floor(edge + 0.5) for edge in (x - margin * width, x + width + margin * width))
    top, bottom = (math.floor(edge + 0.5) for edge in (y - margin * height, y + height + margin * height))
    return Box(left, top, right - left, bottom - top)


def where(path: str, box: Box | None = None, frame: int | None = None) -> str:
    """Say where an image came from: a file, and what was cut out of it, as a Media Fragments URI does.

    Example:
        >>> where("img1/000007.jpg", Box(1, 2, 30, 60), 7)
        'img1/000007.jpg#frame=7&xywh=1,2,30,60'
    """
    if box is None:
        return path
    frames = "" if frame is None else f"frame={frame}&"
    return f"{path}#{frames}xywh={box.left},{box.top},{box.width},{box.height}"


class Entry(NamedTuple):
    """One thumbnail on disk, or one that is still to be cut out of a frame.

    Args:
        thumbnail: its labels; height and width are 0 where only the file itself tells them.
        path: the file, of the thumbnail or of the frame.
        split: "train", "valid", "test" or "challenge".
        subset: "train", "query" or "gallery".
        game: the folders championship/season/game, "" where there are none.
        camera: number of the camera, None if unknown.
        track: the track's name, unlike that of every other track of the set; "" if unknown.
        source: where it came from: the file relative to the set's folder, with frame and box where it was cut.
        box: what is cut out of the file; None for all of it.
        number: of the frame in the file, from 1, where that is a video.
    """

    thumbnail: Thumbnail
    path: Path
    split: str
    subset: str
    game: str
    camera: int | None = None
    track: str = ""
    source: str = ""
    box: Box | None = None
    number: int | None = None


def placed(entry: Entry, split: str, subset: str, bbox: int = 0, action: int | None = None) -> Entry:
    """Return an entry with another split, subset and index in its list; its action stays where none is given."""
    thumbnail = entry.thumbnail
    action = thumbnail.action if action is None else action
    if (bbox, action) != (thumbnail.bbox, thumbnail.action):  # else both share it: a set has many
        thumbnail = thumbnail._replace(bbox=bbox, action=action)
    return entry._replace(thumbnail=thumbnail, split=split, subset=subset)


def inside(root: Path, path: Path) -> str:
    """Say where a file lies in a folder: `Path.relative_to`, ten times as fast.

    Example:
        >>> inside(Path("set"), Path("set/query/a.jpg"))
        'query/a.jpg'
    """
    text, start = path.as_posix(), f"{root.as_posix()}/"
    return text[len(start) :] if text.startswith(start) else text
