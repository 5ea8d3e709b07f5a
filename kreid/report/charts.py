"""The charts of a report as inline SVG, which shows before any script runs; the style sheet colours them.

A mark (`class="mark"`) carries its value in `data-tip` for the pointer, the arrow keys and screen readers, and in
`data-search` what finds its queries in the list below. Every chart has its numbers in a table, too.
"""

from collections.abc import Sequence
from math import isnan, log10
from typing import NamedTuple
from unicodedata import east_asian_width

from markupsafe import Markup

from kreid.pages.markup import element, percent
from kreid.ranking.verification import Accepted
from kreid.report.figures import Group, Headline
from kreid.types import PaperRow

_WIDTH, _LEFT, _RIGHT = 420, 40, 408  # of a drawing and of its plot's sides; units are pixels at the usual size
_PLACES = 20  # of the CMC curve
_DECADES = 4  # of the ROC curve, down from 100 %
_EQUAL = 1e-6  # two powers of ten that are one but for rounding
_QUARTERS = [(number / 4, f"{25 * number}") for number in range(5)]  # of a scale in percent, with their names
_ROW = 28  # of a bar
_BAR_END, _MEAN, _COUNT = 308, 362, 416  # where 100 % is, and where the columns beside the bars end
_LABEL = 160  # the widest label of a bar; what is longer is cut
# Widths of letters where fonts are wide (DejaVu Sans, Verdana), since nobody knows the reader's.
_NARROW, _USUAL, _WIDE = 5.2, 8.1, 12.5
_NARROW_ONES = frozenset(" !'(),.:;I[]fijlrt|")


class Chart(NamedTuple):
    """A chart: its heading, a sentence, the drawing, and its numbers as a table whose rows begin with their names."""

    title: str
    about: str
    drawing: Markup
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def interval(one: Headline) -> Markup:
    """Draw a headline figure on a line from 0 to 100 %: the interval, the value and the paper's value."""
    x = {
        name: 4 + 292 * getattr(one, name)
        for name in ("value", "low", "high", "paper")
        if getattr(one, name) is not None
    }
    parts = [_line(4, 12, 296, 12, "track")]
    if "low" in x:
        width = max(x["high"] - x["low"], 2)
        parts.append(element("rect", class_="sure", x=f"{x['low']:.1f}", y=5, width=f"{width:.1f}", height=14, rx=4))
    if "paper" in x:
        parts.append(_line(x["paper"], 2, x["paper"], 22, "paper"))
    parts.append(element("circle", class_="dot", cx=f"{x['value']:.1f}", cy=12, r=4))
    return element("svg", *parts, viewBox="0 0 300 24", class_="interval", aria_hidden="true")


def cmc_curve(cmc: Sequence[float], paper: PaperRow) -> Chart:
    """Draw the CMC curve over the first places, with the paper's rank-1 and rank-5 where known.

    Args:
        cmc: its k-th value is the share of queries with a match among their first k.
        paper: "rank1", "rank5" as fractions, "system" its name; any may be missing.
    """
    values = list(cmc[:_PLACES])
    step = (_RIGHT - _LEFT - 16) / max(len(values) - 1, 1)
    x = [_LEFT + 8 + step * place for place in range(len(values))]
    points = " ".join(f"{left:.1f},{_y(value):.1f}" for left, value in zip(x, values, strict=True))
    base = f"{x[0]:.1f},{_y(0)} {points} {x[-1]:.1f},{_y(0)}"
    parts = [
        *_grid(),
        element("polygon", class_="area", points=base),
        element("polyline", class_="curve", points=points),
    ]
    for place, (left, value) in enumerate(zip(x, values, strict=True), start=1):
        begin, end = max(left - step / 2, _LEFT), min(left + step / 2, _RIGHT)
        hover = element("rect", class_="hover", x=f"{begin:.1f}", y=10, width=f"{end - begin:.1f}", height=200)
        guide = _line(left, 10, left, 210, "guide")
        dot = element("circle", class_="dot", cx=f"{left:.1f}", cy=f"{_y(value):.1f}", r=3.5)
        parts.append(_mark([hover, guide, dot], f"Among the first {place}: {percent(value)} %"))
        if place in (1, 5, 10, 15, 20):
            parts.append(_text(left, 228, place, "middle"))
    parts.append(_text((_LEFT + _RIGHT) / 2, 246, "places looked at", "middle"))
    for place, known in ((1, paper.get("rank1")), (5, paper.get("rank5"))):
        if known is not None and place <= len(values):
            left, top = x[place - 1], _y(known)
            diamond = element("path", class_="paper-dot", d=f"M{left:.1f},{top - 6:.1f}l6,6l-6,6l-6,-6z")
            parts.append(_mark([diamond], f"{paper.get('system', 'Paper')}: rank-{place} {percent(known)} %"))
    table = [(str(place), f"{percent(value)} %") for place, value in enumerate(cmc, start=1)]
    about = "Queries whose person stands among the first places: the CMC curve."
    title = "Found among the first …"
    return Chart(title, about, _drawing(title, 252, parts), ("Places", "Share"), table)


def roc_curve(accepted: Sequence[Accepted]) -> Chart:
    """Draw the share of right pairs that a threshold accepts over the share of wrong ones, on a logarithmic scale.

    Args:
        accepted: at rising false accept rates, eight a decade; the last is 1.
    """
    width = _RIGHT - _LEFT - 16
    x = [_LEFT + 8 + width * (1 + log10(one["far"]) / _DECADES) for one in accepted]
    points = " ".join(f"{left:.1f},{_y(one['tar']):.1f}" for left, one in zip(x, accepted, strict=True))
    parts = [*_grid(), element("polyline", class_="curve", points=points)]
    table = []
    for left, one in zip(x, accepted, strict=True):
        power = log10(one["far"])
        if abs(power - round(power)) > _EQUAL:
            continue
        far, tar = f"{100 * one['far']:g} %", f"{percent(one['tar'])} %"
        guide = _line(left, 10, left, 210, "guide")
        hover = element("rect", class_="hover", x=f"{max(left - 20, _LEFT):.1f}", y=10, width=28, height=200)
        dot = element("circle", class_="dot", cx=f"{left:.1f}", cy=f"{_y(one['tar']):.1f}", r=3.5)
        parts.append(_mark([hover, guide, dot], f"With {far} of wrong pairs: {tar} of right ones"))
        parts.append(_text(left, 228, f"{100 * one['far']:g}", "middle"))
        table.append((far, tar))
    parts.append(_text((_LEFT + _RIGHT) / 2, 246, "wrong pairs accepted, %", "middle"))
    about = "Right pairs that a threshold on the distance accepts, beside wrong ones: what a tracker goes by."
    title = "Same person or not"
    return Chart(title, about, _drawing(title, 252, parts), ("Wrong pairs", "Right pairs"), table)


def count_bars(groups: Sequence[Group]) -> Chart:
    """Draw how many queries fall into each range of average precision.

    Args:
        groups: `histogram`'s.
    """
    most = max(group.count for group in groups)
    top = _round_up(most)
    begin = max(_LEFT, 10 + _wide(f"{top:,}"))
    parts = _grid([(share, f"{top * share:,.0f}") for share in ((0, 0.5, 1) if top > 1 else (0, 1))], begin)
    step = (_RIGHT - begin) / len(groups)
    for number, group in enumerate(groups):
        left, height = begin + step * number, 200 * group.count / top
        hover = element("rect", class_="hover", x=f"{left:.1f}", y=10, width=f"{step:.1f}", height=200)
        box = {
            "x": f"{left + 2:.1f}",
            "y": f"{210 - height:.1f}",
            "width": f"{step - 4:.1f}",
            "height": f"{height:.1f}",
        }
        bar = element("rect", class_="bar", rx=2, **box)
        tip = f"AP {group.label}: {_queries(group.count)}, {percent(group.mean)} %"
        parts.append(_mark([hover, bar], tip, group.search))
        parts.append(_text(left, 228, group.label.partition("–")[0], "middle"))
    parts += [_text(_RIGHT, 228, "100", "middle"), _text((begin + _RIGHT) / 2, 246, "average precision, %", "middle")]
    table = [(group.label, f"{group.count:,}", f"{percent(group.mean)} %") for group in groups]
    about = "How many queries are hard (left) and easy (right)."
    title = "Hard and easy queries"
    return Chart(title, about, _drawing(title, 252, parts), ("AP", "Queries", "Share"), table)


def mean_bars(title: str, about: str, groups: Sequence[Group], overall: float) -> Chart:
    """Draw the mAP of kinds of query as horizontal bars, with a line where the overall mAP is.

    Args:
        title: of the chart.
        about: one sentence below it.
        groups: one bar each.
        overall: the mAP of all queries, a fraction.
    """
    height = _ROW * len(groups)
    begin = 12 + max(_LEFT, *(_wide(_short(group.label)) for group in groups))
    middle = begin + (_BAR_END - begin) * overall
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        left = begin + (_BAR_END - begin) * share
        parts += [_line(left, 4, left, height + 4, "grid"), _text(left, height + 20, f"{100 * share:.0f}", "middle")]
    parts += [_text(_MEAN, height + 20, "mAP", "end"), _text(_COUNT, height + 20, "queries", "end")]
    for number, group in enumerate(groups):
        top = 4 + _ROW * number
        width = 0 if isnan(group.mean) else (_BAR_END - begin) * group.mean
        box = {"x": f"{begin:.1f}", "y": top + 5, "width": f"{width:.1f}", "height": _ROW - 10}
        row = [
            element("rect", class_="hover", x=0, y=top, width=_WIDTH, height=_ROW),
            element("rect", class_="bar", rx=2, **box),
            _text(begin - 8, top + 19, _short(group.label), "end"),
            _text(_MEAN, top + 19, percent(group.mean), "end", "label strong"),
            _text(_COUNT, top + 19, f"{group.count:,}", "end"),
        ]
        tip = f"{group.label}: mAP {percent(group.mean)} %, {_queries(group.count)}"
        parts.append(_mark(row, tip, group.search))
    parts.append(_line(middle, 0, middle, height + 4, "overall"))
    table = [(group.label, f"{percent(group.mean)} %", f"{group.count:,}") for group in groups]
    return Chart(title, about, _drawing(title, height + 26, parts), ("", "mAP", "Queries"), table)


def _drawing(title: str, height: int, parts: Sequence[Markup]) -> Markup:
    box = f"0 0 {_WIDTH} {height}"
    return element("svg", *parts, viewBox=box, class_="chart", role="group", tabindex=0, aria_label=title)


def _mark(parts: Sequence[Markup], tip: str, search: str = "") -> Markup:
    wanted = {"data_search": search} if search else {}
    return element("g", *parts, class_="mark", data_tip=tip, role="img", aria_label=tip, **wanted)


def _grid(ticks: Sequence[tuple[float, str]] = _QUARTERS, begin: float = _LEFT) -> list[Markup]:
    parts = []
    for share, name in ticks:
        y = _y(share)
        parts += [_line(begin, y, _RIGHT, y, "grid"), _text(begin - 7, y + 4, name, "end")]
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", class_=kind, x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}")


def _text(x: float, y: float, content: object, anchor: str, kind: str = "label") -> Markup:
    return element("text", content, class_=kind, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _y(share: float) -> float:
    return 210 - 200 * share


def _round_up(count: int) -> int:
    """Return the next of 1, 2, 4, 6, 10, 20, 40, 60, 100, ...: numbers whose half is whole, too (but for 1)."""
    power = 1
    while True:
        for digit in (1, 2, 4, 6):
            if digit * power >= count:
                return digit * power
        power *= 10


def _queries(count: int) -> str:
    return f"{count:,} {'query' if count == 1 else 'queries'}"


def _wide(text: str) -> float:
    """Return how wide a label is at most, in units of a drawing."""
    return sum(map(_width, text))


def _width(letter: str) -> float:
    if letter in _NARROW_ONES:
        return _NARROW
    return _WIDE if letter in "%@mw…—" or letter.isupper() or east_asian_width(letter) in "WF" else _USUAL


def _short(label: str) -> str:
    """Return the beginning of a label that is too wide, with what says so."""
    if _wide(label) <= _LABEL:
        return label
    kept = next(end for end in range(len(label) - 1, -1, -1) if _wide(label[:end].rstrip() + "…") <= _LABEL)
    return label[:kept].rstrip() + "…"
