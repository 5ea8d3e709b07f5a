"""Tracks of crops: which crops each has, where and when it was seen, and whom it shows; NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Tracks:
    """T tracks of M crops.

    Args:
        names: of the tracks.
        camera: (T,) int64, positions in `cameras`.
        cameras: names of the cameras.
        action: (T,) int64, the unit inside which people and frames have their numbers.
        person: (T,) int64, -1 where unknown.
        first: (T,) int64, the frame of the first crop; -1 where a crop's frame is unknown.
        last: (T,) int64, the frame of the last crop, or -1.
        crops: (M,) int64 rows of crops, track after track, each by frame.
        offsets: (T + 1,) int64: track t has `crops[offsets[t]:offsets[t + 1]]`.
    """

    names: Sequence[str]
    camera: np.ndarray
    cameras: Sequence[str]
    action: np.ndarray
    person: np.ndarray
    first: np.ndarray
    last: np.ndarray
    crops: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> np.ndarray:
        """(T,) int64, how many crops each track has."""
        return np.diff(self.offsets)

    def of(self, track: int) -> np.ndarray:
        """Return the rows of a track's crops, by frame."""
        return self.crops[self.offsets[track] : self.offsets[track + 1]]

    def describe(self, track: int) -> str:
        """Return a track's camera and name, for people."""
        return f"{self.cameras[self.camera[track]]}/{self.names[track]}"

    def overlap(self, tracks: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return (n, m) bool: which tracks are on one camera at one time, and so cannot be one person.

        A track is taken to be there from its first to its last crop, though a tracker may have lost it in between.
        """
        one, two = tracks[:, None], others[None]
        same = (self.camera[one] == self.camera[two]) & (self.action[one] == self.action[two]) & (one != two)
        known = (self.first[one] >= 0) & (self.first[two] >= 0)
        return same & known & (self.first[one] <= self.last[two]) & (self.first[two] <= self.last[one])

    def follows(self, tracks: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return (n, m) bool: which of the others begin when a track has ended; actions follow each other in order."""
        one, two = tracks[:, None], others[None]
        later = (self.action[one] == self.action[two]) & (self.last[one] < self.first[two])
        return later | (self.action[one] < self.action[two])

    def by_camera(self) -> list[np.ndarray]:
        """Return the tracks of each camera that has any."""
        return [np.flatnonzero(self.camera == camera) for camera in np.unique(self.camera)]


class Labels(NamedTuple):
    """The labels of M crops: arrays of M integers, -1 where unknown."""

    track: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    action: np.ndarray


def group(labels: Labels, names: Sequence[str], cameras: Sequence[str]) -> Tracks:
    """Return the tracks that crops make, by camera and name; crops without a track are left out.

    Args:
        labels: of the crops; `track` and `camera` are positions in `names` and `cameras`.
        names: of the tracks; those without a crop are left out.
        cameras: names of the cameras.

    Raises:
        ValueError: the crops of a track tell of two cameras, people or actions, or of no camera; names the track.
    """
    crops = np.lexsort((labels.frame, _places(labels, names)[labels.track])).astype(np.int64)
    crops = crops[labels.track[crops] >= 0]
    track = labels.track[crops]
    starts = np.flatnonzero(np.diff(track, prepend=-1))
    offsets = np.append(starts, len(crops)).astype(np.int64)
    numbers = track[starts]
    found = {}
    for name in ("camera", "action", "person"):
        values = getattr(labels, name)[crops].astype(np.int64)
        found[name] = values[starts]
        differ = np.flatnonzero(values != np.repeat(values[starts], np.diff(offsets)))
        if len(differ):
            place = differ[0]
            one = values[starts[np.searchsorted(starts, place, side="right") - 1]]
            raise ValueError(
                f"track {names[track[place]]}: expected crops of one {name}, received {name} {one} and {values[place]}"
            )
    unknown = np.flatnonzero(found["camera"] < 0)
    if len(unknown):
        raise ValueError(f"track {names[numbers[unknown[0]]]}: its camera is unknown, and tracks are told apart by it")
    frame = labels.frame[crops].astype(np.int64)
    known = frame[starts] >= 0  # sorted: an unknown one comes first
    return Tracks(
        names=[names[number] for number in numbers],
        cameras=cameras,
        first=np.where(known, frame[starts], -1),
        last=np.where(known, frame[offsets[1:] - 1], -1),
        crops=crops,
        offsets=offsets,
        **found,
    )


def _places(labels: Labels, names: Sequence[str]) -> np.ndarray:
    """Return the place of each name in the order of cameras and names; numbers come first, by their value."""
    camera = np.full(len(names) + 1, -1)  # and one that -1 means
    camera[labels.track] = labels.camera
    keys = [
        (camera[track], not name.isdigit(), len(name) if name.isdigit() else 0, name)
        for track, name in enumerate(names)
    ]
    places = np.full(len(names) + 1, -1)
    places[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return places
