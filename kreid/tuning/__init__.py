"""The choice of a configuration by cross-validation.

Imports Optuna, `kreid.config`, `kreid.data` and, in a process of its own, `kreid.training`.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.tuning.search import tune as tune
    from kreid.tuning.space import Space as Space
    from kreid.tuning.space import read_space as read_space

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "search": ["tune"],
        "space": ["Space", "read_space"],
    },
)
