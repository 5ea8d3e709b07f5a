"""A terminal to write to, and what a person sees on it in the end; a clock that stands still until it is moved."""

import io
import re

from rich.console import Console

_STEP = re.compile(r"\x1b\[\?25[lh]|\x1b\[(\d*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+|\x1b)")


class Clock:
    """Gives the seconds that it was set to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def terminal(file=None, width=100):
    """A console that takes `file` for a terminal."""
    return Console(file=file or io.StringIO(), force_terminal=True, force_interactive=True, width=width, markup=False,
                   highlight=False, color_system=None)  # fmt: skip


def screen(console):
    """The lines that a terminal shows after everything a console wrote, without blanks at their ends."""
    lines, row, column = [""], 0, 0
    for number, code, move, text in _STEP.findall(console.file.getvalue()):
        if code == "A":
            row -= int(number or 1)
        elif code == "K":
            lines[row] = ""
        elif move == "\r":
            column = 0
        elif move == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines[: row + 1]]
