"""Files by their address, wherever they lie: a path on this machine, or what Beam's file systems open (`gs://`, `s3://`).

A path stays a `Path`. An `Address` has what the converter asks of a path: its text, and to be opened.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfrecords_tools.addresses import is_address

_LABELS = (".json", ".csv", ".txt", ".ini")  # files that sources read; of all others they read the names


class UnreachableError(RuntimeError):
    """A file could not be opened or read: work to be tried again, where an `OSError` would stand for a bad image."""


@dataclass(frozen=True)
class Address:
    """A file or folder that Beam's file systems reach.

    Args:
        text: the address, such as `gs://bucket/records`.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, name: str) -> "Address":
        return Address(f"{self.text}/{name}")

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.text.rpartition("/")[2]

    def open(self, mode: str, buffering: int = -1) -> BinaryIO:
        """Open the file; `mode` is "rb", or one that writes, and replaces what is there.

        Raises:
            UnreachableError: where that fails.
        """
        act = FileSystems.open if mode == "rb" else FileSystems.create
        try:
            return cast(BinaryIO, _Stream(self.text, act(self.text, compression_type=CompressionTypes.UNCOMPRESSED)))
        except Exception as error:  # each file system raises its own
            raise UnreachableError(f"{self.text}: {error}") from error

    def unlink(self, missing_ok: bool = False) -> None:
        """Leave the file, which `open` replaces."""


class _Stream:
    """An open file whose errors are `UnreachableError`."""

    def __init__(self, text: str, file: Any) -> None:
        self._text, self._file = text, file

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def readall(self) -> bytes:
        return self._try(self._file.read)

    def read(self, size: int = -1) -> bytes:
        return self._try(self._file.read, size)

    def write(self, data: bytes) -> int:
        self._try(self._file.write, data)
        return len(data)

    def close(self) -> None:
        self._try(self._file.close)

    def _try(self, act: Callable[..., Any], *arguments: object) -> Any:
        try:
            return act(*arguments)
        except Exception as error:
            raise UnreachableError(f"{self._text}: {error}") from error


def place_of(address: str) -> Path:
    """Return what can be opened; an `Address` is given out as the path that it stands for."""
    return cast(Path, Address(address.rstrip("/"))) if is_address(address) else Path(address)


def exists(place: Path) -> bool:
    """Whether there is such a file.

    Raises:
        UnreachableError: where the file system cannot be asked.
    """
    try:
        return bool(FileSystems.exists(str(place)))
    except Exception as error:
        raise UnreachableError(f"{place}: {error}") from error


def read(place: Path) -> bytes:
    """Return the bytes of a file."""
    with place.open("rb") as file:
        return file.read()


def write(place: Path, data: bytes) -> None:
    """Write a file, and on this machine the folders above it."""
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        file.write(data)


def files_below(address: str) -> list[str]:
    """Return the addresses of all files in a folder and those below it, sorted.

    Raises:
        ValueError: where there are none, or the file system cannot be asked.
    """
    try:
        (found,) = FileSystems.match([f"{address.rstrip('/')}/**"])
    except Exception as error:
        raise ValueError(f"{address}: cannot be listed ({error})") from None
    if not found.metadata_list:
        raise ValueError(f"{address}: no files here; expected a folder that Beam's file systems can list")
    return sorted(each.path for each in found.metadata_list)


@contextmanager
def tree_of(address: str) -> Iterator[Path]:
    """Give a folder for sources to list: the folder itself, or one that stands for an address for as long as needed.

    The latter has its files' names and, of label files, what is in them; sources read no more than that.

    Raises:
        ValueError: from the block, naming what is wrong by its address.
    """
    if not is_address(address):
        yield Path(address)
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for text in files_below(address):
            copy = tree / text[len(address.rstrip("/")) + 1 :]
            copy.parent.mkdir(parents=True, exist_ok=True)
            if copy.suffix in _LABELS:
                with Address(text).open("rb") as source, copy.open("wb") as file:
                    shutil.copyfileobj(source, file)
            else:
                copy.touch()
        try:
            yield tree
        except ValueError as error:
            raise type(error)(str(error).replace(folder, address.rstrip("/"))) from None
