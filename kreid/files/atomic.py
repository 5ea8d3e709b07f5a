"""Files that are there whole or not at all."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tfrecords_tools.addresses import local_path

_PARTIAL = ".partial-"
_SHORT = 100  # bytes of a name that every file system takes


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there takes the name only once the block has ended well.

    The bytes go to a neighbour (same folder, hence same disk) that is flushed to disk and renamed at the end, and
    removed after an error, so a reader never sees half a file and an older file of that name survives a failed write.

    Args:
        path: the file to write. Folders above it are made.

    Raises:
        ConfigError: for an address.

    Example:
        with atomic_path("sheet.png") as temporary:
            sheet.save(temporary)
    """
    path = local_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        # A full disk does not say where, and nobody knows the temporary name.
        if error.errno and error.filename in (None, str(partial)):
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only once the block has ended without an error.

    Args:
        path: the file to write. Folders above it are made.

    Example:
        with atomic_file("ranking.json") as file:
            file.write(b"{}")
    """
    with atomic_path(path) as partial, partial.open("wb") as file:
        yield file


def partial_path(path: Path) -> Path:
    """The temporary neighbour of a file, whose name ends like the file's: writers such as Pillow go by that.

    It is no longer than the file's own name if that is long, as some file systems take 255 bytes and others fewer.
    """
    start, name = f"{_PARTIAL}{os.getpid()}-", os.fsencode(path.name)
    room = max(len(name), _SHORT) - len(start)
    return path.with_name(start + (path.name if len(name) <= room else name[-room:].decode(errors="ignore")))


def is_partial(path: Path) -> bool:
    """Whether this is a file that is being written, or was when its process was killed."""
    return path.name.startswith(_PARTIAL)


def remove_partial(path: str | Path) -> None:
    """Remove what processes that were killed left of a file, or of all whose names fit, as of `run/state-*.npz`."""
    path = Path(path)
    for left in path.parent.glob(f"{_PARTIAL}*-{path.name}"):
        left.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON, lists of numbers on one line, whole or not at all, and return the path."""
    text = re.sub(
        r"\[\s+([^][{}\"]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", json.dumps(value, indent=2)
    )
    with atomic_file(path) as file:
        file.write((text + "\n").encode())
    return Path(path)
