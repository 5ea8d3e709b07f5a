"""What is wrong with a built site, on pages made by hand."""

import pytest

from website.faults import faults

WHOLE = (
    '<link rel="stylesheet" href="a.css"><link rel="canonical" href="https://kreid.example/">'
    '<h1 id="top">a</h1><a href="#top">b</a><a href="in/c.html#d%20e">c</a><a href="https://example.org">d</a>'
    '<img src="data:image/png;base64,AAAA">'
)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.css").write_text("")
    (tmp_path / "index.html").write_text(WHOLE)
    (tmp_path / "in" / "c.html").write_text('<p id="d e"><a href="/index.html">up</a><a href="../">up</a>')
    return tmp_path


def test_a_whole_site_has_none(site):
    assert faults(site) == []


@pytest.mark.parametrize(
    "markup, what",
    [
        ('<script src="https://unpkg.com/x.js">', "fetches https://unpkg.com/x.js when it is opened"),
        ('<link rel="stylesheet" href="//fonts.example/a">', "fetches //fonts.example/a when it is opened"),
        ('<img src="b.png">', "fetches b.png, which is not there"),
        ('<a href="d.html">', "leads to d.html, which is not there"),
        ('<a href="in/c.html#f">', "leads to in/c.html#f, an anchor that is not there"),
        ('<a href="#f">', "leads to #f, an anchor that is not there"),
        ('<i id="e"></i><i id="e"></i>', "has the anchor e twice"),
    ],
)
def test_each_fault_is_told_with_its_page(site, markup, what):
    (site / "index.html").write_text(WHOLE + markup)
    assert [str(fault) for fault in faults(site)] == [f"index.html: {what}"]
