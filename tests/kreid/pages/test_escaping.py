"""Every text that comes from outside, in every page, meant to become markup: none does."""

import json

import numpy as np
import pytest
from parsed_page import Parsed
from tiny_report import make_ranking, picture

from kreid.pages import markup
from kreid.ranking.neighbours import search
from kreid.report.data import Look
from kreid.report.write import write_report
from kreid.search.crops import Crops
from kreid.search.page import search_page
from kreid.search.results import Results

FIELDS = {
    "report": ("title", "role", "jersey", "game", "system", "heading", "tile", "note"),
    "search": ("title", "query", "gallery", "metric"),
}


def attack(field):
    """Leaves an attribute, an element and a script; short enough for a chart's label to hold it whole."""
    return f"'\"></script><x-{field}>"


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """What pages are written of, by how the fields are named."""
    folder = tmp_path_factory.mktemp("ranked")
    return {
        named: make_ranking(folder / named.__name__, **{field: named(field) for field in ("role", "jersey", "game")})
        for named in (attack, str)
    }


@pytest.fixture
def write(ranked, tmp_path):
    """Write a page whose fields are what `named` makes of their names, and return its text."""

    def written(page, named):
        if page == "search":
            crops = [
                Crops(np.eye(3), lambda row, name=name: f"x/{named(name)}", lambda row: picture(row, 40, 20))
                for name in ("query", "gallery")
            ]
            return "".join(
                search_page(Results(named("title"), *crops, search(np.eye(3), np.eye(3), 2), named("metric")))
            )
        look = Look(np.zeros((4, 6, 3), np.uint8), {named("heading"): [named("tile")]}, named("note"))
        paper = {"system": named("system"), "mAP": 0.5, "rank1": 0.5}
        path = tmp_path / "report.html"
        write_report(*ranked[named], path, named("title"), paper_row=paper, look=lambda pairs: [look] * len(pairs))
        return path.read_text(encoding="utf-8")

    return written


@pytest.mark.parametrize("page", FIELDS)
def test_names_become_no_markup(write, page):
    written = write(page, attack)
    hostile, harmless = Parsed(written), Parsed(write(page, str))
    shape, expected = ([(tag, list(attributes)) for tag, attributes in one.elements] for one in (hostile, harmless))
    assert shape == expected
    everything = [*hostile.texts.values(), *(str(value) for _, known in hostile.elements for value in known.values())]
    if page == "report":
        everything += strings(hostile.data)
    for field in FIELDS[page]:
        assert f"<x-{field}" not in written
        assert any(attack(field) in text for text in everything), f"{field}: not in the page"


def strings(value):
    if isinstance(value, str):
        return [value]
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inside for text in strings(one)]


@pytest.mark.parametrize("page", FIELDS)
def test_unescaped_names_would_be_found(write, monkeypatch, page):
    """With templates that do not escape, every one of these fields stands in the page as markup."""
    careless = markup._templates().overlay(autoescape=False)
    careless.filters = careless.filters | {"tojson": json.dumps}
    monkeypatch.setattr(markup, "_templates", lambda: careless)
    written = write(page, attack)
    assert [field for field in FIELDS[page] if f"</script><x-{field}>" not in written] == []
