"""The page's markup: the template filled in, with everything that comes from outside escaped."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from kreid.pages.markup import element, fill, notes, percent
from kreid.pictures.thumbnails import Sheet
from kreid.ranking.lists import Ranking
from kreid.report import charts as charts
from kreid.report.figures import HEADLINE, Headline, Scores, histogram

_SCRIPTS = ("page.js", "search.js", "list.js", "details.js")
_MEANING = {
    "mAP": "Mean average precision: 100 % when all pictures of the person come before everybody else.",
    "rank1": "How often the first picture shows the right person.",
    "rank5": "How often the right person is among the first five.",
}

_GUIDE = (
    "A query is a picture of one person; its gallery is every other picture of the same action, ranked by how alike "
    "the network finds them.",
    "A query's average precision (AP) is 100 % when all pictures of its person come first, and falls with every other "
    "person ranked before them. mAP is the mean over all queries.",
    "The band on the line is the 95 % interval: how far the figure might move with other actions of this kind.",
    "Choose a bar to list its queries, and a query to compare its pictures in pairs.",
)
_PAPER_GUIDE = "In violet, the line and the diamond: what the paper reports."


def assemble(
    title: str,
    ranking: Ranking,
    listed: int,
    labelled: bool,
    scores: Scores | None,
    paper: Mapping[str, object],
    data: Mapping[str, Any],
    sheets: Sequence[Sheet],
    maps: Mapping[str, bytes],
) -> Iterator[str]:
    """Yield the page, piece by piece.

    Args:
        title: its heading.
        ranking: what it is about.
        listed: how many of its queries the list has.
        labelled: whether the labels are known.
        scores: the figures, None where nothing can be scored.
        paper: see `write_report`.
        data: `page_data`'s.
        sheets: thumbnails, one sheet per action.
        maps: what the network sees in pairs, see `report_data.looks`.
    """
    parts = {
        "title": escape(title),
        "counts": escape(_counts(ranking)),
        "notes": notes(_notes(ranking, listed, labelled, scores)),
        "figures": _figures(scores, paper) if scores else "",
        "data": _json(data),
    }
    yield fill("page.html", ("page.css",), _SCRIPTS, parts)
    for number, sheet in enumerate(sheets):
        yield _stored(f"sheet-{number}", sheet.webp)
    for pair, image in maps.items():
        yield _stored(f"look-{pair}", image)
    yield "</body>\n</html>\n"


def _figures(scores: Scores, paper: Mapping[str, object]) -> str:
    cards = "".join(_headline(one, paper) for one in scores.headline)
    overall = scores.headline[0].value
    drawn = [
        charts.cmc_curve(scores.cmc, paper),
        charts.count_bars(histogram(scores.precision)),
        charts.mean_bars("mAP by role", "Who the person of the query is.", scores.groups["role"], overall),
        charts.mean_bars("mAP by image height", "Pixels of the query's picture.", scores.groups["height"], overall),
        charts.mean_bars(
            "mAP by gallery", "How many pictures the query is compared with.", scores.groups["gallery"], overall
        ),
    ]
    guide = [*_GUIDE, _PAPER_GUIDE] if any(one.paper is not None for one in scores.headline) else _GUIDE
    guide = element("h3", "How to read this page") + "".join(element("p", escape(text)) for text in guide)
    drawn.append(element("section", guide, class_="card guide-text"))
    return element("section", cards, class_="headline", aria_label="Headline figures") + element(
        "section", "".join(drawn), class_="charts", aria_label="Charts"
    )


def _headline(one: Headline, paper: Mapping[str, object]) -> str:
    value = element("p", percent(one.value) + element("small", "%"), class_="value")
    if one.low is None:
        sure = "one action only, so no interval"
    else:
        sure = f"95 % interval {percent(one.low)}–{percent(one.high)}"
    lines = element("p", escape(sure))
    if one.paper is not None:
        apart = 100 * (one.value - one.paper)
        system = escape(str(paper.get("system", "Paper")))
        lines += element(
            "p", f"{system}: {percent(one.paper)} {element('b', f'{apart:+.1f}'.replace('-', '−'))}", class_="beside"
        )
    name = element("h2", HEADLINE[one.name])
    return element(
        "article",
        name + value + charts.interval(one) + lines + element("p", _MEANING[one.name], class_="meaning"),
        class_="card",
    )


def _counts(ranking: Ranking) -> str:
    gallery, actions = len(np.unique(ranking.gallery)), len(np.unique(ranking.images.action[ranking.query]))
    names = (("query", "queries"), ("gallery image", "gallery images"), ("action", "actions"))
    numbers = (len(ranking), gallery, actions)
    return " · ".join(
        f"{number:,} {one if number == 1 else more}" for number, (one, more) in zip(numbers, names, strict=True)
    )


def _notes(ranking: Ranking, listed: int, labelled: bool, scores: Scores | None) -> Iterator[str]:
    if not labelled:
        yield (
            "The labels of this split are withheld, so nothing is scored. The list begins with the queries whose two "
            "best gallery images are almost equally near: there the ranking is least sure."
        )
    elif scores is None:
        yield "No query has a picture of its person in its gallery, so nothing can be scored."
    elif scores.skipped:
        which = "1 query has" if scores.skipped == 1 else f"{scores.skipped:,} queries have"
        yield f"{which} no picture of the person in the gallery: listed last, and left out of every figure."
    if listed < len(ranking):
        kind = "hardest" if labelled else "least sure"
        every = " The figures count every query." if scores else ""
        yield f"To keep this file small, the list holds the {listed:,} {kind} of {len(ranking):,} queries.{every}"


def _json(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in, nor open a comment there: both begin with <."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _stored(name: str, image: bytes) -> str:
    content = base64.b64encode(image).decode("ascii")
    return f'<script type="text/plain" id="{name}">{content}</script>\n'
