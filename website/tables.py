"""Tables of Markdown."""

import re
from collections.abc import Iterable, Sequence

_SIGNS = {"<": "&lt;", "*": r"\*", "_": r"\_"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown, see `cell`."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """A text of several lines, or with bars, as a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def plain(text: str) -> str:
    """A text that holds the signs of Markdown and HTML as themselves, but for its `code`."""
    return re.sub(r"(`[^`]*`)|([<*_])", lambda found: found[1] or _SIGNS[found[2]], text)
