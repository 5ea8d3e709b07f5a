"""What of a conversion is finished, for one that goes on after a kill (`--resume`). No TensorFlow.

    <hidden folder>/request.json                          what was asked for, and of how many images
    <hidden folder>/finished/<file of records>.json       its size and checksum, its rows of the index, and a digest of
                                                          the images that it was made of

A file of records counts once its own file stands beside it, which is put there in one step. Both are held against what
they say before they are used: a disk may have lost what a machine without power had written last.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google_crc32c import extend

from tfrecords_tools.entry import Entry
from tfrecords_tools.errors import ConfigError, one_line
from tfrecords_tools.json_text import load_json
from tfrecords_tools.staging import find_begun, replace_text

REQUEST = "request.json"
FOLDER = "finished"
_CHUNK = 1 << 22
_LOG = logging.getLogger(__name__)


class Digest:
    """Of images: their labels, and size and time of their files, so that a change of either is noticed."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, entry: Entry) -> None:
        """Take an image, whatever size it has by its name."""
        try:
            status = os.stat(entry.path)  # noqa: PTH116  # twice as fast
            file = (status.st_size, status.st_mtime_ns)
        except OSError:
            file = None  # it is a bad image
        labels = (entry.source, *entry.thumbnail[:7], entry.split, entry.subset, entry.game, entry.camera, entry.track)
        self._hash.update(repr((labels, entry.box, entry.number, file)).encode())

    def hex(self) -> str:
        """The digest of all that was taken."""
        return self._hash.hexdigest()

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> str:
        """The digest of some images."""
        digest = cls()
        for entry in entries:
            digest.add(entry)
        return digest.hex()


class Finished:
    """The finished files of records in a hidden folder.

    Args:
        staged: the folder, see `staging.stage`.
    """

    def __init__(self, staged: Path) -> None:
        self._folder = staged / FOLDER
        self._folder.mkdir(exist_ok=True)

    def add(self, path: Path, checksum: int, source: str, rows: Mapping[str, Any]) -> None:
        """Say that a file of records is finished.

        Args:
            path: the file.
            checksum: the CRC-32C of all of it.
            source: the digest of its images.
            rows: what `Columns.since` gives of it.
        """
        told = {"bytes": path.stat().st_size, "checksum": checksum, "source": source, **rows}
        replace_text(self._folder / f"{path.name}.json", json.dumps(told))

    def rows(self, path: Path, entries: Iterable[Entry]) -> dict[str, Any] | None:
        """Return the rows of a file, None where it is not there, or not whole.

        Raises:
            ConfigError: its images have changed since.
        """
        try:
            told = load_json((self._folder / f"{path.name}.json").read_bytes())
            whole = (path.stat().st_size, _checksum(path)) == (told["bytes"], told["checksum"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if not whole:
            return None
        if told["source"] != Digest.of(entries):
            raise ConfigError(
                f"--resume: images of {path.name}, which a killed kreid-convert had finished, have changed since; "
                "convert without it, from the start"
            )
        return told

    def bytes(self) -> int:
        """How much of the disk finished files take already, by what they say."""
        return sum(path.stat().st_size for path in self._folder.parent.glob("*/*.tfrecord"))


def begin(staged: Path, request: Mapping[str, Any]) -> Finished:
    """Write down what is asked for, where nothing is yet, and return what is finished."""
    if not (staged / REQUEST).exists():
        replace_text(staged / REQUEST, json.dumps(request))
    return Finished(staged)


def find_resumable(out: Path, request: Mapping[str, Any]) -> Path | None:
    """Return the hidden folder of a killed run to go on from, None where there is none.

    Raises:
        ConfigError: something else was asked of it; says what.
    """
    for staged in find_begun(out):
        try:
            before = dict(load_json((staged / REQUEST).read_bytes()))
        except (OSError, ValueError, TypeError):
            continue  # killed before it began
        for name, value in request.items():
            if before.get(name) != value:
                raise ConfigError(
                    f"--resume: the killed kreid-convert had {name} {one_line(before.get(name))}, and now it is "
                    f"{one_line(value)}; ask for the same, or convert without it, from the start"
                )
        return staged
    _LOG.warning("%s: nothing is left of a killed kreid-convert to go on from; it begins at the start", out)
    return None


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum = extend(checksum, chunk)
    return checksum
