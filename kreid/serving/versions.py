"""A folder of a model's versions, `1`, `2` and so on, as TensorFlow Serving polls it."""

import errno
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from kreid.errors import ConfigError
from kreid.serving.formats import FILES
from tfrecords_tools.locks import lock_folder

_PARTIAL = ".partial-"
_PATTERN = "[]*?\\"  # TensorFlow takes the path of a SavedModel's variables for a pattern


def check_versions(out: str | Path) -> Path:
    """Return a folder for versions; complain where there can be none, or TensorFlow could not load them from there.

    Raises:
        ConfigError: where it is a file, or would be named as a file of another format; where a name on the way to it
            has one of the characters of patterns.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out {out}: is a file; give a folder for versions")
    for line in FILES.values():
        if out.suffix == line.suffix and not out.exists():
            raise ConfigError(f"out {out}: is a name of {line.name}; give that format, or a folder for versions")
    strange = [character for character in _PATTERN if character in str(out.resolve())]
    if strange:
        raise ConfigError(
            f"out {out}: TensorFlow cannot load a model from a path with {' '.join(strange)} in it, which is "
            f"{out.resolve()}; give another folder"
        )
    return out


def write_version(out: str | Path, write: Callable[[Path], object]) -> Path:
    """Have the next version written into a hidden folder beside the others, then give it its number.

    A server that polls `out` never sees half a version. One process at a time is at work there, the next one waits;
    hence whatever is half-written is of a process that is dead, and removed.

    Args:
        out: the folder of versions, made where it is not there.
        write: gets the hidden folder.

    Returns:
        The version's folder.

    Example:
        >>> write_version("serving", lambda folder: shutil.copy("saved_model.pb", folder))
    """
    out = check_versions(out)
    with lock_folder(out, "kreid-export", wait=True) as locked:
        for left in out.glob(f"{_PARTIAL}*") if locked else ():  # else they may be of one who is at work
            shutil.rmtree(left, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=out))
        try:
            write(partial)
            partial.chmod(0o755)
            return _publish(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, out: Path) -> Path:
    """Give a folder the next number; where there are no locks, another may take it between the look and the name."""
    number = _next_number(out)
    while True:
        try:
            return partial.rename(out / str(number))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            number += 1


def _next_number(out: Path) -> int:
    return 1 + max((int(path.name) for path in out.iterdir() if path.name.isdecimal()), default=0)
