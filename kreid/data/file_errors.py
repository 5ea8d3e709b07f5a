"""What TensorFlow says of files it cannot write, in the words of everything else that writes files."""

import errno
import os
from pathlib import Path

import tensorflow as tf


def as_os_error(error: tf.errors.OpError, path: str | Path) -> OSError:
    """Return the error of the system that TensorFlow met, with a file that the user knows.

    Args:
        error: TensorFlow's, whose message ends in the system's, behind names of files and operations.
        path: what was to be written.
    """
    known = {os.strerror(code): code for code in errno.errorcode}
    said = str(error)
    reason = max((text for text in known if text in said), key=len, default=None)
    if reason is None:
        lines = said.splitlines() or [""]
        return OSError(errno.EIO, lines[0].rpartition("}} ")[2].rpartition("; ")[2][:200] or "not written", str(path))
    return OSError(known[reason], reason, str(path))
