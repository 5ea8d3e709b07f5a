"""The training of a run: its loop, its states, its failures, on one device or many.

Imports everything that learns, but no report, search, look or tuning.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.training.run import train as train

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "run": ["train"],
    },
)
