"""Keras's `.weights.h5` in memory: the bytes are checked before HDF5 opens them, and written without HDF5.

HDF5 writes wherever and whenever it likes, and ends the process where the disk has no room for that.
"""

import io
import warnings
from typing import TYPE_CHECKING

from kreid.weights.keras_files import DAMAGE
from tfrecords_tools.errors import one_line

if TYPE_CHECKING:
    import keras


class _Named(io.BytesIO):
    """Bytes with a name: Keras tells a file's format by its name, and takes `BytesIO` for the file itself."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def to_bytes(model: "keras.Model") -> bytes:
    """Return what `model.save_weights` writes to a `.weights.h5` file."""
    file = _Named()
    model.save_weights(file)
    return file.getvalue()


def from_bytes(model: "keras.Model", content: bytes) -> None:
    """Load what `to_bytes` returned, or a file of Keras's own held.

    Args:
        model: built.
        content: of a `.weights.h5` file.

    Raises:
        ValueError: in one line, where they are no weights of the model; it may have taken some of them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras lists every variable that does not fit
            model.load_weights(_Named(content))
    except DAMAGE as error:
        raise ValueError(one_line(error)) from None
