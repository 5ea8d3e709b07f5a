"""What matching writes: the table, the matrix, the figures and the page."""

import csv
import json
import re
from math import inf

import numpy as np
import pytest
from parsed_page import Parsed
from tiny_report import picture
from track_cases import seen

from kreid.errors import ConfigError
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from kreid.tracks.files import write_matches
from kreid.tracks.matching import distances, match, never_matched
from kreid.tracks.page import matches_page
from kreid.tracks.results import Results
from kreid.tracks.scoring import right, score
from tfrecords_tools.arrays import read_arrays

HOSTILE = "\"><img src=x onerror='window.hacked=1'>,<script>window.hacked=1</script>\udce9"  # and not UTF-8
# Directions in degrees: a and b overlap on camera 0, c is there later; d, e, f are on camera 1.
ANGLES = np.radians([0, 50, 5, 2, 45, 170])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def six(person=None):
    """The tracks above."""
    return seen((0, 0, 9), (0, 5, 9), (0, 20, 29), (1, 0, 9), (1, 1, 9), (1, 30, 39), person=person)


def results(person=None, pictures=True, **rules):
    tracks = six(person)
    distance = distances(VECTORS)
    distance[never_matched(tracks)] = inf
    found = match(tracks, distance, **rules)
    shown = [picture(row, 30 + row, 20) if pictures else None for row in range(12)]
    return Results("A run, matches", tracks, VECTORS, distance, found, "euclidean", shown.__getitem__)


def chord(degrees):
    return 2 * np.sin(np.radians(degrees) / 2)


# === Scores ===


def test_right_matches():
    found = results(person=[1, 2, 0, 1, 0, -1]).matches
    agree = right(six([1, 2, 0, 1, 0, -1]), found)
    named = dict(zip(zip(found.first.tolist(), found.second.tolist(), strict=True), agree.tolist(), strict=True))
    # a-d of one person, b-e of two, of whom one is a distractor, c-d likewise, and f is unknown.
    assert named == {(0, 3): 1, (1, 4): 0, (2, 3): 0, (3, 0): 1, (4, 1): 0, (5, 1): -1}


def test_people_have_their_numbers_inside_an_action():
    tracks = seen((0, 0, 1), (1, 0, 1), person=[1, 1], action=[0, 1])
    assert right(tracks, match(tracks, np.array([[inf, 1.0], [1.0, inf]]))).tolist() == [-1, -1]


def test_figures_are_those_of_images_across_cameras():
    """By hand: a and c find d first, d finds both of them; b's person is f, the last of five, and f finds b first."""
    person = [1, 2, 1, 1, 3, 2]
    one = results(person)
    figures = score(one.tracks, VECTORS, one.matches, "euclidean")
    assert figures["protocol"] == "cross_camera"
    assert (figures["queries"], figures["skipped"]) == (6, 1)  # e is nobody's
    assert figures["mAP"] == pytest.approx((1 + 1 / 5 + 1 + 1 + 1) / 5)
    assert figures["rank1"] == pytest.approx(4 / 5)
    assert (figures["matches"], figures["labelled_matches"]) == (6, 6)
    assert figures["right_matches"] == pytest.approx(4 / 6)


def test_figures_agree_with_queries_and_gallery_apart():
    rng = np.random.default_rng(4)
    cameras = np.arange(12) % 3
    tracks = seen(*((int(camera), 0, 1) for camera in cameras), person=(np.arange(12) // 3 + 1).tolist())
    vectors = rng.standard_normal((12, 4))
    found = match(tracks, np.full((12, 12), inf))
    twice = np.concatenate([np.arange(12)] * 2)
    labels = (tracks.person[twice], 0 * twice, twice, np.arange(24) < 12)
    embeddings = Embeddings(vectors[twice], *labels, camera=cameras[twice])
    expected = evaluate(rank(embeddings, protocol="cross_camera"))
    figures = score(tracks, vectors, found, "euclidean")
    assert {name: figures[name] for name in expected} == expected
    assert figures["right_matches"] is None


def test_without_labels_there_is_nothing_to_score():
    one = results()
    assert score(one.tracks, VECTORS, one.matches, "euclidean") is None


# === What a reader sees ===


def test_pairs_are_dicts_of_plain_values():
    pairs = results(person=[1, 2, 1, 1, 3, 2]).pairs()
    assert json.loads(json.dumps(pairs)) == pairs
    assert [pair["track"] + pair["match"] for pair in pairs] == ["ad", "be", "cd", "da", "eb", "fb"]
    assert (pairs[3]["camera"], pairs[3]["match_camera"], pairs[3]["place"]) == ("cam1", "cam0", 1)
    assert pairs[3]["margin"] == pytest.approx(chord(3) - chord(2))
    assert [pair["mutual"] for pair in pairs] == [True, True, False, True, True, False]


def test_it_is_shown_as_what_there_is_to_say_of_it():
    shown = [line.rsplit(maxsplit=1) for line in repr(results(person=[1, 2, 1, 1, 3, 2])).splitlines()]
    assert shown[:3] == [["tracks", "6"], ["crops", "12"], ["cameras", "2"]]
    assert shown[-3:] == [["right, of 6 with labels", "4"], ["mAP", "84.0"], ["rank-1", "80.0"]]
    assert "mAP" not in repr(results())


# === Files ===


def test_the_table(tmp_path):
    write_matches(results(), tmp_path)
    with (tmp_path / "matches.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["track"] + row["match"] for row in rows] == ["ad", "be", "cd", "da", "eb", "fb"]
    assert {row["camera"] + row["match_camera"] for row in rows} == {"cam0cam1", "cam1cam0"}
    np.testing.assert_allclose([float(row["distance"]) for row in rows], chord(np.array([2, 5, 3, 2, 5, 120])))
    assert float(rows[3]["margin"]) == pytest.approx(chord(3) - chord(2))
    assert [row["mutual"] for row in rows] == ["true", "true", "false", "true", "true", "false"]
    assert {row["place"] for row in rows} == {"1"}
    assert {row["overlap"] for row in rows} == {"0"}


def test_a_margin_that_nothing_has_is_empty(tmp_path):
    tracks = seen((0, 0, 1), (1, 0, 1))
    distance = np.array([[inf, 1.0], [1.0, inf]])
    write_matches(
        Results("x", tracks, np.eye(2), distance, match(tracks, distance), "euclidean", lambda row: None), tmp_path
    )
    assert (tmp_path / "matches.csv").read_text().splitlines()[1] == "a,cam0,b,cam1,1,1.0,,true,0"


def test_the_matrix(tmp_path):
    one = results(person=[1, 2, 1, 1, 3, 2])
    write_matches(one, tmp_path)
    arrays = read_arrays(tmp_path / "distances.npz")
    np.testing.assert_allclose(arrays["distance"], one.distance, rtol=1e-6)
    assert np.isinf(arrays["distance"][:3, :3]).all()
    assert arrays["track"].tolist() == list("abcdef")
    assert arrays["camera"].tolist() == ["cam0"] * 3 + ["cam1"] * 3
    assert arrays["person"].tolist() == [1, 2, 1, 1, 3, 2]
    assert (arrays["first"].tolist(), arrays["last"].tolist()) == ([0, 5, 20, 0, 1, 30], [9, 9, 29, 9, 9, 39])
    assert arrays["crops"].tolist() == [2] * 6
    np.testing.assert_allclose(arrays["vector"], VECTORS, rtol=1e-6)


def test_figures_of_an_earlier_run_do_not_stay(tmp_path):
    scored = results(person=[1, 2, 1, 1, 3, 2])
    write_matches(scored, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == scored.metrics
    write_matches(results(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"matches.csv", "matches.html", "distances.npz"}


def test_names_out_to_do_harm_stay_text(tmp_path):
    one = results()
    one.tracks.names[0] = HOSTILE
    write_matches(one, tmp_path)
    with (tmp_path / "matches.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert next(csv.DictReader(file))["track"] == HOSTILE
    page = (tmp_path / "matches.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    tags = {tag for tag, attributes in Parsed(page).elements if "onerror" in attributes or attributes.get("src") == "x"}
    assert not tags
    assert "\\udce9" in page
    assert read_arrays(tmp_path / "distances.npz")["track"][0] == HOSTILE


# === The page ===


def test_every_track_with_matches_has_a_card_the_nearest_first():
    parsed = Parsed("".join(matches_page(results(top=2))))
    cards = [attributes["aria-label"] for tag, attributes in parsed.elements if tag == "article"]
    names = ("cam0/a", "cam1/d", "cam0/c", "cam0/b", "cam1/e", "cam1/f")
    assert cards == [f"Track {name}" for name in names]
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("li") == 12
    assert tags.count("img") == (6 + 12) * 2
    assert "script" not in tags


def test_what_a_match_is_worth_is_said():
    page = "".join(matches_page(results(person=[1, 2, 1, 1, 3, 2])))
    assert page.count('<li class="right">') == 4
    assert page.count('<li class="wrong">') == 2
    assert page.count("another person") == 2
    assert page.count("mutual") - page.count("<dt>mutual") == 4
    assert f"margin {chord(3) - chord(2):#.3g}" in page
    assert f"margin −{chord(3) - chord(2):#.3g}" in "".join(matches_page(results(top=2)))
    assert "2 crops · frames 20–29" in page
    plain = "".join(matches_page(results(pictures=False)))
    assert 'class="right"' not in plain
    assert plain.count("no picture") == (6 + 6) * 2


def test_tracks_at_one_time_with_one_match_are_said():
    tracks = seen((0, 0, 9), (0, 5, 9), (1, 0, 9), (1, 50, 60))
    distance = np.full((4, 4), inf)
    distance[:2, 2:] = [[1, 2], [1, 3]]
    distance[2:, :2] = distance[:2, 2:].T
    found = Results("x", tracks, np.eye(4), distance, match(tracks, distance), "euclidean", lambda row: None)
    page = "".join(matches_page(found))
    assert page.count("a track at the same time on the same camera has this match too") == 2
    facts = dict(found.facts())
    assert facts["pairs that overlap in time on one camera: never matched"] == "1"
    assert facts["matches that an overlapping track has too: not all right"] == "2"


def test_who_has_no_match_is_counted_and_what_the_budget_leaves_out_is_said():
    page = "".join(matches_page(results(one_to_one=True, most=0.2)))
    assert "Without a match: 2 of 6 tracks." in page
    assert "Without a match" not in "".join(matches_page(results()))
    short = "".join(matches_page(results(), budget=1))
    assert short.count("<article") == 1
    assert "it shows the first 1 of 6 tracks with matches; matches.csv has them all" in short
    nothing = "".join(matches_page(results(most=0.0)))
    assert "Without a match: 6 of 6 tracks." in nothing
    assert "<article" not in nothing


def test_what_is_said_of_a_match_stands_below_its_track():
    from kreid.tracks.folders import tracks_of_paths

    # One to one, b goes to right/d at 2 although right/c is nearer by 1.
    tracks = tracks_of_paths(["left/a/1.png", "left/b/2.png", "right/c/1.png", "right/d/2.png"])
    distance = np.full((4, 4), inf)
    distance[:2, 2:] = [[0, 2], [1, 2]]
    distance[2:, :2] = distance[:2, 2:].T
    found = match(tracks, distance, one_to_one=True)
    page = "".join(matches_page(Results("x", tracks, np.eye(4), distance, found, "euclidean", lambda row: None)))
    text = " ".join(re.sub("<[^>]*>", " ", page[page.index("<article") :]).split())
    assert "left/b 1 crop · frame 2 no picture right/d 1 crop · frame 2 no picture distance 2.00 margin −1.00" in text
    assert "below 0 another one is nearer" in " ".join(page.split())


def test_a_long_track_shows_crops_over_its_time():
    from kreid.tracks.folders import tracks_of_paths

    paths = [f"left/a/{frame}.png" for frame in range(9)] + ["right/b/1.png"]
    asked = []
    tracks = tracks_of_paths(paths)
    distance = np.array([[inf, 1.0], [1.0, inf]])
    found = match(tracks, distance, one_to_one=True)
    page = "".join(matches_page(Results("x", tracks, np.eye(2), distance, found, "euclidean", asked.append)))
    assert sorted(asked) == [0, 2, 4, 6, 8, 9]
    assert "9 crops · frames 0–8" in page
    assert "1 crop · frame 1<" in page


def test_what_cannot_be_written_or_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="results: expected a Results, received a list; give what kreid.match return"):
        write_matches(results().pairs(), "out")
    with pytest.raises(ConfigError, match="folder: expected the path of the folder to write into, received None"):
        write_matches(results(), None)
    with pytest.raises(ConfigError, match="gs://bucket/out: an address, expected a path on this machine"):
        write_matches(results(), "gs://bucket/out")
    assert not list(tmp_path.iterdir())
