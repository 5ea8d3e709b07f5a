"""Files that are there whole or not at all; vectors as Parquet.

Imports the standard library and `tfrecords_tools.errors`; `parquet` pyarrow where it is asked for.
"""

from kreid.files.atomic import atomic_file, atomic_path, is_partial, remove_partial, write_json
from kreid.files.trial import check_folder, check_output

__all__ = [
    "atomic_file",
    "atomic_path",
    "check_folder",
    "check_output",
    "is_partial",
    "remove_partial",
    "write_json",
]
