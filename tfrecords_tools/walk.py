"""The walk through a folder of images: the same files for every command, and what was left out is told."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tfrecords_tools.errors import one_line

SUFFIXES = (".png", ".jpg", ".jpeg")  # of the files that are taken from a folder, in any case
_NAMED = 5  # files that a line names
_LOG = logging.getLogger(__name__)


class Skipped(NamedTuple):
    """A file or folder that a walk left out, and why."""

    path: Path
    why: str


@dataclass(frozen=True)
class Walked:
    """What lies in a folder and the folders below it.

    Args:
        files: the images, in the order of their paths.
        skipped: everything else, in the same order.
    """

    files: list[Path]
    skipped: list[Skipped]


class Folder(NamedTuple):
    """A folder that a walk entered: the names of the images that lie in it itself, and what was left out there."""

    path: Path
    names: list[str]
    skipped: list[Skipped]


def walk(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> Walked:
    """List the images in a folder and all folders below it, by their names.

    Links to folders and files are followed, a folder that was seen already is not entered again: links may lead back.
    Left out is what is hidden (`._a.png`, `.DS_Store`, `__MACOSX`), named otherwise, or neither file nor folder, and a
    folder that has an image's name.

    Args:
        folder: where to look.
        suffixes: endings of the names to take, in small letters.

    Raises:
        OSError: a folder cannot be read.
    """
    walked = list(walk_folders(folder, suffixes))
    # As paths compare; they are made last, since to compare them would make each keep its parts.
    named = sorted((*path.parts, name) for path, names, _ in walked for name in names)
    files = [Path(*parts) for parts in named]
    skipped = [each for _, _, mine in walked for each in mine]
    return Walked(files, sorted(skipped))


def walk_folders(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> Iterator[Folder]:
    """Do as `walk` does, folder by folder in the order of their paths: a path an image takes much time and memory.

    Args:
        folder: where to look.
        suffixes: endings of the names to take, in small letters.

    Raises:
        OSError: a folder cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        status = place.stat()
        if (status.st_dev, status.st_ino) in seen:
            yield Folder(place, [], [Skipped(place, "leads to a folder seen already")])
            continue
        seen.add((status.st_dev, status.st_ino))
        found, below = _look(place, tuple(suffixes))
        yield found
        waiting += sorted(below, reverse=True)  # by name, so that of two links to one folder it is always the same


def describe(folder: Path, skipped: Sequence[Skipped]) -> str:
    """Say in a line how many were left out, and name the first.

    Example:
        >>> describe(Path("x"), [Skipped(Path("x/._a.png"), "hidden"), Skipped(Path("x/b.webp"), "not .png")])
        'skipped 2: ._a.png (hidden), b.webp (not .png)'
    """
    named = [f"{path.relative_to(folder)} ({why})" for path, why in skipped[:_NAMED]]
    more = [f"and {len(skipped) - _NAMED:,} more"] if len(skipped) > _NAMED else []
    return f"skipped {len(skipped):,}: {', '.join(one_line(name) for name in [*named, *more])}"


def warn_of_skipped(folder: Path, skipped: Sequence[Skipped]) -> None:
    """Log one warning about what a walk left out, none where that is nothing."""
    if skipped:
        _LOG.warning("%s: %s", folder, describe(folder, skipped))


def _look(place: Path, suffixes: tuple[str, ...]) -> tuple[Folder, list[Path]]:
    """Return what lies in a folder itself, by name, and the folders to enter."""
    names: list[str] = []
    skipped: list[Skipped] = []
    below: list[Path] = []
    with os.scandir(place) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(suffixes) and name[0] != "." and entry.is_file(follow_symlinks=False):
                names.append(name)  # as mostly: `_reason` in short
                continue
            why = _reason(entry, suffixes)
            if why == "":
                names.append(name)
            elif why is None:
                below.append(place / entry.name)
            else:
                skipped.append(Skipped(place / entry.name, why))
    return Folder(place, sorted(names), skipped), below


def _reason(entry: "os.DirEntry[str]", suffixes: tuple[str, ...]) -> str | None:
    """Return why an entry is left out: "" for an image, None for a folder to enter."""
    named = entry.name.lower().endswith(suffixes)
    if entry.name.startswith(".") or entry.name == "__MACOSX":
        return "hidden"
    # Of a link that leads to itself an entry raises what a path answers.
    found = Path(entry.path) if entry.is_symlink() else entry
    if found.is_dir():
        return "a folder" if named else None
    if not named:
        return f"not {' or '.join(suffixes)}"
    if found.is_file():
        return ""
    return "a link that leads nowhere" if entry.is_symlink() else "not a file"
