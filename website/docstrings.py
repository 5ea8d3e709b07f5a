"""Docstrings as Griffe reads them, which knows sections of its own alone."""

import re
import textwrap

# A section's name and what stands indented below it.
_SECTION = re.compile(r"^(Input shape|Output shape|Reference|Example):\n((?:    .*(?:\n|$)|\n(?=    ))+)", re.M)


def as_known(text: str) -> str:
    """A docstring with sections of ours as Griffe's, or as paragraphs that begin with their names."""
    return _SECTION.sub(lambda found: _known(found[1], found[2]), text)


def _known(name: str, indented: str) -> str:
    if name != "Example":
        return f"**{name}:** {textwrap.dedent(indented)}"
    if ">>>" in indented:
        return f"Examples:\n{indented}"
    return f"**Example:**\n\n```python\n{textwrap.dedent(indented).rstrip()}\n```\n"
