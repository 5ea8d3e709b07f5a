"""Records read from an address by whatever file systems TensorFlow has (`gs://`), which is loaded when one is opened.

A `RemotePath` is what an address is in place of a `Path`. Files of an index are read at once, into memory; files of
records are copied, each at its first need, to where temporary files are, so that training can seek in them.
"""

import errno
import io
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath
from typing import IO, Any

from tfrecords_tools.addresses import is_address
from tfrecords_tools.errors import ConfigError, one_line

_PIECE = 8 << 20  # bytes copied at a time
_COPIES: dict[str, tuple[tuple[int, int], int]] = {}  # of files of records, as long as the process lives
_COPYING = threading.Lock()


class RemotePath(PosixPath):
    """The address of a folder of records or of a file in it: reads as a `Path` does, and writes nothing.

    Example:
        >>> RemotePath("gs://bucket/records") / "train"
        RemotePath('gs://bucket/records/train')
    """

    def __str__(self) -> str:
        scheme, *names = self.parts
        return f"{scheme}//{'/'.join(names)}"

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size, time and kind, as far as the file system tells them.

        Raises:
            OSError: naming the address, where there is nothing or it cannot be reached.
            ConfigError: TensorFlow has no such file system.
        """
        with _in_words(self) as gfile:
            found = gfile.stat(str(self))
        kind = stat.S_IFDIR if found.is_directory else stat.S_IFREG
        return os.stat_result((kind | 0o444, 0, 0, 1, 0, 0, found.length, 0, found.mtime_nsec // 10**9, 0))

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is a file or folder; raises as `stat` where that cannot be found out."""
        return self._kind() is not None

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a file; see `exists`."""
        return self._kind() == stat.S_IFREG

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder; see `exists`."""
        return self._kind() == stat.S_IFDIR

    def read_bytes(self) -> bytes:
        """Return what the file holds."""
        with _in_words(self) as gfile, gfile.GFile(str(self), "rb") as file:
            return file.read()

    # A path of the system's is overloaded by each mode, of which this has one.
    def open(self, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """Open what the file holds, in memory; `mode` has to be "rb"."""
        if mode != "rb":
            raise OSError(errno.EROFS, "an address is only read", str(self))
        return io.BytesIO(self.read_bytes())

    # Further arguments come and go with versions of Python.
    def glob(self, pattern: str, **options: Any) -> Iterator["RemotePath"]:  # type: ignore[override]
        """Yield what lies below and fits."""
        with _in_words(self) as gfile:
            yield from map(RemotePath, gfile.glob(f"{self}/{pattern}"))

    def absolute(self) -> "RemotePath":
        """Return the path as it is."""
        return self

    def resolve(self, strict: bool = False) -> "RemotePath":
        """Return the path as it is: an address knows no links."""
        return self

    def copied(self) -> int:
        """Return a descriptor of a copy of the file, for the caller to close.

        The copy lies where temporary files do, under no name, and goes with the process; a file that has changed since
        is copied anew.

        Raises:
            OSError: naming the address, where it cannot be reached, or the copy cannot be written.
        """
        with _in_words(self) as gfile:
            told = gfile.stat(str(self))
        version = (told.length, told.mtime_nsec)
        with _COPYING:
            kept = _COPIES.get(str(self))
            if kept is None or kept[0] != version:
                if kept is not None:
                    os.close(_COPIES.pop(str(self))[1])
                _COPIES[str(self)] = kept = version, self._copy()
            return os.dup(kept[1])

    def _kind(self) -> int | None:
        try:
            return stat.S_IFMT(self.stat().st_mode)
        except FileNotFoundError:
            return None

    def _copy(self) -> int:
        with tempfile.TemporaryFile(buffering=0) as copy, _in_words(self) as gfile:
            with gfile.GFile(str(self), "rb") as file:
                while piece := file.read(_PIECE):
                    _write(copy, piece)
            return os.dup(copy.fileno())


def path_of(path: str | os.PathLike) -> Path:
    """Return a path, or what stands for an address.

    Raises:
        ConfigError: an address names no bucket or host.

    Example:
        >>> path_of("gs://bucket/records"), path_of("records")
        (RemotePath('gs://bucket/records'), PosixPath('records'))
    """
    text = os.fspath(path)
    if not is_address(text):
        return Path(text)
    scheme, _, rest = text.partition("//")
    if scheme == "file:":
        raise ConfigError(f"{text}: files of this machine are given by their path; leave {scheme}// out")
    if rest.startswith("/"):  # of which a path would make two, and the first folder the host
        raise ConfigError(f"{text}: expected a bucket or a host after {scheme}//, such as {scheme}//host{rest}")
    return RemotePath(text)


def open_descriptor(path: Path) -> int:
    """Open a file to read any part of it: the file itself, or a copy of one at an address."""
    return path.copied() if isinstance(path, RemotePath) else os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _write(file: IO[bytes], data: bytes) -> None:
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        said = f"{error.strerror}: records of an address are copied to {tempfile.gettempdir()} while they are read; "
        raise OSError(error.errno, f"{said}make room, or set TMPDIR to a folder that has it") from None


@contextmanager
def _in_words(path: RemotePath) -> Iterator[Any]:
    """Give `tf.io.gfile`; errors of TensorFlow inside the block become those of a system, in one line."""
    tf = _tensorflow()
    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except tf.errors.UnimplementedError:
        raise ConfigError(
            f"{path}: this TensorFlow has no file system for {path.parts[0]}//; gs:// is part of it, others come with "
            "packages that add them; or copy the records to this machine"
        ) from None
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, f"cannot be reached, {one_line(error.message)}", str(path)) from None


def _tensorflow() -> Any:
    if "tensorflow" not in sys.modules:
        from tfrecords_tools.console.tensorflow import load_tensorflow

        load_tensorflow()
    import tensorflow as tf

    return tf
