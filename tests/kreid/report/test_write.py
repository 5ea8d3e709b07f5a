"""The report's file: what stands in it, that it is small, asks for nothing, and is whole or not there."""

import base64
import hashlib
import inspect
import io
import pydoc
import re
from dataclasses import replace

import numpy as np
import pytest
from parsed_page import Parsed
from PIL import Image
from ranking_cases import count_matching
from tiny_report import make_ranking

import kreid
from kreid.errors import ConfigError
from kreid.ranking.figures import QueryFigures
from kreid.ranking.files import to_json
from kreid.ranking.lists import Ranking
from kreid.ranking.scores import average_precision, evaluate
from kreid.ranking.verification import roc_of_ranking
from kreid.report.data import Look
from kreid.report.write import write_report
from tfrecords_tools.index import read_index
from tfrecords_tools.records import FOOTER, HEADER, frame

pytestmark = pytest.mark.usefixtures("short_resnet")


@pytest.fixture
def tiny(tmp_path):
    return *make_ranking(tmp_path / "records"), tmp_path / "report.html"


def read(path):
    return Parsed(path.read_text(encoding="utf-8"))


def lists(data):
    """The ranking file's content, read back from the page as its script does."""
    images, starts, found = data["images"], data["starts"], {}
    for query, image in enumerate(data["queries"]["image"]):
        base = max(start for start in starts if start <= image)
        entries = slice(*data["queries"]["start"][query : query + 2])
        found[str(images["bbox"][image])] = [images["bbox"][base + one] for one in data["entries"]["image"][entries]]
    return found


def chart(page, title):
    """What a page has of a chart, its drawing and its table."""
    (found,) = re.findall(rf"<figure[^>]*>(?:(?!</figure>).)*{title}.*?</figure>", page, re.DOTALL)
    return found


def test_page_holds_the_ranking(tiny):
    ranking, records, path = tiny
    assert write_report(ranking, records, path, "A run") == path
    page = read(path)
    assert lists(page.data) == to_json(ranking)
    assert page.texts["title"].strip() == "A run"
    order = np.argsort([int(bbox) for bbox in lists(page.data)])
    np.testing.assert_allclose(np.array(page.data["queries"]["ap"])[order], average_precision(ranking))
    assert sorted(page.data["entries"]["distance"]) == pytest.approx(sorted(ranking.distance), rel=1e-3)


@pytest.mark.parametrize("withheld", [False, True])
def test_figures_are_computed_once_for_a_report(tmp_path, monkeypatch, withheld):
    ranking, records = make_ranking(tmp_path / "records", withheld=withheld)
    found = count_matching(monkeypatch)
    write_report(ranking, records, tmp_path / "report.html", "A run", look=lambda pairs: [None] * len(pairs))
    assert found == ([] if withheld else [ranking] * 2)  # for scores and for pairs; the ranking keeps its answer


def test_charts_of_one_bar_are_left_out(tmp_path):
    titles = {}
    for role, actions in ((None, ((2, 5), (3, 8))), ("", ((2, 5), (3, 5)))):
        fields = {} if role is None else {"role": role}
        ranking, records = make_ranking(tmp_path / f"records-{role}", actions=actions, **fields)
        page = write_report(ranking, records, tmp_path / "report.html", "A run").read_text(encoding="utf-8")
        titles[role] = re.findall("<h3>(mAP by .*?)</h3>", page)
    assert titles == {None: ["mAP by role", "mAP by image height", "mAP by gallery"], "": ["mAP by image height"]}


@pytest.mark.parametrize(
    "actions, protocol, counts, gallery, units",
    [
        (1, "action", "9 gallery images · 1 action", "other picture of the same action, ranked", "actions"),
        (1, "cross_camera", "9 gallery images · 2 cameras", "other picture, without those of its person on", "people"),
        (2, "cross_camera", "2 actions · 2 cameras", "of the same action, without those of its person", "actions"),
    ],
)
def test_page_speaks_of_its_protocol(tmp_path, actions, protocol, counts, gallery, units):
    ranking, records = make_ranking(tmp_path / "records", actions=((3, 9),) * actions)
    images = replace(ranking.images, camera=np.where(ranking.images.is_query, 0, 1))  # so that all counts by either
    write_report(replace(ranking, images=images, protocol=protocol), records, tmp_path / "report.html", "A run")
    text = " ".join((tmp_path / "report.html").read_text(encoding="utf-8").split())
    for expected in (f"{counts}</p>", gallery, f"with other {units} of this kind"):
        assert expected in text


def test_hardest_queries_come_first(tiny):
    ranking, records, path = tiny
    write_report(ranking, records, path, "A run")
    precision = read(path).data["queries"]["ap"]
    assert precision == sorted(precision)


def test_headline_is_what_evaluate_gives(tiny):
    ranking, records, path = tiny
    write_report(ranking, records, path, "A run", paper_row={"system": "Theirs", "mAP": 0.637, "rank1": 0.528})
    text = path.read_text()
    scores = evaluate(ranking)
    values = re.findall(r'<p class="value">([\d.]+)<small>', text)
    assert values == [f"{100 * scores[name]:.1f}" for name in ("mAP", "rank1", "rank5")]
    assert text.count('class="beside">Theirs: ') == 2
    assert 'data-tip="Theirs: rank-1 52.8 %"' in text
    assert f"{100 * scores['mAP'] - 63.7:+.1f}".replace("-", "−") in text


def test_limit_lists_the_hardest_and_counts_all(tiny):
    ranking, records, path = tiny
    write_report(ranking, records, path, "A run")
    everything, scores = read(path).data, re.findall(r'class="value">[\d.]+', path.read_text())
    write_report(ranking, records, path, "A run", limit=2)
    page = read(path)
    assert page.data["queries"]["ap"] == everything["queries"]["ap"][:2]
    whole = to_json(ranking)
    assert lists(page.data) == {bbox: whole[bbox] for bbox in lists(page.data)}
    assert re.findall(r'class="value">[\d.]+', path.read_text()) == scores
    assert "the 2 hardest of 5 queries" in path.read_text()


def test_small_budget_leaves_queries_out_but_never_all(tiny):
    ranking, records, path = tiny
    write_report(ranking, records, path, "A run", budget=1)
    page = read(path)
    assert len(page.data["queries"]["image"]) == 1
    assert sum(attributes.get("id", "").startswith("sheet-") for _, attributes in page.elements) == 1
    assert "the 1 hardest of 5 queries" in path.read_text()


def test_budget_counts_the_galleries_too(tmp_path):
    ranking, records = make_ranking(tmp_path / "records", actions=((3, 9),) * 12)
    path, totals, numbers = tmp_path / "report.html", [], []
    for budget in (10**9, None):
        page = read(write_report(ranking, records, path, "A run", budget=budget or totals[0] // 2))
        totals.append(sum(len(text) for name, text in page.texts.items() if name.startswith("sheet-")))
        numbers.append(len(page.data["queries"]["image"]))
    assert numbers[0] == 36
    assert 1 < numbers[1] < 36
    assert totals[0] / 4 < totals[1] < totals[0] * 0.6


def cut(ranking, nearest):
    """The ranking as `rank` makes it with `nearest`."""
    kept = np.arange(len(ranking.gallery)) - np.repeat(ranking.offsets[:-1], ranking.sizes) < nearest
    ends = np.append(0, np.minimum(ranking.sizes, nearest).cumsum())
    return Ranking(ranking.images, ranking.query, ends, ranking.gallery[kept], ranking.distance[kept], nearest=nearest)


def test_the_first_of_large_galleries_are_shown_with_the_figures_of_all(tmp_path):
    whole, records = make_ranking(tmp_path / "records", actions=((6, 150), (1, 2)), noise=4.0)
    path, short, asked = tmp_path / "report.html", cut(whole, 30), []
    figures = QueryFigures.of(whole)
    assert figures.first_match.max() > 30

    def look(pairs):
        asked.extend(pairs.tolist())
        return [None] * len(pairs)

    write_report(short, records, path, "A run", figures=figures, look=look)
    page, whole_lists = read(path), to_json(whole)
    assert lists(page.data) == {query: gallery[:30] for query, gallery in whole_lists.items()}
    assert sorted(page.data["queries"]["size"]) == [2] + [150] * 6
    assert sorted(page.data["queries"]["first"]) == sorted(figures.first_match.tolist())
    assert set(map(tuple, asked)) <= set(zip(whole.query[short.owner], short.gallery, strict=True))
    shown, first_action = len(page.data["images"]["bbox"]), page.data["starts"][1]
    assert shown == 7 + len(np.unique(short.gallery)) < 7 + 152
    assert page.data["sheets"] == [0, 100, first_action]  # an action of more than 100 pictures has several
    assert sum(attributes.get("id", "").startswith("sheet-") for _, attributes in page.elements) == 3
    text = path.read_text()
    assert "7 queries · 152 gallery images · 2 actions" in text
    assert "Of each query the nearest 30 gallery images are listed; the figures count all." in text
    assert f"{100 * evaluate(whole)['mAP']:.1f}" in text
    assert "Same person or not" not in text  # which the lists' beginnings do not tell
    write_report(short, records, path, "A run", figures=figures, curve=roc_of_ranking(whole))
    told = path.read_text()
    write_report(whole, records, path, "A run")
    assert chart(told, "Same person or not") == chart(path.read_text(), "Same person or not")

    with pytest.raises(ValueError, match="holds the nearest 30 images of each query, and scores need all"):
        write_report(short, records, path, "A run")
    with pytest.raises(ValueError, match="figures: expected those of the ranking's queries, in its order"):
        write_report(short, records, path, "A run", figures=QueryFigures.of(make_ranking(tmp_path / "other")[0]))


def test_withheld_labels_show_rankings_without_scores(tmp_path):
    ranking, records = make_ranking(tmp_path / "records", withheld=True)
    write_report(ranking, records, tmp_path / "report.html", "Challenge")
    page = read(tmp_path / "report.html")
    assert lists(page.data) == to_json(ranking)
    assert page.data["labelled"] is False
    assert "ap" not in page.data["queries"]
    assert page.data["queries"]["gap"] == sorted(page.data["queries"]["gap"])
    assert not any("headline" in (attributes.get("class") or "") for _, attributes in page.elements)
    assert "withheld" in (tmp_path / "report.html").read_text()


def test_queries_without_match_come_last_and_are_counted(tmp_path):
    ranking, records = make_ranking(tmp_path / "records", actions=((2, 4), (3, 1), (1, 0)))
    write_report(ranking, records, tmp_path / "report.html", "Gaps")
    page = read(tmp_path / "report.html")
    assert page.data["queries"]["ap"][-3:] == [None] * 3
    assert page.data["queries"]["first"][-3:] == [0] * 3
    assert lists(page.data) == to_json(ranking)
    assert "3 queries have no picture of the person in the gallery" in (tmp_path / "report.html").read_text()


def test_no_match_at_all_is_said(tmp_path):
    ranking, records = make_ranking(tmp_path / "records", actions=((1, 0), (2, 0)))
    write_report(ranking, records, tmp_path / "report.html", "Nothing")
    assert "nothing can be scored" in (tmp_path / "report.html").read_text()


def test_page_asks_for_nothing_and_runs_its_own_script_only(tiny):
    ranking, records, path = tiny
    write_report(ranking, records, path, "A run")
    page = read(path)
    policy = next(attributes["content"] for _, attributes in page.elements if "http-equiv" in attributes)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for tag, ending in (("script", "</script>\n<script"), ("style", "</style>")):
        content = path.read_text().split(f"<{tag}>")[1].split(ending)[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert not re.search("innerHTML|outerHTML|insertAdjacentHTML|document.write|eval|@import", content)
    linked = [attributes.get("src") or attributes.get("href") for _, attributes in page.elements]
    assert {link for link in linked if link} == {"data:,"}
    assert not any("style" in attributes for _, attributes in page.elements)  # the policy would drop it


def test_look_is_asked_for_the_hardest_beside_their_best(tiny):
    ranking, records, path = tiny
    asked = []

    def look(pairs):
        for query, gallery in pairs.tolist():
            asked.append((query, gallery))
            red = np.full((4, 6, 3), (250, 10, 20), np.uint8)
            groups = {"Here": ["<b>one</b>"], "There": ["two", "three"]}
            yield None if query == ranking.query[0] else Look(red, groups, "<i>note</i>")

    write_report(ranking, records, path, "A run", look=look)
    page = read(path)
    expected = set()
    for query, start, stop in zip(ranking.query, ranking.offsets, ranking.offsets[1:], strict=False):
        match = start + np.flatnonzero(ranking.match[start:stop])[0]
        expected |= {(int(query), int(ranking.gallery[place])) for place in {*range(start, start + 3), match}}
    assert len(asked) == len(expected)
    assert set(asked) == expected
    rows = {}  # of the page's images, by what they are
    for number, bbox in enumerate(page.data["images"]["bbox"]):
        rows.setdefault((bbox, number in page.data["queries"]["image"]), number)
    images = ranking.images
    shown = {
        "-".join(str(rows[int(images.bbox[row]), bool(images.is_query[row])]) for row in pair)
        for pair in expected
        if pair[0] != ranking.query[0]
    }
    assert set(page.data["looks"]) == shown
    texts = {"groups": [["Here", ["<b>one</b>"]], ["There", ["two", "three"]]], "note": "<i>note</i>"}
    assert all(found == texts for found in page.data["looks"].values())
    stored = {name: text for name, text in page.texts.items() if name.startswith("look-")}
    assert set(stored) == {f"look-{pair}" for pair in shown}
    with Image.open(io.BytesIO(base64.b64decode(next(iter(stored.values()))))) as image:
        assert (image.format, image.size) == ("WEBP", (6, 4))
        assert image.convert("RGB").getpixel((3, 2)) == pytest.approx((250, 10, 20), abs=12)
    assert not any(tag in ("b", "i") and not attributes for tag, attributes in page.elements)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"limit": 0}, "limit: expected at least 1"),
        ({"paper_row": {"map": 0.5}}, "paper_row: expected the keys .* received 'map'"),
        ({"paper_row": {"mAP": 63.7}}, "fraction from 0 to 1"),
        ({"paper_row": {"rank1": "52"}}, "fraction from 0 to 1"),
        (
            {"look": lambda pairs: [Look(np.zeros((4, 4)), {})] * len(pairs)},
            r"look: pair \d+-\d+: expected a picture",
        ),
    ],
)
def test_mistakes_are_named_and_leave_nothing(tiny, arguments, message):
    ranking, records, path = tiny
    path.write_text("an older page")
    with pytest.raises(ValueError, match=message):
        write_report(ranking, records, path, "A run", **arguments)
    assert path.read_text() == "an older page"
    assert {one.name for one in path.parent.iterdir()} == {"records", "report.html"}


def test_other_records_are_refused(tiny, tmp_path):
    ranking, _, path = tiny
    _, other = make_ranking(tmp_path / "other", actions=((2, 5), (3, 7)))
    with pytest.raises(ValueError, match="has no gallery image 12 in action 1"):
        write_report(ranking, other, path, "A run")


@pytest.mark.parametrize(
    "framed, message",
    [
        (False, r"00001\.tfrecord: action 0 bbox 2: the record is damaged, its checksum differs; run kreid-convert"),
        (True, "test: image 2 of action 0: expected an image"),  # it was stored so
    ],
)
def test_broken_picture_is_named(tiny, framed, message):
    ranking, records, path = tiny
    index = read_index(records)
    shard = bytearray(index.shards[0].read_bytes())
    start, end = int(index.offset[4]), int(index.offset[4] + index.length[4])
    picture = shard.index(b"\x89PNG", start)
    shard[picture + 1 : picture + 4] = b"XXX"
    if framed:
        shard[start - HEADER : end + FOOTER] = frame(bytes(shard[start:end]))
    index.shards[0].write_bytes(shard)
    with pytest.raises(ValueError, match=message):
        write_report(ranking, records, path, "A run")
    assert not path.exists()


def test_same_input_gives_the_same_file(tiny):
    ranking, records, path = tiny
    first = write_report(ranking, records, path, "A run").read_bytes()
    assert write_report(ranking, records, path, "A run").read_bytes() == first


def test_progress_counts_to_the_end(tiny):
    ranking, records, path = tiny
    seen = []
    write_report(ranking, records, path, "A run", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (18, 18)


@pytest.mark.parametrize("name", ["page.txt", "page", "page.html.gz"])
def test_a_page_has_the_name_of_one(tmp_path, name):
    ranking, records = make_ranking(tmp_path)
    with pytest.raises(ConfigError, match=r"^path: expected a name that ends in \.html or \.htm, received '.*page"):
        write_report(ranking, records, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["PAGE.HTM", "page.html"])
def test_both_endings_will_do(tmp_path, name):
    ranking, records = make_ranking(tmp_path)
    assert write_report(ranking, records, tmp_path / name).is_file()


def test_help_says_at_once_how_a_report_is_called():
    text = pydoc.render_doc(kreid.report, renderer=pydoc.plaintext)
    head = text[: text.index("Example:")]
    assert 'kreid.report(ranking, records, path, title="Ranking", **options) -> Path' in head.splitlines()[3]
    named, further = [], []
    for name, parameter in inspect.signature(write_report).parameters.items():
        (further if parameter.kind is parameter.KEYWORD_ONLY else named).append(name)
    assert re.findall(r"^ {8}(\w+): ", head, flags=re.M)[: len(named)] == named
    assert all(f"`{name}`" in head for name in further)
    assert [*inspect.signature(kreid.report).parameters] == [*named, "options"]
