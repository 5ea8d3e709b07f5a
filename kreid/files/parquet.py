"""Vectors as Parquet, a row an image, in one schema wherever they are made. Imports pyarrow where it is asked for.

    vectors   fixed_size_list<float>[D], of length one
    path      string: of image files; what is no UTF-8 by backslashes
    person, action, bbox   int64, is_query bool: of records

The file's metadata has `kreid` = `vectors 1`, another form would get another number; `network` and `flip` beside it say
what made the vectors.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

_SCHEMA = "vectors 1"


def write_parquet(file: BinaryIO, arrays: "Mapping[str, np.ndarray]") -> None:
    """Write arrays to an open file; equal arrays give equal bytes by one version of pyarrow.

    Args:
        file: open for writing.
        arrays: `vectors` `(N, D)` float32 and others of N values become columns; single values become metadata.

    Example:
        >>> with open("vectors.parquet", "wb") as file:
        ...     write_parquet(file, {"vectors": vectors, "path": paths, "network": np.array(digest)})
    """
    import pyarrow
    import pyarrow.parquet

    columns = {name: _column(pyarrow, array) for name, array in arrays.items() if array.ndim}
    told = {name: str(array.item()) for name, array in arrays.items() if not array.ndim}
    pyarrow.parquet.write_table(pyarrow.table(columns, metadata={"kreid": _SCHEMA, **told}), file)


def _column(pyarrow: Any, array: "np.ndarray") -> Any:
    if array.ndim == 2:
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(array.reshape(-1)), array.shape[1])
    if array.dtype.kind == "U":  # a file's name need not be UTF-8, Parquet's text is
        names = [str(value).encode("utf-8", "backslashreplace").decode() for value in array]
        return pyarrow.array(names, pyarrow.string())
    return pyarrow.array(array)
