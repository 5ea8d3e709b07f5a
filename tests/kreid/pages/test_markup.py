"""Elements, templates and pages, whatever goes into them."""

import base64
import hashlib
import json
import re

import pytest
from jinja2 import DictLoader, TemplateAssertionError, UndefinedError
from markupsafe import Markup
from parsed_page import Parsed

from kreid.pages import markup
from kreid.pages.markup import element, fill_page, percent, within

ATTACK = "\"'></b><i onload=1>&amp;"


@pytest.fixture
def template(monkeypatch):
    """Fill a template given as text, in the environment of all of them."""

    def filled(text, **values):
        templates = markup._templates().overlay(loader=DictLoader({"x": text}))
        monkeypatch.setattr(markup, "_templates", lambda: templates)
        return markup.fill("x", **values)

    return filled


def page(**values):
    known = {"title": "", "records": "", "counts": "", "notes": [], "headline": [], "data": {}, "stored": []}
    return fill_page("report.html", ("page.css",), ("page.js",), **{**known, **values})


@pytest.mark.parametrize("content", [ATTACK, [ATTACK], {ATTACK: 1}, type("Named", (), {"__str__": lambda _: ATTACK})()])
def test_what_is_not_markup_by_type_is_text(content):
    found = Parsed(element("b", content, title=content))
    assert found.elements == [("b", {"title": str(content)})]
    assert found.texts == {"b": str(content)}


def test_markup_stands_as_it_is_between_text():
    assert element("p", "<", element("b", "x"), 1, class_="a", data_tip="b") == (
        '<p class="a" data-tip="b">&lt;<b>x</b>1</p>'
    )
    assert isinstance(element("p"), Markup)


def test_attributes_are_escaped_though_they_be_markup():
    inner = element("b", class_="x")
    assert Parsed(element("p", title=inner)).elements == [("p", {"title": str(inner)})]


def test_markup_joined_by_hand_is_text_again():
    """Who goes around `element` sees tags on the page, and nobody's names become some."""
    assert element("p", f"{element('b')}") == "<p>&lt;b&gt;&lt;/b&gt;</p>"
    assert element("p") + ATTACK == str(element("p")) + str(Markup.escape(ATTACK))


@pytest.mark.parametrize(
    "fraction, text", [(0.6374, "63.7"), (0.0, "0.0"), (1, "100.0"), (None, "–"), (float("nan"), "–")]
)
def test_percent(fraction, text):
    assert percent(fraction) == text


def test_templates_escape_in_text_and_in_attributes(template):
    found = Parsed(template('<b title="{{ x }}">{{ x }}</b>{{ y }}', x=ATTACK, y=element("p", id="y")))
    assert found.elements == [("b", {"title": ATTACK}), ("p", {"id": "y"})]
    assert found.texts["b"] == ATTACK


def test_templates_have_no_way_around_escaping(template):
    with pytest.raises(TemplateAssertionError, match="No filter named 'safe'"):
        template("{{ x|safe }}", x=ATTACK)
    assert "<i" not in template(
        "{% macro m(x) %}{{ x }}{% endmacro %}{% set y %}{{ m(x) }}{% endset %}{{ y }}", x=ATTACK
    )


@pytest.mark.parametrize("text", ["{{ x }}", "{{ y.x }}", "{% if x %}{% endif %}", "{{ range(3) }}", "{{ lipsum() }}"])
def test_a_name_that_nobody_gave_is_a_mistake(template, text):
    with pytest.raises(UndefinedError, match="undefined|has no attribute"):
        template(text, y={})


def test_json_cannot_end_its_script():
    data = {"</script><!--<script>": ["&amp;'\"", None, 1.5]}
    written = "".join(page(data=data))
    assert Parsed(written).data == data
    assert "<!--" not in written
    assert json.dumps([None, 1.5], separators=(",", ":"))[1:] in written  # no space that nobody needs


@pytest.mark.parametrize(
    "template, scripts, known",
    [
        ("report.html", ("page.js", "list.js"), {"records": "", "headline": [], "data": {}, "stored": []}),
        ("search.html", (), {"cards": []}),
    ],
)
def test_only_the_own_style_and_script_may_work(template, scripts, known):
    written = "".join(fill_page(template, ("page.css", "search.css"), scripts, title="", counts="", notes=[], **known))
    policy = dict(one.split(" ", 1) for one in policy_of(written).split("; "))
    expected = {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    for tag in ("style", "script"):
        contents = re.findall(f"<{tag}>(.*?)</{tag}>", written, re.DOTALL)
        assert len(contents) == (tag == "style" or bool(scripts))
        for content in contents:
            expected[f"{tag}-src"] = f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    assert policy == expected


def policy_of(written):
    return next(attributes["content"] for _, attributes in Parsed(written).elements if "http-equiv" in attributes)


def test_stored_images_are_read_as_the_page_comes_to_them():
    taken = []

    def stored():
        for number in range(3):
            taken.append(number)
            yield f"sheet-{number}", bytes([number]) * 30

    pieces = []
    for piece in page(stored=stored()):
        pieces.append(piece)
        assert len(taken) <= pieces.count("sheet-0") + pieces.count("sheet-1") + 1
    written = "".join(pieces)
    assert taken == [0, 1, 2]
    texts = Parsed(written).texts
    assert [base64.b64decode(texts[f"sheet-{number}"]) for number in range(3)] == [bytes([n]) * 30 for n in range(3)]
    assert written.endswith("</body>\n</html>\n")


def test_cards_are_made_as_far_as_a_page_has_room():
    made = []

    def cards():
        for length in (4, 6, 1, 5):
            made.append(length)
            yield Markup("x" * length)

    for budget, kept in ((0, 1), (9, 1), (10, 2), (11, 3), (100, 4)):
        made.clear()
        assert [len(card) for card in within(cards(), budget)] == [4, 6, 1, 5][:kept]
        assert len(made) == min(kept + 1, 4)
    assert within([], 9) == []
