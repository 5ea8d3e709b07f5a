"""A page that shows what a search found: each query with its nearest crops and their distances; no script at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from kreid.pages.markup import BUDGET, brief, fill, fill_page, plain, within
from kreid.pictures.shown import Picture, pictures
from kreid.search.results import Results

_HEIGHT, _QUERY_HEIGHT = 112, 160  # pixels


class _Crop(NamedTuple):
    """A crop as `card.html` shows it: its picture, or why there is none; the last part of its name, and all of it."""

    picture: Picture | str
    caption: str
    name: str


def search_page(results: Results, budget: int = BUDGET) -> Iterator[str]:
    """Yield the page, piece by piece.

    Args:
        results: what was found.
        budget: bytes that pictures may take; queries beyond are left out, and the page says so.
    """
    cards = within(_cards(results), budget)
    return fill_page(
        "search.html",
        ("page.css", "search.css"),
        (),
        title=plain(results.title),
        counts=_counts(results),
        notes=_notes(results, len(cards)),
        cards=cards,
    )


def _cards(results: Results) -> Iterator[Markup]:
    query_picture = pictures(results.queries.picture, _QUERY_HEIGHT, 1)
    picture = pictures(results.gallery.picture, _HEIGHT, 4096)
    for row, (query, found) in enumerate(results.rows()):
        places = zip(results.places(row), found, strict=True)
        yield fill(
            "card.html",
            label=f"Query {row + 1}",
            query=_crop(query_picture(row), query),
            found=[(_crop(picture(index), name), brief(distance)) for (index, _), (name, distance) in places],
        )


_SHORTENED = (
    "To keep this file small, it shows the first {:,} of {:,} queries; write the results to a .json or .csv file to "
    "have them all."
)


_LEFT_OUT = "{:,} of the queries are crops of the gallery too: each is left out of its own results."


def _notes(results: Results, shown: int) -> list[str]:
    total = len(results.queries)
    notes = [_LEFT_OUT.format(results.left_out)] if results.left_out else []
    return [*notes, _SHORTENED.format(shown, total)] if shown < total else notes


def _counts(results: Results) -> str:
    queries, width = results.found.index.shape
    nearest = f"the nearest {width:,}" if width > 1 else "the nearest"
    return (
        f"{queries:,} {'query' if queries == 1 else 'queries'} · {nearest} of {len(results.gallery):,} crops · "
        f"{results.metric} distance"
    )


def _crop(picture: Picture | str, name: str) -> _Crop:
    """A file shows its own name, a crop of records what it is there."""
    return _Crop(picture, plain(Path(name).name.rpartition(": ")[2]), plain(name))
