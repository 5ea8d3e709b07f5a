"""What a source of images is: how its folder is told, which splits it has, and the entries that it ends in."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from tfrecords_tools.entry import Entry
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.walk import SUFFIXES


@dataclass(frozen=True)
class Options:
    """What a source may be told beside its folder; each source says which of these it takes.

    Args:
        identities: CSV file that joins tracks to people: columns camera, track, person.
        tracks: a tracker's boxes in place of `gt/gt.txt`: a folder of `<sequence>.txt`, a file of the only sequence, or
            the name of a file inside each sequence.
        video: a video file in place of the frames of the only sequence; frames are counted from 1.
        seed: of the division into splits, queries and gallery, where the set has none.
        train_share: part of the people, or of the actions where there are several, that such a division gives to
            training. Default: half, as in Market-1501.
        margin: added to each side of a box before it is cut, as a part of its width and height.
        min_size: boxes of which less is cut out, in height or width, are left out; in pixels of the frame, with the
            margin, and without what lies outside of the frame.
        min_visibility: boxes that are less visible, 0 to 1, are left out, where the file tells.
        every: every n-th frame is taken.

    Raises:
        ConfigError: for a value out of its range.
    """

    identities: Path | None = None
    tracks: Path | None = None
    video: Path | None = None
    seed: int = 0
    train_share: float = 0.5
    margin: float = 0.0
    min_size: int = 1
    min_visibility: float = 0.0
    every: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (("train_share", 0, 1), ("margin", 0, 10), ("min_visibility", 0, 1)):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name}: expected a number from {least} to {most}, received {getattr(self, name)}")
        for name, least in (("seed", 0), ("min_size", 1), ("every", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: expected a whole number from {least} up, received {getattr(self, name)}")

    def given(self) -> list[str]:
        """The names of the options that are not as they are by default."""
        return [one.name for one in fields(self) if getattr(self, one.name) != one.default]


@dataclass(frozen=True)
class Listing:
    """What a source found.

    Args:
        entries: of each split, by action, query before gallery, bbox index.
        protocol: how a query is scored by default: "action", against all of its action's gallery, or "cross_camera",
            without the images of its person on its own camera.
        cameras: names of the cameras by their number, "" where no camera has it.
        people: names of the people by their number, the same way.
        notes: of each split, what is to know, and of how many: images left out, people without a second view.
    """

    entries: Mapping[str, Sequence[Entry]]
    protocol: str = "action"
    cameras: Sequence[str] = ()
    people: Sequence[str] = ()
    notes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """One kind of folder that images come from.

    Args:
        name: what `kreid-convert --source` calls it.
        title: what it is, with its article.
        missing: says what a folder lacks to be one, "" where it is one; reads names, no images.
        splits: the splits that a folder has, in the order of `entry.SPLITS`.
        read: lists the images of these splits.
        options: names of the `Options` that it takes.
        missing_beside_video: as `missing`, where the frames are a video; None where they cannot be.
    """

    name: str
    title: str
    missing: Callable[[Path], str]
    splits: Callable[[Path, Options], list[str]]
    read: Callable[[Path, Sequence[str], Options], Listing]
    options: tuple[str, ...] = ()
    missing_beside_video: Callable[[Path], str] | None = None

    def check_options(self, options: Options) -> None:
        """Raise ConfigError for an option that this source does not take."""
        strange = [name for name in options.given() if name not in self.options]
        if strange:
            taken = f"takes {', '.join(map(option_name, self.options))}" if self.options else "takes no such option"
            raise ConfigError(f"{option_name(strange[0])}: the source {self.name} {taken}; leave it out")


def option_name(name: str) -> str:
    """Return the option of `kreid-convert` for a name in `Options`."""
    return f"--{name.replace('_', '-')}"


def first_image(folder: Path) -> Path | None:
    """Return the first image that is met in a folder and those below it, None if there is none."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                return Path(place, name)
    return None
