"""What a search found, as a JSON, CSV or HTML file by the ending of its name."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from kreid.errors import ConfigError
from kreid.files.atomic import atomic_file
from kreid.search.page import search_page
from kreid.search.results import Results

ENDINGS = (".html", ".json", ".csv")


def check_ending(path: Path) -> None:
    """Raise ConfigError unless `path` ends in one of `ENDINGS`."""
    if path.suffix not in ENDINGS:
        raise ConfigError(f"{path}: expected a name that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")


def write_results(results: Results, path: str | Path) -> Path:
    """Write the results, whole or not at all.

    Args:
        results: what was found.
        path: `.json`: {"metric": ..., "gallery": size, "queries": [{"query": name, "ranking": [{"image": name,
            "distance": number}, ...]}, ...]}, a query a line; `.csv`: query, place, image, distance, a place a line;
            `.html`: a page to look at, see `kreid.search.page`.

    Returns:
        The path written.

    Raises:
        ConfigError: for another ending.
    """
    path = Path(path)
    check_ending(path)
    if path.suffix == ".html":
        pieces = search_page(results)
    else:
        pieces = _json(results) if path.suffix == ".json" else _csv(results)
    with atomic_file(path) as file:
        for piece in pieces:
            # A file name that is not UTF-8 keeps its bytes in CSV; JSON and HTML are ASCII there.
            file.write(piece.encode("utf-8", "surrogateescape"))
    return path


def _json(results: Results) -> Iterator[str]:
    yield f'{{"metric": {json.dumps(results.metric)}, "gallery": {len(results.gallery)}, "queries": ['
    separator = "\n"
    for query, found in results.rows():
        ranking = [{"image": name, "distance": distance} for name, distance in found]
        yield separator + json.dumps({"query": query, "ranking": ranking})
        separator = ",\n"
    yield "\n]}\n"


def _csv(results: Results) -> Iterator[str]:
    yield "query,place,image,distance\r\n"
    for query, found in results.rows():
        text = io.StringIO(newline="")
        csv.writer(text).writerows((query, place, *one) for place, one in enumerate(found, start=1))
        yield text.getvalue()
