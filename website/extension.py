"""An extension of Griffe, by which mkdocstrings reads docstrings as `website.docstrings` makes them."""

from typing import Any

import griffe

from website.docstrings import as_known


class Sections(griffe.Extension):
    """Names the sections of every docstring as Griffe does, so that examples are shown as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change one docstring; Griffe calls it for every object."""
        if obj.docstring:
            obj.docstring.value = as_known(obj.docstring.value)
