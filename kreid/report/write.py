"""One page to look at a ranking with: figures, charts, and every query with its ranked gallery, in one file.

The page needs no network and no server. Whatever comes from records stands in it as escaped text or escaped JSON, and a
Content-Security-Policy lets nothing run but the page's own script.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kreid.data.records import find_records
from kreid.errors import ConfigError, check_function, check_kind, check_number, check_path, received
from kreid.files.atomic import atomic_file
from kreid.pages.markup import BUDGET
from kreid.ranking.figures import QueryFigures
from kreid.ranking.lists import Ranking
from kreid.ranking.verification import Curve, roc_of_ranking
from kreid.report.data import Looker, looks, page_data
from kreid.report.figures import check_paper_row, hardest_first, score
from kreid.report.images import choose_height, collect
from kreid.report.page import assemble
from kreid.types import PaperRow, Progress
from tfrecords_tools.index import Index, read_index

SUFFIXES = (".html", ".htm")


def write_report(
    ranking: Ranking,
    records: str | Path,
    path: str | Path,
    title: str = "Ranking",
    *,
    figures: QueryFigures | None = None,
    curve: Curve | None = None,
    limit: int | None = None,
    paper_row: PaperRow | None = None,
    look: Looker | None = None,
    progress: Progress | None = None,
    budget: int = BUDGET,
) -> Path:
    """Write a ranking as one HTML file that a person opens in a browser, whole or not at all.

    With known labels the page shows scores; where they are withheld (challenge) it shows the rankings alone.

    Args:
        ranking: what `rank` returned; of large actions the nearest few of each query.
        records: the split's record folder, for thumbnails, roles, jerseys and heights.
        path: the file; its name ends in `.html` or `.htm`.
        title: the page's heading, such as the run and the split.
        figures: of the same queries, in the same order, from `figures_of`; needed, where labels are known, beside lists
            that were cut, and computed here from whole ones.
        curve: what the distances of all pairs say, from `kreid.ranking.roc`, for a chart that a page of lists that were
            cut lacks without it; computed here from whole ones.
        limit: list at most so many queries, the hardest; the figures always count all. None (default): as many as
            `budget` has room for.
        paper_row: figures to stand beside, as fractions: {"system": "...", "mAP": 0.637, "rank1": 0.528, "rank5": ...},
            any of them.
        look: called once with `(K, 2)` rows of `ranking.images`, a query and one of its gallery images each; gives for
            each pair, in order, a `Look` at what the network sees there, or None: see `kreid.report.looks`. Asked for
            the hardest 50 queries, with the first 3 gallery images of each and its first match.
        progress: called with the records read and their total.
        budget: bytes that thumbnails may take in the file (default 30 MB, ours: it opens in about a second). They
            become smaller, down to 48 pixels, before queries are left out.

    Returns:
        The path written.

    Raises:
        ValueError: the ranking has no query, the records are not those that were ranked, an image cannot be decoded, or
            an argument makes no sense.

    Example:
        write_report(rank(embeddings), "records/test", "report.html", "two streams, test")
    """
    _check_kinds(ranking, figures, curve, look, progress, budget)
    check_path("records", records, "the folder of records that were ranked")
    check_path("path", path, "the .html file to write")
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ConfigError(f"path: expected a name that ends in {' or '.join(SUFFIXES)}, received {received(path)}")
    _check(ranking, figures, limit, paper_row)
    labelled = bool((ranking.images.person[np.concatenate([ranking.query, ranking.gallery])] >= 0).all())
    if figures is None and labelled:
        figures = QueryFigures.of(ranking)
    if curve is None and labelled and ranking.nearest is None:
        curve = roc_of_ranking(ranking)
    order = hardest_first(ranking, figures)

    with read_index(records) as index:
        record = find_records(ranking.images, index)
        listed, height = _fit(ranking, order[:limit], index, record, budget * 3 / 4)  # base64 turns 3 bytes into 4
        rows, shown = _rows(ranking, listed)
        fields, sheets = collect(index, record[rows], shown, height, progress)
        digest = index.digest()

    scores = None
    if figures is not None and figures.matched.any():
        scores = score(figures, _of_queries(ranking, rows, fields), paper_row, curve)
    shown_fields = {name: values[shown] for name, values in fields.items()}
    data = page_data(ranking, listed, rows[shown], shown_fields, sheets, figures)
    maps, data["looks"] = looks(ranking, listed, rows[shown], figures, look) if look else ({}, None)
    with atomic_file(path) as file:
        for part in assemble(
            title, digest, ranking, len(listed), labelled, scores, paper_row or {}, data, sheets, maps
        ):
            file.write(part.encode("utf-8"))
    return Path(path)


def _check_kinds(
    ranking: object, figures: object, curve: object, look: object, progress: object, budget: object
) -> None:
    check_kind("ranking", ranking, Ranking)
    for name, value, kind in (("figures", figures, QueryFigures), ("curve", curve, Curve)):
        if value is not None:
            check_kind(name, value, kind)
    for name, value, of in (
        ("look", look, "pairs of rows, such as what kreid.report.pair_looks gives"),
        ("progress", progress, "the records read and their total"),
    ):
        if value is not None:
            check_function(name, value, of)
    check_number("budget", budget, whole=False)


def _check(ranking: Ranking, figures: QueryFigures | None, limit: int | None, paper_row: PaperRow | None) -> None:
    check_paper_row(paper_row)
    if figures is not None and not np.array_equal(figures.bbox, ranking.images.bbox[ranking.query]):
        raise ValueError("figures: expected those of the ranking's queries, in its order; give `figures_of` the same")
    if limit is not None:
        check_number("limit", limit)
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected at least 1 query to list, or None, received {limit}")
    if not len(ranking):
        raise ValueError("ranking: it has no queries, so there is nothing to show")


def _of_queries(ranking: Ranking, rows: np.ndarray, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return each query's fields, of those of the images at `rows`, among which all queries are."""
    place = np.empty(len(ranking.images), np.int64)
    place[rows] = np.arange(len(rows))
    return {name: values[place[ranking.query]] for name, values in fields.items()}


def _fit(
    ranking: Ranking, order: np.ndarray, index: Index, record: np.ndarray, budget: float
) -> tuple[np.ndarray, int]:
    """Return the queries to list and the height of the thumbnails, such that these take `budget` bytes at most."""
    rows, shown = _rows(ranking, order)
    height, each = choose_height(index, record[rows[shown]], ranking.images.action[rows[shown]], budget)
    entries = _entries(ranking, order)
    _, first = np.unique(ranking.gallery[entries], return_index=True)
    bringer = np.repeat(np.arange(len(order)), ranking.sizes[order])[first]  # of each picture: who lists it first
    pictures = 1 + np.bincount(bringer, minlength=len(order))
    room = np.searchsorted(pictures.cumsum(), budget / each, side="right")
    return order[: max(1, room)], height


def _rows(ranking: Ranking, listed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `ranking.images` that the page needs, by action, queries first, and whose picture is shown.

    The figures need all queries; pictures are shown of those that are listed and of what stands in their lists.
    """
    images = ranking.images
    shown = np.zeros(len(images), bool)
    shown[ranking.query[listed]] = True
    shown[ranking.gallery[_entries(ranking, listed)]] = True
    rows = np.flatnonzero(shown | images.is_query)
    rows = rows[np.lexsort((images.bbox[rows], ~images.is_query[rows], images.action[rows]))]
    return rows, shown[rows]


def _entries(ranking: Ranking, listed: np.ndarray) -> np.ndarray:
    """Return where the lists of some queries stand in `ranking.gallery`, one list after the other."""
    sizes = ranking.sizes[listed]
    before = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + np.repeat(ranking.offsets[:-1][listed] - before, sizes)
