"""The figures of the pages: those in docs/figures are what the code draws, and everything lies inside the picture."""

import re
from xml.etree import ElementTree

import pytest

from website.drawing import COLOURS, Drawing
from website.figures import ALL
from website.paths import FIGURES, PAGES

_SVG = "{http://www.w3.org/2000/svg}"


def test_docs_holds_these_figures():
    assert {path.stem for path in FIGURES.glob("*.svg")} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_what_the_code_draws(name):
    drawn = ALL[name]().svg()
    kept = (FIGURES / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn == kept, "draw it anew: python -m website.figures"


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_used_and_told(name):
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES.rglob("*.md"))
    assert f"figures/{name}.svg" in pages
    assert len(ALL[name]().root.findtext("title")) > 30


@pytest.mark.parametrize("name", ALL)
def test_words_lie_inside_the_picture(name):
    """As wide as words of a common font are: 0.55 of their size a letter."""
    drawing = ALL[name]()
    for text in drawing.root.iter("text"):
        wide, x = 0.55 * float(text.get("font-size")) * len(text.text or ""), float(text.get("x"))
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor")]
        assert left >= 0, text.text
        assert left + wide <= drawing.width, text.text
        assert 0 < float(text.get("y")) <= drawing.height, text.text


def test_a_drawing_brings_its_colours_along_and_its_words_escaped():
    drawing = Drawing(100, 50, "a < b")
    drawing.text(50, 25, "c & d", colour="blue")
    svg = drawing.svg()
    root = ElementTree.fromstring(svg)
    assert root.findtext(f"{_SVG}title") == "a < b"
    assert root.findtext(f"{_SVG}text") == "c & d"
    assert set(re.findall(r"var\(--(\w+)\)", svg)) <= set(COLOURS)
    for light, dark in COLOURS.values():
        assert light in svg
        assert dark in svg


def test_a_figure_within_a_page_takes_the_pages_colours():
    inline = Drawing(100, 50, "a").inline()
    assert "<style>" not in inline
    assert "\n" not in inline
