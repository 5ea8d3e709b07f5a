"""The report as a person meets it: opened from disk in a real browser, by pointer and by keys."""

import numpy as np
import pytest
from browser import open_browser
from tiny_report import HOSTILE, colour, make_ranking, picture

from kreid.ranking.neighbours import search as find
from kreid.report.data import Look
from kreid.report.write import write_report
from kreid.search.crops import Crops
from kreid.search.files import write_results
from kreid.search.results import Results


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    ranking, records = make_ranking(folder / "records", actions=((8, 20),) * 40, noise=1.2)

    def look(pairs):
        person = ranking.images.person
        for pair in pairs:
            tiles = [
                [np.full((12, 8, 3), colour(person[row] + column), np.uint8) for column in (0, 1, 2)] for row in pair
            ]
            picture = np.concatenate([np.concatenate(row, axis=1) for row in tiles])
            yield Look(picture, {"Alike": ["everywhere\n+0.500"], "Maps": ["<conv1>", "conv2"]}, "<Noted>")

    paper = {"system": "Theirs", "mAP": 0.637, "rank1": 0.528}
    return write_report(ranking, records, folder / "report.html", "A run", paper_row=paper, look=look)


def listed(browser):
    """What stands first in every row, from top to bottom."""
    return browser.run("[...document.querySelectorAll('.slot')].map(slot => slot.innerText.split('\\n')[0])")


def found(browser):
    return browser.run("document.getElementById('found').textContent")


def search(browser, text):
    browser.run("$('search').value = ''; $('search').dispatchEvent(new Event('input')); $('search').focus()")
    browser.type(text)


def pixel(browser, selector):
    """The colour in the middle of a canvas, once its picture is there; of a copy, as browsers warn of many readings."""
    return browser.run(
        f"new Promise(done => {{ const look = () => {{ const c = document.querySelector({selector!r});"
        "const copy = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });"
        "if (c) copy.drawImage(c, c.width / 2, c.height / 2, 1, 1, 0, 0, 1, 1);"
        "const p = [...copy.getImageData(0, 0, 1, 1).data];"
        "p[3] ? done(p.slice(0, 3)) : setTimeout(look, 20); }; look(); })"
    )


@pytest.mark.parametrize("width, height, dark", [(1280, 900, False), (390, 844, True)])
def test_opens_from_disk_quietly(browser, report, width, height, dark):
    browser.open(report, width, height, dark)
    assert found(browser) == "320 queries"
    assert browser.run("document.documentElement.scrollWidth") == width
    browser.run("$('list-title').scrollIntoView()")
    browser.settle()
    assert 5 < browser.run("document.querySelectorAll('.slot').length") < 20  # of 320
    assert browser.messages == []
    outside = [url for url in browser.requests if not url.startswith("data:image/webp") and url != report.as_uri()]
    assert outside == []
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 150) == dark
    overlapping = browser.run(
        "[...document.querySelectorAll('.row')].some(row => row.scrollHeight > row.clientHeight + 1)"
    )
    assert not overlapping


def test_shows_the_picture_of_the_query(browser, report):
    browser.open(report)
    search(browser, "query:17")
    person = browser.run("images.person[queries.image[shown[0]]]")
    assert pixel(browser, ".slot canvas") == pytest.approx(colour(person), abs=12)
    nearest = browser.run("images.person[galleryOf(shown[0])[0].image]")
    assert pixel(browser, ".strip canvas") == pytest.approx(colour(nearest), abs=12)


def test_marks_hits_and_misses(browser, report):
    browser.open(report)
    kinds = "[...shown.keys()].map(q => galleryOf(q).map(one => one.kind || '-').join(' '))"
    for row, first in zip(browser.run(kinds), browser.run("queries.first"), strict=True):
        assert row.split() == ["miss"] * (first - 1) + ["hit"] + ["-"] * (20 - first)


@pytest.mark.parametrize(
    "text, count",
    [
        ("", "320 queries"),
        ("query:12", "1 of 320"),
        ("action:3", "8 of 320"),
        ("action:3-4", "16 of 320"),
        ("action:3 role:referee", "2 of 320"),
        ('role:"Main_referee"', "80 of 320"),
        ('role:"Main"', "0 of 320"),
        ("GOALKEEPER", "80 of 320"),
        ("player left", "80 of 320"),
        ("gallery:20", "320 queries"),
        ("height:999", "0 of 320"),
        ("ap:0-100", "320 queries"),
        ('game:"A - B"', "320 queries"),
        ("nonsense:5", "0 of 320"),
        ("<script>", "0 of 320"),
    ],
)
def test_search(browser, report, text, count):
    if not browser.run("window.untouched === true"):  # any other test opens the page anew and may leave a filter set
        browser.open(report)
        browser.run("window.untouched = true")
    search(browser, text)
    assert found(browser) == count


def test_ranges_of_precision_share_no_query(browser, report):
    browser.open(report)
    counts = []
    for low in range(0, 100, 10):
        search(browser, f"ap:{low}-{low + 10}")
        counts.append(browser.run("shown.length"))
    assert sum(counts) == 320
    tips = browser.run("[...document.querySelectorAll('.mark[data-search^=\"ap:\"]')].map(mark => mark.dataset.tip)")
    assert counts == [int(tip.split(": ")[1].split(" ")[0]) for tip in tips]


def test_order_outcome_and_reverse(browser, report):
    browser.open(report)
    choose = "$('{0}').value = '{1}', $('{0}').dispatchEvent(new Event('change'))"
    browser.run(choose.format("outcome", "found"))
    right = browser.run("shown.length")
    assert browser.run("shown.every(q => queries.first[q] === 1)")
    browser.run(choose.format("outcome", "missed"))
    assert browser.run("shown.length") + right == 320
    browser.run(choose.format("order", "first"))
    places = browser.run("shown.map(q => queries.first[q])")
    assert places == sorted(places, reverse=True)
    browser.click("#reverse")
    assert browser.run("shown.map(q => queries.first[q])") == places[::-1]


def test_far_rows_come_as_one_scrolls(browser, report):
    browser.open(report)
    before = listed(browser)
    for part in (0.3, 0.5, 0.7, 1):
        browser.run(f"window.scrollTo(0, {part} * document.body.scrollHeight)")
        browser.settle()
    browser.until("[...document.querySelectorAll('.slot')].some(slot => slot.ariaPosInSet === '320')")
    assert len(listed(browser)) < 20
    browser.run("window.scrollTo(0, 0)")
    browser.settle()
    assert listed(browser)[:3] == before[:3]


def test_keys_reach_everything(browser, report):
    browser.open(report)
    browser.press("/")
    assert browser.run("document.activeElement.id") == "search"
    for _ in range(4):
        browser.press("Tab")
    assert browser.run("document.activeElement.className") == "row"
    for _ in range(30):
        browser.press("ArrowDown")
    place = "document.activeElement.closest('.slot')?.ariaPosInSet"
    assert browser.run(place) == "31"
    bbox = browser.run("images.bbox[queries.image[shown[30]]]")
    assert f", query {bbox}, action " in browser.run("document.activeElement.ariaLabel")  # without all its pictures
    browser.press("Enter")
    assert browser.run("document.getElementById('details').open")
    assert browser.run("location.hash") == f"#query-{bbox}"
    browser.press("ArrowRight")
    assert browser.run("document.querySelector('.two').innerText.includes('Place 2 of 20')")
    browser.press("n")
    assert browser.run("opened.place") == 31
    browser.press("Escape")
    browser.until("!document.getElementById('details').open && location.hash === ''")  # told in an event of its own
    assert browser.run(place) == "32"
    assert browser.messages == []


def test_pair_shows_both_pictures(browser, report):
    browser.open(report)
    browser.click(".row")
    query, gallery = browser.run("[images.person[queries.image[shown[0]]], images.person[opened.gallery[0].image]]")
    assert pixel(browser, "#pair .two > :first-child canvas") == pytest.approx(colour(query), abs=12)
    assert pixel(browser, "#pair .two > :last-child canvas") == pytest.approx(colour(gallery), abs=12)
    browser.click("#close")
    assert not browser.run("document.getElementById('details').open")


@pytest.mark.parametrize("width, height", [(1280, 900), (390, 844)])
def test_pair_shows_what_the_network_sees(browser, report, width, height):
    browser.open(report, width, height)
    browser.click(".row")
    for place in (0, 1):
        person = browser.run(f"[queries.image[shown[0]], opened.gallery[{place}].image].map(i => images.person[i])")
        for side, who in zip(("first", "last"), person, strict=True):
            for column, (group, child) in enumerate((("first", 1), ("last", 1), ("last", 2))):
                tile = f"#tiles > section:{group}-child .two > :{side}-child figure:nth-child({child})"
                assert pixel(browser, f"{tile} canvas") == pytest.approx(colour(who + column), abs=14)
        captions = browser.run("[...document.querySelectorAll('#tiles figcaption')].map(one => one.innerText)")
        assert captions == ["everywhere\n+0.500"] * 2 + ["<conv1>", "conv2"] * 2
        assert browser.run("document.querySelector('#tiles canvas').ariaLabel") == "everywhere +0.500, query"
        assert "share a scale. <Noted>" in browser.run("document.getElementById('looks').innerText")
        browser.click(f"#place-{place + 1}")
    assert browser.run("document.querySelector('.columns').scrollWidth") <= width
    browser.run("choosePlace(opened.gallery.findLastIndex(one => !one.kind))")  # far behind
    assert browser.run("document.querySelectorAll('#tiles canvas').length") == 0
    assert "hardest queries only" in browser.run("document.getElementById('looks').innerText")
    assert browser.messages == []


@pytest.mark.parametrize("width", [1280, 390])
def test_marker_of_the_chosen_place_stands_on_the_line_of_distances(browser, report, width):
    browser.open(report, width)
    browser.click(".row")
    middle = "(box => box.x + box.width / 2)(document.querySelector('#distances {}').getBoundingClientRect())"
    for place in (1, 2):
        browser.press("ArrowRight")
        tick = browser.run(middle.format(f".tick:nth-of-type({place + 2})"))  # the first line is the axis
        assert browser.run(middle.format(".pointer")) == pytest.approx(tick, abs=1)
    assert browser.run("document.querySelector('#distances .pointer').getBoundingClientRect().height") > 4


def test_link_opens_its_query(browser, report):
    browser.open("about:blank")
    browser.open(f"{report.as_uri()}#query-45")
    assert browser.run("document.getElementById('details-title').textContent").endswith("query 45")


def test_bar_lists_its_queries_and_tells_its_value(browser, report):
    browser.open(report)
    bar = ".mark[data-search='role:\"Main_referee\"']"
    browser.click(f"{bar} .bar")
    assert found(browser) == "80 of 320"
    browser.run("document.querySelectorAll('.chart')[0].focus()")
    browser.settle()  # for the scrolling, which hides the tip
    for _ in range(3):
        browser.press("ArrowRight")
    assert browser.run("document.getElementById('tip').textContent").startswith("Among the first 3: ")


def test_theme_goes_round(browser, report):
    browser.open(report, dark=True)
    colours = []
    for _ in range(3):
        browser.click("#theme")
        colours.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]
    assert colours[1] == colours[2]  # dark, and automatic in a dark system


def test_hostile_names_execute_nothing(browser, tmp_path):
    ranking, records = make_ranking(tmp_path / "records", **HOSTILE)
    attack = "</title><script>window.hacked=1</script>"
    page = write_report(
        ranking, records, tmp_path / "report.html", attack, paper_row={"system": HOSTILE["role"], "rank1": 0.5}
    )
    browser.open(page)
    browser.run("document.querySelector('.row').click()")
    browser.settle()
    assert browser.run("document.title") == attack
    assert browser.run("document.getElementById('details-title').textContent").startswith(HOSTILE["role"])
    assert browser.run("document.querySelectorAll('img, svg[onload]').length") == 0
    assert browser.run("window.hacked ?? null") is None
    assert browser.messages == []  # such as a script that the policy stopped
    assert browser.dialogs == []


def test_withheld_labels(browser, tmp_path):
    ranking, records = make_ranking(tmp_path / "records", withheld=True)
    browser.open(write_report(ranking, records, tmp_path / "report.html", "Challenge"))
    assert found(browser) == "5 queries"
    assert browser.run("document.getElementById('outcome')") is None
    browser.click(".row")
    assert "Distance" in browser.run("document.getElementById('pair').innerText")
    assert browser.run("document.getElementById('looks').hidden")  # none was asked for
    assert browser.run("document.querySelectorAll('.hit, .miss').length") == 0
    assert browser.messages == []


def test_query_without_gallery(browser, tmp_path):
    ranking, records = make_ranking(tmp_path / "records", actions=((2, 4), (1, 0)))
    browser.open(write_report(ranking, records, tmp_path / "report.html", "Gaps"))
    search(browser, "gallery:0")
    browser.click(".row")
    assert "no gallery" in browser.run("document.getElementById('pair').innerText")
    assert browser.messages == []


@pytest.mark.parametrize("width, dark", [(1280, False), (390, True)])
def test_search_results_open_quietly(browser, tmp_path, width, dark):
    vectors = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    name = lambda row: f"{'long' * 20}/{HOSTILE['role']}{row}"  # noqa: E731
    crops = Crops(vectors, name, lambda row: picture(row, 60 + row, 60) if row else None)
    results = Results(HOSTILE["game"], crops, crops, find(vectors, vectors, 12), "euclidean")
    page = write_results(results, tmp_path / "search.html")
    browser.open(page, width, 900, dark)
    assert browser.run("document.title") == HOSTILE["game"]
    assert browser.run("document.documentElement.scrollWidth") == width
    shown = "[...document.querySelectorAll('img')].map(one => one.naturalHeight)"
    assert browser.run(shown).count(60 + 1) == np.count_nonzero(find(vectors, vectors, 12).index == 1) + 1
    assert browser.run("document.querySelectorAll('article:first-of-type li').length") == 12
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 150) == dark
    assert browser.run("window.hacked ?? null") is None
    assert browser.messages == []
    assert [url for url in browser.requests if not url.startswith("data:image/webp") and url != page.as_uri()] == []
