"""What the page shows, as its template `report.html` takes it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from kreid.pages.markup import fill_page, percent
from kreid.pictures.thumbnails import Sheet
from kreid.ranking.lists import Ranking
from kreid.report.charts import Chart, cmc_curve, count_bars, interval, mean_bars, roc_curve
from kreid.report.figures import HEADLINE, Headline, Name, Scores
from kreid.types import PaperRow

_HEAD = 4096  # bytes of a page that say of which records it is
_RECORDS = re.compile(rb'<meta name="records" content="([0-9a-f]{64})">')
_SCRIPTS = ("page.js", "search.js", "list.js", "details.js")
_MEANING: dict[Name, str] = {
    "mAP": "Mean average precision: 100 % when all pictures of the person come before everybody else.",
    "rank1": "How often the first picture shows the right person.",
    "rank5": "How often the right person is among the first five.",
}


class _Card(NamedTuple):
    """A headline figure, drawn, with what is said below it; `paper` and `apart` from it are None where unknown."""

    name: str
    value: float
    drawing: Markup
    sure: str
    paper: float | None
    apart: str | None
    meaning: str


def assemble(
    title: str,
    records: str,
    ranking: Ranking,
    listed: int,
    labelled: bool,
    scores: Scores | None,
    paper: PaperRow,
    data: Mapping[str, Any],
    sheets: Sequence[Sheet],
    maps: Mapping[str, bytes],
) -> Iterator[str]:
    """Yield the page, piece by piece.

    Args:
        title: its heading.
        records: digest of those that it shows, see `Index.digest`.
        ranking: what it is about.
        listed: how many of its queries the list has.
        labelled: whether the labels are known.
        scores: the figures, None where nothing can be scored.
        paper: see `write_report`.
        data: `page_data`'s.
        sheets: thumbnails, as `page_data` has them.
        maps: what the network sees in pairs, see `kreid.report.data.looks`.
    """
    beside_paper = scores is not None and any(one.paper is not None for one in scores.headline)
    return fill_page(
        "report.html",
        ("page.css",),
        _SCRIPTS,
        title=title,
        records=records,
        counts=_counts(ranking),
        notes=_notes(ranking, listed, labelled, scores),
        headline=[_card(one, scores.units) for one in scores.headline] if scores else [],
        charts=_charts(scores, paper) if scores else [],
        system=paper.get("system", "Paper"),
        guide=_guide(ranking, scores.units, beside_paper) if scores else [],
        data=data,
        stored=_stored(sheets, maps),
    )


def records_of(path: str | Path) -> str | None:
    """Return the digest of the records that a page shows; None of what is no report, or of an earlier version's."""
    try:
        with Path(path).open("rb") as file:
            found = _RECORDS.search(file.read(_HEAD))
    except OSError:
        return None
    return found[1].decode() if found else None


def _charts(scores: Scores, paper: PaperRow) -> list[Chart]:
    overall, groups = scores.headline[0].value, scores.groups
    kinds = (
        ("role", "mAP by role", "Who the person of the query is."),
        ("height", "mAP by image height", "Pixels of the query's picture."),
        ("gallery", "mAP by gallery", "How many pictures the query is compared with."),
    )
    return [
        cmc_curve(scores.cmc, paper),
        count_bars(scores.groups["precision"]),
        *([roc_curve(scores.accepted)] if scores.accepted else []),
        # A single bar would say the mAP once more.
        *(mean_bars(title, about, groups[key], overall) for key, title, about in kinds if len(groups[key]) > 1),
    ]


def _card(one: Headline, units: str) -> _Card:
    if one.low is None:
        sure = f"one {'action' if units == 'actions' else 'person'} only, so no interval"
    else:
        sure = f"95 % interval {percent(one.low)}–{percent(one.high)}"
    apart = None if one.paper is None else f"{100 * (one.value - one.paper):+.1f}".replace("-", "−")
    return _Card(HEADLINE[one.name], one.value, interval(one), sure, one.paper, apart, _MEANING[one.name])


def _guide(ranking: Ranking, units: str, beside_paper: bool) -> Iterator[str]:
    across, several = ranking.protocol == "cross_camera", _actions(ranking) > 1
    where = " of the same action" if several or not across else ""
    without = ", without those of its person on its own camera" if across else ""
    yield (
        f"A query is a picture of one person; its gallery is every other picture{where}{without}, ranked by how alike "
        "the network finds them."
    )
    yield (
        "A query's average precision (AP) is 100 % when all pictures of its person come first, and falls with every "
        "other person ranked before them. mAP is the mean over all queries."
    )
    yield f"The band on the line is the 95 % interval: how far the figure might move with other {units} of this kind."
    yield "Choose a bar to list its queries, and a query to compare its pictures in pairs."
    if beside_paper:
        yield "In violet, the line and the diamond: what the paper reports."


def _actions(ranking: Ranking) -> int:
    return len(np.unique(ranking.images.action[ranking.query]))


def _counts(ranking: Ranking) -> str:
    images, actions, across = ranking.images, _actions(ranking), ranking.protocol == "cross_camera"
    inside = np.isin(images.action, images.action[ranking.query])
    counted = [
        (len(ranking), "query", "queries"),
        (np.count_nonzero(~images.is_query & inside), "gallery image", "gallery images"),
    ]
    if actions > 1 or not across:  # else it is the whole set, and says nothing
        counted.append((actions, "action", "actions"))
    if across:
        counted.append((len(np.unique(np.asarray(images.camera)[inside])), "camera", "cameras"))
    return " · ".join(f"{number:,} {one if number == 1 else more}" for number, one, more in counted)


def _notes(ranking: Ranking, listed: int, labelled: bool, scores: Scores | None) -> Iterator[str]:
    where = "from another camera in the gallery" if ranking.protocol == "cross_camera" else "in the gallery"
    if not labelled:
        yield (
            "The labels of this split are withheld, so nothing is scored. The list begins with the queries whose two "
            "best gallery images are almost equally near: there the ranking is least sure."
        )
    elif scores is None:
        yield f"No query has a picture of its person {where}, so nothing can be scored."
    elif scores.skipped:
        which = "1 query has" if scores.skipped == 1 else f"{scores.skipped:,} queries have"
        yield f"{which} no picture of the person {where}: listed last, and left out of every figure."
    if ranking.protocol == "cross_camera":
        yield (
            "Protocol cross_camera, as in Market-1501: gallery images of the query's person from its own camera count "
            "neither for nor against it, and are not listed."
        )
    if ranking.nearest is not None:
        yield f"Of each query the nearest {ranking.nearest} gallery images are listed; the figures count all."
    if listed < len(ranking):
        kind = "hardest" if labelled else "least sure"
        every = " The figures count every query." if scores else ""
        yield f"To keep this file small, the list holds the {listed:,} {kind} of {len(ranking):,} queries.{every}"


def _stored(sheets: Sequence[Sheet], maps: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for number, sheet in enumerate(sheets):
        yield f"sheet-{number}", sheet.webp
    for pair, image in maps.items():
        yield f"look-{pair}", image
