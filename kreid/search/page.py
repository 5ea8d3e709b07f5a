"""A page that shows what a search found: each query with its nearest crops and their distances; no script at all."""

import base64
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape
from io import BytesIO
from pathlib import Path

from kreid.pages.markup import element, fill, notes
from kreid.pictures.thumbnails import WEBP, shrink
from kreid.search.results import Results

BUDGET = 30_000_000  # bytes of pictures in a file, as in a report
_HEIGHT, _QUERY_HEIGHT = 112, 160  # pixels


def search_page(results: Results, budget: int = BUDGET) -> Iterator[str]:
    """Yield the page, piece by piece.

    Args:
        results: what was found.
        budget: bytes that pictures may take; queries beyond are left out, and the page says so.
    """
    cards, used, total = [], 0, len(results.queries)
    query_picture = _pictures(results.queries.picture, _QUERY_HEIGHT, 1)
    picture = _pictures(results.gallery.picture, _HEIGHT, 4096)
    for row, (query, found) in enumerate(results.rows()):
        shown = element("div", query_picture(row) + _caption(query), class_="query")
        places = zip(results.found.index[row].tolist(), found, strict=True)
        cells = (
            element("li", picture(index) + element("b", _brief(distance)) + _caption(name))
            for index, (name, distance) in places
        )
        card = element("article", shown + element("ol", "".join(cells)), class_="card", aria_label=f"Query {row + 1}")
        used += len(card)
        if cards and used > budget:
            break
        cards.append(card)
    parts = {
        "title": _text(results.title),
        "counts": escape(_counts(results)),
        "notes": notes([_SHORTENED.format(len(cards), total)] if len(cards) < total else []),
    }
    yield fill("search.html", ("page.css", "search.css"), (), parts)
    yield from cards
    yield "</main>\n</body>\n</html>\n"


_SHORTENED = (
    "To keep this file small, it shows the first {:,} of {:,} queries; write the results to a .json or .csv file to "
    "have them all."
)


def _counts(results: Results) -> str:
    queries, width = results.found.index.shape
    nearest = f"the nearest {width:,}" if width > 1 else "the nearest"
    return (
        f"{queries:,} {'query' if queries == 1 else 'queries'} · {nearest} of {len(results.gallery):,} crops · "
        f"{results.metric} distance"
    )


def _caption(name: str) -> str:
    """The last part in sight, a file's own name or what it is in its records, and all of it in a tip."""
    return element("span", _text(Path(name).name.rpartition(": ")[2]), class_="name", title=_plain(name))


def _brief(distance: float) -> str:
    return f"{distance:.0f}" if distance >= 100 else f"{distance:#.3g}"


def _text(text: str) -> str:
    return escape(_plain(text))


def _plain(text: str) -> str:
    """A name that is not UTF-8 appears with backslash escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _pictures(read: Callable[[int], bytes | None], height: int, kept: int) -> Callable[[int], str]:
    """Return a function from a row to its picture's markup, which keeps the last ones."""

    @lru_cache(maxsize=kept)
    def picture(row: int) -> str:
        encoded = read(row)
        if encoded is None:
            return element("div", "no picture", class_="none")
        try:
            small = shrink(encoded, height, f"crop {row}")
        except ValueError:  # such as a file that another one has replaced since it was embedded
            return element("div", "no readable picture", class_="none")
        file = BytesIO()
        small.save(file, **WEBP)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        size = f'width="{small.width}" height="{small.height}"'
        return f'<img src="data:image/webp;base64,{data}" alt="" {size}>'

    return picture
