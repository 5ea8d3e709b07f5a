"""Zip archives whose every damage is one error that names the file."""

import zipfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tfrecords_tools.arrays import DAMAGE
from tfrecords_tools.errors import one_line


class Archive:
    """A zip archive that is open for reading; use it in a `with` statement.

    Args:
        path: of the file.

    Raises:
        ValueError: where the archive's list of members is cut off or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except DAMAGE as error:
            raise ValueError(
                f"{path}: a zip archive that is cut short or damaged: {one_line(error)}; get the file again"
            ) from None
        self.sizes = {info.filename: info.file_size for info in self._zip.infolist()}

    def read(self, name: str) -> bytes:
        """Return a member's bytes, checked against their checksum.

        Args:
            name: one of `sizes`, which are in bytes.

        Raises:
            ValueError: where the member is absent or damaged.
        """
        try:
            return self._zip.read(name)
        except DAMAGE as error:
            raise ValueError(f"{self.path}: damaged zip archive: {one_line(error)}; get the file again") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
