"""Docstrings as Griffe reads them, which knows sections of its own alone."""

import re
import textwrap

# `Input shape:` and what stands indented below it; such a section is a paragraph that begins with its name.
_OWN = re.compile(r"^(Input shape|Output shape|Reference):\n((?:    .*(?:\n|$)|\n(?=    ))+)", re.M)


def as_known(text: str) -> str:
    """A docstring with `Example:` as Griffe calls it, `Examples:`, and other sections of ours as paragraphs."""
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.M)
    return _OWN.sub(lambda found: f"**{found[1]}:** {textwrap.dedent(found[2])}", text)
