"""Files that are there whole or not at all. Imports the standard library alone."""

from kreid.files.atomic import atomic_file, atomic_path, is_partial, remove_partial, write_json

__all__ = ["atomic_file", "atomic_path", "is_partial", "remove_partial", "write_json"]
