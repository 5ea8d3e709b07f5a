"""What every command shares: exit codes, one-line errors, a quiet TensorFlow, progress.

Importing it costs Typer alone.
"""

from tfrecords_tools.console.command import (
    INTERRUPTED,
    finish,
    make_app,
    note,
    parse_path,
    parse_place,
    run,
    warn,
)

__all__ = ["INTERRUPTED", "finish", "make_app", "note", "parse_path", "parse_place", "run", "warn"]
