"""One page to look at a ranking with: `kreid.report(...)` is `write_report(...)`.

Imports TensorFlow, `kreid.errors`, `kreid.data`, `kreid.ranking`, `kreid.pictures`, `kreid.pages` and `kreid.look`.

Example:
    >>> page = kreid.report(kreid.rank(embeddings), "records/test", "report.html", "demo, test")
    >>> page.name
    'report.html'
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

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


class _Report(ModuleType):
    """This package, which can be called: a function of its name beside it would be whichever was asked for last."""

    def __call__(
        self, ranking: Any, records: str | Path, path: str | Path, title: str = "Ranking", **options: Any
    ) -> Path:
        """Write a ranking, from `kreid.rank`, as one HTML file: see `kreid.report.write_report`."""
        from kreid.report.write import write_report

        return write_report(ranking, records, path, title, **options)


sys.modules[__name__].__class__ = _Report
