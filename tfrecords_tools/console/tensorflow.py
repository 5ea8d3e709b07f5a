"""TensorFlow's own words on standard error, when it is imported and when it looks for GPUs."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Said by C++ before its logging obeys TF_CPP_MIN_LOG_LEVEL, on machines without a GPU or with oneDNN.
_NOISE = (
    b"All log messages before absl::InitializeLog()",
    b"cudart_stub.cc",
    b"failed call to cuInit",
    b"oneDNN custom operations are on",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop the lines that TensorFlow prints on a machine without a GPU; every other line appears at the end.

    For the import, and for the first look at the devices. Works on the file descriptor, as C++ writes there.

    Example:
        >>> with quiet():
        ...     import tensorflow as tf
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed: nothing can be said on it
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            lines = [line for line in said if not any(noise in line for noise in _NOISE)]
            if lines:
                os.write(2, b"".join(lines))


def load_tensorflow() -> None:
    """Import TensorFlow without its lines about GPUs that are not there; commands do so once arguments are checked."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
