"""Tables of Markdown."""

import re
from collections.abc import Iterable, Sequence

_PARTS = re.compile(r"(`[^`]*`)|((?<![\w/-])(?:--[a-z][\w-]*|kreid-[a-z]+\b(?!-)))|([<*_])")
_SIGNS = {"<": "&lt;", "*": r"\*", "_": r"\_"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown, see `cell`."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """A text of several lines, or with bars, as a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def plain(text: str) -> str:
    """A text that holds the signs of Markdown and HTML as themselves, but for its `code`; options are such, too."""

    def shown(found: re.Match[str]) -> str:
        code, name, sign = found.groups()
        return code or (f"`{name}`" if name else _SIGNS[sign])

    return _PARTS.sub(shown, text)
