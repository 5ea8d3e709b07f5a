"""Whether a file can be written, tried before the work whose result it is to hold."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kreid.files.atomic import partial_path
from tfrecords_tools.addresses import local_path
from tfrecords_tools.errors import ConfigError


def check_output(path: str | Path) -> Path:
    """Try to write a file, leave everything as it was, and return its path.

    Args:
        path: the file to be written later. It may be there; folders above it need not.

    Raises:
        ConfigError: where a folder or a device has that name, or a file the name of a folder above it.
        OSError: naming the path, where the system refuses: rights, a disk that is read-only, a name that is too long.
    """
    path = local_path(path)
    if path.is_dir():
        raise ConfigError(f"{path}: a folder, expected the name of a file to write")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: a device or a pipe, expected the name of a file to write")
    _try(path)
    return path


def check_folder(folder: str | Path) -> Path:
    """Try to write into a folder, which need not be there, leave everything as it was, and return its path.

    Raises:
        ConfigError: where it is a file, or there is one in place of a folder above it.
        OSError: as `check_output`.
    """
    folder = local_path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: a file, expected a folder to write into")
    try:
        _try(folder / "file")
    except OSError as error:
        error.filename = str(folder)
        raise
    return folder


def _try(path: Path) -> None:
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise ConfigError(f"{path}: cannot be written, {above} is a file, expected a folder")
    try:
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # the system looks at the length of the name
        with _folders(path.parent):
            partial = partial_path(path)
            partial.touch()
            partial.unlink()
    except OSError as error:
        error.filename = str(path)  # nobody asked for the other names
        raise


@contextlib.contextmanager
def _folders(folder: Path) -> Iterator[None]:
    """Make folders that are not there, for as long as the block runs."""
    missing = [above for above in (folder, *folder.parents) if not os.path.lexists(above)]
    made: list[Path] = []
    try:
        for above in reversed(missing):
            above.mkdir()
            made.append(above)
        yield
    finally:
        for above in reversed(made):
            with contextlib.suppress(OSError):  # another process has written there meanwhile
                above.rmdir()
