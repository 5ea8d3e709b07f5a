"""Files of vectors with what belongs to each: `.npz`, or Parquet, for which pyarrow is there. `docs/formats.md`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kreid.errors import ConfigError
from kreid.files.atomic import atomic_file
from kreid.files.parquet import write_parquet
from tfrecords_tools.arrays import write_arrays

SUFFIXES = (".npz", ".parquet")


def check_suffix(name: str, path: Path) -> None:
    """Raise ConfigError unless a file of this name can be written.

    Args:
        name: of the argument, for messages.
        path: the file.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{name} {path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            message = f"{name} {path}: pyarrow is not installed; pip install 'kreid[parquet]', or write a .npz"
            raise ConfigError(message) from None


def write_vectors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the file, whole or not at all.

    Args:
        path: `.npz`, with every array under its name, or `.parquet`, with a row an image.
        arrays: `vectors` `(N, D)` float32, others of N values, and single values, which are Parquet's metadata.

    Raises:
        OSError: where it cannot be written.
    """
    with atomic_file(path) as file:
        (write_parquet if path.suffix == ".parquet" else write_arrays)(file, arrays)
