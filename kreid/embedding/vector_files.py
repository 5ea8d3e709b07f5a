"""Files of vectors with what belongs to each: `.npz`, or Parquet, for which pyarrow is there. `docs/formats.md`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kreid.errors import ConfigError
from kreid.files.atomic import atomic_path
from tfrecords_tools.arrays import write_arrays

SUFFIXES = (".npz", ".parquet")
_SCHEMA = {"kreid": "vectors 1"}  # of Parquet's own metadata: a second form would get another number


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
    with atomic_path(path) as partial:
        if path.suffix == ".parquet":
            _write_parquet(partial, arrays)
        else:
            write_arrays(partial, arrays)


def _write_parquet(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    import pyarrow
    import pyarrow.parquet

    columns, about = {}, dict(_SCHEMA)
    for name, array in arrays.items():
        if array.ndim == 0:
            about[name] = str(array)
        elif array.ndim == 2:
            columns[name] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(array.reshape(-1)), array.shape[1])
        elif array.dtype.kind == "U":  # Parquet's text is UTF-8, a file's name need not be
            names = [str(value).encode("utf-8", "backslashreplace").decode() for value in array]
            columns[name] = pyarrow.array(names, pyarrow.string())
        else:
            columns[name] = pyarrow.array(array)
    pyarrow.parquet.write_table(pyarrow.table(columns, metadata=about), path)
