"""What is wrong with a built site: links and anchors that lead nowhere, and what a page would fetch from elsewhere."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

# Attributes by which a page fetches something when it is opened; a link that a reader may follow is none.
_FETCHED = {"src", "srcset", "data", "poster"}


class Fault(NamedTuple):
    """Something wrong with a page."""

    page: Path
    what: str

    def __str__(self) -> str:
        return f"{self.page}: {self.what}"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the tag is called, leads to and fetches."""
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(given.get("href", ""))
        elif tag == "a":
            if "name" in given:
                self.ids.append(given["name"])
            if "href" in given:
                self.links.append(given["href"])
        self.fetched += [given[name] for name in _FETCHED & given.keys()]


def faults(site: Path) -> list[Fault]:
    """Everything wrong with the pages of a site, page by page.

    Args:
        site: the folder that was built.
    """
    site = site.resolve()
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    return [Fault(path.relative_to(site), what) for path, page in pages.items() for what in _faults(site, path, pages)]


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _faults(site: Path, path: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    page = pages[path]
    for target in page.fetched:
        parts = urlsplit(target)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            yield f"fetches {target} when it is opened"
        elif parts.path and not _file(site, path, parts.path).exists():
            yield f"fetches {target}, which is not there"
    for target in page.links:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        end = _file(site, path, parts.path) if parts.path else path
        if not end.exists():
            yield f"leads to {target}, which is not there"
        elif parts.fragment and end in pages and unquote(parts.fragment) not in pages[end].ids:
            yield f"leads to {target}, an anchor that is not there"
    twice = sorted({name for name in page.ids if page.ids.count(name) > 1})
    if twice:
        yield f"has the anchor {twice[0]} twice"


def _file(site: Path, page: Path, path: str) -> Path:
    """The file that a path on a page means; one from the root, as of the page for what is not found, the site's."""
    end = ((site if path.startswith("/") else page.parent) / unquote(path).lstrip("/")).resolve()
    return end / "index.html" if end.is_dir() else end
