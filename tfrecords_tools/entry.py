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
