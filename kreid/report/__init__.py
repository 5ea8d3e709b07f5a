"""Write a ranking as one HTML page: `kreid.report(ranking, records, path, title="Ranking", **options) -> Path`.

This package is called as a function, which is `kreid.report.write_report`.

Args:
    ranking: what `kreid.rank` returned.
    records: the split's record folder, such as `records/test`, for thumbnails, roles and heights.
    path: the file; its name ends in `.html` or `.htm`.
    title: the page's heading, such as the run and the split.
    **options: `figures`, `curve`, `limit`, `paper_row`, `look`, `progress` and `budget`, by name; what they are says
        `help(kreid.report.write_report)`.

Returns:
    The path written.

Raises:
    ValueError: the records are not those that were ranked, an image cannot be decoded, or an argument makes no sense.

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
