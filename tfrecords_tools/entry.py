"""One image with its labels, before it is a record: what every source ends in. No TensorFlow."""

from dataclasses import dataclass
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


def rounded_box(x: float, y: float, width: float, height: float, margin: float = 0.0) -> Box:
    """Return the box whose edges are nearest to these, in pixels.

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
    left, right = (round(edge) for edge in (x - margin * width, x + width + margin * width))
    top, bottom = (round(edge) for edge in (y - margin * height, y + height + margin * height))
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


@dataclass(frozen=True, slots=True)
class Entry:
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
