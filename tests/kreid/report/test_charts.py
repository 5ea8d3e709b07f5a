"""The report's charts: well-formed, inside their frame, as long and tall as their numbers, with a table of these."""

from xml.etree import ElementTree

import numpy as np
import pytest

from kreid.report.charts import cmc_curve, count_bars, interval, mean_bars, roc_curve
from kreid.report.figures import Group, Headline

NAN = float("nan")
ACCEPTED = [{"far": 10.0 ** (step / 8), "tar": 1 + step / 40, "threshold": None} for step in range(-32, 1)]


def drawn():
    groups = [Group("<b>&</b> a very long name indeed", 'role:"<b>"', 0.25, 12), Group("none", "", NAN, 0)]
    many = [Group("0–50 %", "ap:0-50", 0.1, 12), Group("50–100 %", "ap:50-100", 0.9, 123_456)]
    few = [Group("0–50 %", "ap:0-50", 0.0, 0), Group("50–100 %", "ap:50-100", 1.0, 3)]
    return {
        "curve": cmc_curve(np.linspace(0.2, 1, 30).tolist(), {"rank1": 0.5, "rank5": 0.9, "system": "<i>"}),
        "one place": cmc_curve([1.0], {"rank5": 0.3}),
        "pairs": roc_curve(ACCEPTED),
        "few pairs": roc_curve(ACCEPTED[-1:]),
        "counts": count_bars(few),
        "many": count_bars(many),
        "means": mean_bars("By <role>", "A & B", groups, 0.5),
        "interval": interval(Headline("mAP", 0.5, 0.4, 0.6, None)),
        "bare interval": interval(Headline("mAP", 0.0, None, None, 1.0)),
    }


@pytest.mark.parametrize("name, chart", drawn().items())
def test_charts_are_well_formed_and_stay_inside(name, chart):
    drawing = ElementTree.fromstring(getattr(chart, "drawing", chart))
    *_, width, height = map(float, drawing.get("viewBox").split())
    for one in drawing.iter():
        for key, most in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("cy", height)):
            assert 0 <= float(one.get(key, 0)) <= most, (name, one.tag, key)
        assert float(one.get("width", 1)) >= 0
        if one.get("text-anchor") == "end":  # a character is about 6.5 units wide
            assert float(one.get("x")) >= 6.5 * len(one.text), (name, one.text)
    assert "script" not in {one.tag for one in drawing.iter()}


def test_pairs_are_drawn_by_decades():
    chart = roc_curve(ACCEPTED)
    assert [far for far, _ in chart.rows] == ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]
    assert [tar for _, tar in chart.rows] == ["20.0 %", "40.0 %", "60.0 %", "80.0 %", "100.0 %"]
    dots = [float(one.get("cx")) for one in ElementTree.fromstring(chart.drawing).iter("circle")]
    assert np.diff(dots) == pytest.approx((400 - 48) / 4, abs=0.2)


def test_bars_are_as_long_as_their_means():
    groups = [Group("a", "", 0.25, 1), Group("b", "", 0.5, 1), Group("c", "", 1.0, 1)]
    drawing = ElementTree.fromstring(mean_bars("", "", groups, 0.5).drawing)
    bars = [float(one.get("width")) for one in drawing.iter("rect") if one.get("class") == "bar"]
    assert bars[0] * 4 == pytest.approx(bars[2], abs=0.3)
    assert bars[1] * 2 == pytest.approx(bars[2], abs=0.2)
    line = next(one for one in drawing.iter("line") if one.get("class") == "overall")
    start = float(next(one for one in drawing.iter("rect") if one.get("class") == "bar").get("x"))
    assert float(line.get("x1")) - start == pytest.approx(bars[1], abs=0.2)


@pytest.mark.parametrize(
    "label, shown, width",  # in DejaVu Sans at 12.5 units, which is as wide as fonts come
    [
        ("unknown", "unknown", 56.8),
        ("120–189", "120–189", 54.0),
        ("Goalkeeper team left", "Goalkeeper team left", 125.6),
        ("Goalkeeper of the team to the left", "Goalkeeper of the te…", 141.4),
        ("ゴールキーパー", "ゴールキーパー", 87.5),
        ("WWWWWWWWWWWWWWWW", "WWWWWWWWWWW…", 148.4),
    ],
)
def test_labels_of_bars_have_room(label, shown, width):
    groups = [Group(label, "", 0.5, 3), Group("b", "", 0.5, 3)]
    texts = ElementTree.fromstring(mean_bars("", "", groups, 0.5).drawing).iter("text")
    (found,) = (one for one in texts if one.text == shown)
    assert width <= float(found.get("x")) <= width + 35


def test_count_bars_are_as_tall_as_their_counts():
    groups = [Group(f"{n}–{n + 1} %", "", 0.0, count) for n, count in enumerate((3, 60, 30))]
    drawing = ElementTree.fromstring(count_bars(groups).drawing)
    assert [float(one.get("height")) for one in drawing.iter("rect") if one.get("class") == "bar"] == [10, 200, 100]


def test_the_table_holds_every_number_behind_its_name():
    chart = mean_bars("By role", "Who", [Group("<b>", "", 0.25, 1234), Group("none", "", NAN, 0)], 0.5)
    assert list(chart.rows) == [("<b>", "25.0 %", "1,234"), ("none", "– %", "0")]
    assert len(chart.columns) == 3
    curve = cmc_curve([0.5] * 29 + [1.0], {})
    assert [curve.rows[place] for place in (0, 29)] == [("1", "50.0 %"), ("30", "100.0 %")]  # more than are drawn


def test_text_from_outside_is_text_in_a_drawing():
    group = Group("</svg><b>", 'role:"</svg><b>', 0.25, 1)
    root = ElementTree.fromstring(mean_bars('"><b>', "", [group], 0.5).drawing)
    assert {one.tag for one in root.iter()} == {"svg", "g", "line", "rect", "text"}
    mark = root.find("g")
    assert (root.get("aria-label"), mark.get("data-search"), mark.find("text").text) == (
        '"><b>',
        group.search,
        group.label,
    )
    assert mark.get("data-tip") == "</svg><b>: mAP 25.0 %, 1 query"
