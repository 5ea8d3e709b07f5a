"""One page to look at a ranking with.

Imports TensorFlow, `kreid.data`, `kreid.ranking`, `kreid.pictures`, `kreid.pages` and `kreid.look`.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from kreid.report.data import Look as Look
    from kreid.report.looks import pair_looks as pair_looks
    from kreid.report.write import write_report as write_report

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data": ["Look"],
        "looks": ["pair_looks"],
        "write": ["write_report"],
    },
)
