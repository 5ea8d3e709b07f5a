"""One at a time in a folder: a lock that the system lets go of when its process ends, however that ends."""

import errno
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tfrecords_tools.errors import ConfigError, one_line
from tfrecords_tools.json_text import load_json

LOCK_NAME = ".kreid.lock"  # in the folder; what asks whether a folder is empty leaves it out of account
# What `flock` fails with where the file system has no locks, as some network folders have none.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)
_POLL = 0.2  # seconds between two tries of one who waits
_LOG = logging.getLogger(__name__)


@contextmanager
def lock_folder(folder: str | os.PathLike, program: str, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder; nobody else holds it meanwhile, in this process or another. Gives whether it is held.

    The lock is the system's own (`flock`) on a hidden file, so that one of a killed process holds nobody up. On network
    folders it counts on all machines that mount them, as far as the server passes locks on. Where a file system has no
    locks, the block runs without, after a warning: it is given False.

    Args:
        folder: the folder; made where it is not there.
        program: who locks, for the message of the second one, such as "kreid-convert".
        wait: wait for the other, after a line that says so.

    Raises:
        ConfigError: where another is at work in the folder; it says who.
        OSError: where the folder cannot be written.

    Example:
        >>> with lock_folder("records", "kreid-convert"):
        ...     ...
    """
    folder = Path(folder)
    path = folder / LOCK_NAME
    lock = FileLock(
        path, thread_local=False, fallback_to_soft=False, preserve_lock_file=True, on_acquired=_Signature(program)
    )
    held = _acquire(lock, folder, wait)
    try:
        yield held
    finally:
        try:
            # While it is still held: whoever has opened this file meanwhile sees that it is gone, and makes another.
            if held:
                path.unlink(missing_ok=True)
        except OSError:
            pass  # the folder may be written no longer; the file alone holds nobody up
        finally:
            lock.release()


def _acquire(lock: FileLock, folder: Path, wait: bool) -> bool:
    """Take the lock; return false where the file system has none."""
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise ConfigError(
                    f"{folder}: another {_holder(folder)} is at work in this folder; wait for it, or give another"
                ) from None
            _LOG.warning("%s: waiting for another %s, which is at work in this folder", folder, _holder(folder))
            _wait(lock, folder)
    except Timeout:
        raise
    except OSError as error:
        if error.errno in _NO_LOCKS:
            _LOG.warning(
                "%s: its file system has no locks (%s); see to it that nothing else is at work there",
                folder, error.strerror,
            )  # fmt: skip
            return False
        if not os.path.lexists(folder / LOCK_NAME):  # the folder cannot be written; nobody asked for that file
            error.filename = str(folder)
        raise
    return True


def _wait(lock: FileLock, folder: Path) -> None:
    """Take the lock when the other lets go of it, who may have removed the folder with it."""
    while True:
        try:
            lock.acquire(poll_interval=_POLL)
        except FileNotFoundError:
            if folder.is_dir():
                raise
        else:
            return


class _Signature:
    """Writes into the file of a lock, once it is held, who holds it."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, descriptor: int) -> None:
        said = {"program": self.program, "process": os.getpid(), "host": socket.gethostname()}
        with suppress(OSError):  # a full disk; the lock is held without it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(said).encode(), 0)


def _holder(folder: Path) -> str:
    """Who holds the lock, as far as its file says."""
    try:
        said = load_json((folder / LOCK_NAME).read_bytes())
        return one_line(f"{said['program']} (process {said['process']} on {said['host']})")
    except (OSError, ValueError, LookupError, TypeError):
        return "process"
