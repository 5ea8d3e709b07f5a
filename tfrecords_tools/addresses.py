"""What is an address, such as `gs://bucket/records`, and no path on this machine. The standard library alone.

`Path` makes one slash of an address's two; whatever takes a path from a user asks here first.
"""

import os
import re
from pathlib import Path

from tfrecords_tools.errors import ConfigError


def is_address(text: str) -> bool:
    """Whether this is the address of a file system elsewhere.

    Example:
        >>> is_address("gs://bucket/records"), is_address("records/train")
        (True, False)
    """
    return re.match(r"[a-z][a-z0-9+.-]+://", text) is not None


def local_path(path: str | os.PathLike) -> Path:
    """Return the path of something that is written, or read, on this machine alone.

    Raises:
        ConfigError: for an address.
    """
    if is_address(os.fspath(path)):
        raise ConfigError(f"{path}: an address, expected a path on this machine; of addresses, only records are read")
    return Path(path)


def as_path(path: str | os.PathLike) -> Path:
    """Return a `Path` as it is, so that a `remote.RemotePath` goes on reading by itself, and a text as a local path.

    For modules that must not know TensorFlow; all others take `remote.path_of`.

    Raises:
        ConfigError: for an address in a text.
    """
    return path if isinstance(path, Path) else local_path(path)
