"""Lines on standard error, for a person: above the bars while some are shown, nowhere where nobody reads them.

Notes, warnings and logs all come this way, so that none of them tears a bar. No imports beyond the standard library.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

_displays: list[Callable[[str], None]] = []  # of what is drawn at the terminal's foot: how each prints a line above it


def say(text: str) -> None:
    """Print a line on standard error, if that still can be done.

    A reader that has left (`| tee` at a Ctrl-C) and a stream that is closed are no reason to stop a week's training.
    """
    with suppress(OSError, ValueError, RuntimeError):  # the last one: a signal's line within the line that it cut short
        (_displays[-1] if _displays else _print)(text)


@contextmanager
def printed_by(display: Callable[[str], None]) -> Iterator[None]:
    """Let `display` print every line while the block runs: it keeps the terminal's last rows for itself."""
    _displays.append(display)
    try:
        yield
    finally:
        _displays.remove(display)


def printable(text: str, stream: IO[str]) -> str:
    """Return the text as a stream can encode it: what it cannot, such as a file's odd name, by backslashes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _print(text: str) -> None:
    if sys.stderr is not None:  # it was closed before Python began
        print(printable(text, sys.stderr), file=sys.stderr, flush=True)
