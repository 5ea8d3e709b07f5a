"""Protocols: torchreid's recorded figures, a naive loop over drawn cases, cases by hand, and the memory of blocks."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import paths
import pytest
from ranking_cases import filmed

from kreid.ranking import ordering, sorting
from kreid.ranking.distances import pairwise
from kreid.ranking.embeddings import Embeddings, Images
from kreid.ranking.figures import TIES, QueryFigures, same_queries
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import figures_by_ties, figures_of, rank, rank_by
from kreid.ranking.protocols import PROTOCOLS, gallery_sizes, matchable
from kreid.ranking.scores import evaluate
from kreid.ranking.sorting import nearest_first
from kreid.ranking.statistics import compare, intervals

GOLDEN = np.load(paths.GOLDEN / "market1501_eval.npz")
CASES = json.loads(str(GOLDEN["meta"]))["cases"]
COLUMNS = ("bbox", "action", "gallery_size", "average_precision", "first_match", "unit")
CROSS = {"protocol": "cross_camera"}


def recorded(case):
    """A recorded case as one action whose bbox indices count queries and gallery."""
    parts = [[GOLDEN[f"{case}/{kind}{label}"] for kind in ("query", "gallery")] for label in ("", "_person", "_camera")]
    vectors, person, camera = (np.concatenate(part) for part in parts)
    queries, gallery = map(len, parts[0])
    is_query = np.arange(queries + gallery) < queries
    bbox = np.concatenate([np.arange(queries), np.arange(gallery)])
    return Embeddings(vectors, person, np.zeros(len(bbox), int), bbox, is_query, camera=camera)


def naive(embeddings, ties="order"):
    """Size of gallery, average precision and first match of every query by bbox index: drop, sort, walk, count."""
    result = {}
    for row in np.flatnonzero(embeddings.is_query):
        entries = []
        for other in np.flatnonzero(~embeddings.is_query & (embeddings.action == embeddings.action[row])):
            match = embeddings.person[other] == embeddings.person[row]
            if embeddings.person[other] == -1 or (match and embeddings.camera[other] == embeddings.camera[row]):
                continue
            difference = embeddings.vectors[other].astype(float) - embeddings.vectors[row].astype(float)
            second = {"order": 0, "optimistic": not match, "pessimistic": match}[ties]
            entries.append((np.sqrt((difference**2).sum()), second, embeddings.bbox[other], match))
        places = [place for place, (*_, match) in enumerate(sorted(entries), start=1) if match]
        precision = np.mean([number / place for number, place in enumerate(places, start=1)]) if places else np.nan
        result[int(embeddings.bbox[row])] = (len(entries), precision, places[0] if places else 0)
    return result


def equal(first, other):
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(first, name), getattr(other, name))


def by_hand(*gallery, queries=((1, 1),)):
    """One action whose gallery of (person, camera) stands at distance 1, 2, ... from all queries."""
    images = [*((0.0, *query) for query in queries), *((float(n), *one) for n, one in enumerate(gallery, start=1))]
    vectors, person, camera = (np.array(column) for column in zip(*images, strict=True))
    is_query = np.arange(len(images)) < len(queries)
    action = np.zeros(len(images), int)
    return Embeddings(vectors[:, None], person, action, np.arange(len(images)), is_query, camera=camera)


# === Against the original ===


@pytest.mark.parametrize("case", [case for case in CASES if not CASES[case]["ties"]])
def test_recorded_cases(case):
    figures = figures_of(recorded(case), "squared_euclidean", **CROSS)
    metrics = evaluate(figures)
    np.testing.assert_allclose(figures.average_precision, GOLDEN[f"{case}/ap"], atol=1e-6)  # NaN in the same places
    np.testing.assert_allclose(metrics["cmc"][:20], GOLDEN[f"{case}/cmc"], atol=1e-6)
    assert metrics["mAP"] == pytest.approx(CASES[case]["mAP"], abs=1e-6)
    assert metrics["rank1"] == pytest.approx(CASES[case]["rank1"], abs=1e-6)
    assert metrics["queries"] - metrics["skipped"] == CASES[case]["valid_queries"]


def test_the_originals_scores_lie_between_the_bounds_where_it_breaks_ties_by_chance():
    case = CASES["ties"]
    figures = figures_by_ties(recorded("ties"), "squared_euclidean", **CROSS)
    scores = {how: evaluate(one)["mAP"] for how, one in figures.items()}
    expected = {"order": "gallery_order_mAP", "optimistic": "optimistic_mAP", "pessimistic": "pessimistic_mAP"}
    assert scores == pytest.approx({how: case[name] for how, name in expected.items()}, abs=1e-6)
    assert scores["pessimistic"] < case["mAP"] < scores["optimistic"]
    low, high = figures["pessimistic"].average_precision, figures["optimistic"].average_precision
    assert ((low - 1e-6 <= GOLDEN["ties/ap"]) & (GOLDEN["ties/ap"] <= high + 1e-6)).all()


# === Against the loop ===


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize(
    "changes",
    [{}, {"levels": 1}, {"cameras": 1}, {"junk": 0.2, "levels": 1}, {"actions": 1, "distractors": 0.8}],
    ids=["plain", "ties", "one_camera", "junk", "distractors"],
)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_naive_loop(seed, changes, ties):
    embeddings = filmed(seed, **changes)
    figures = figures_of(embeddings, ties=ties, **CROSS)
    expected = naive(embeddings, ties)
    assert sorted(figures.bbox.tolist()) == sorted(expected)
    size, precision, first = zip(*(expected[bbox] for bbox in figures.bbox.tolist()), strict=True)
    np.testing.assert_array_equal(figures.gallery_size, size)
    np.testing.assert_allclose(figures.average_precision, precision, atol=1e-12)
    np.testing.assert_array_equal(figures.first_match, first)


# === By hand ===


def test_the_same_person_on_the_same_camera_is_neither_right_nor_wrong():
    # Left out: 1 on camera 1, and junk. Then a distractor, another person on the query's camera, and two matches.
    embeddings = by_hand((1, 1), (-1, 1), (0, 2), (2, 1), (1, 2), (1, 1), (1, 3))
    figures = figures_of(embeddings, **CROSS)
    assert figures.gallery_size.tolist() == [4]
    assert figures.first_match.tolist() == [3]
    np.testing.assert_allclose(figures.average_precision, [(1 / 3 + 2 / 4) / 2])


def test_queries_without_a_match_that_counts_are_skipped_and_counted():
    metrics = evaluate(figures_of(by_hand((1, 1), (0, 1), (1, 2), queries=((1, 1), (1, 2), (3, 1))), **CROSS))
    assert (metrics["queries"], metrics["skipped"], metrics["without_gallery"]) == (3, 1, 0)
    assert metrics["mAP"] == (1 / 2 + 1) / 2
    alone = figures_of(by_hand((1, 1)), **CROSS)
    assert (alone.gallery_size.tolist(), alone.first_match.tolist()) == ([0], [0])
    with pytest.raises(ValueError, match="none of its 1 queries has a match"):
        evaluate(alone)


def test_the_sizes_of_galleries():
    embeddings = by_hand((1, 1), (-1, 1), (0, 2), (1, 2), queries=((1, 1), (1, 2), (3, 1)))
    assert gallery_sizes(embeddings.images).tolist() == [4, 4, 4, 0, 0, 0, 0]
    assert gallery_sizes(embeddings.images, "cross_camera").tolist() == [2, 2, 3, 0, 0, 0, 0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_labels_alone_tell_which_queries_will_be_scored(protocol, monkeypatch):
    monkeypatch.setattr("kreid.ranking.protocols._PAIRS", 10)
    for seed in range(4):
        embeddings = filmed(seed)
        figures = figures_of(embeddings, protocol=protocol)
        rows = np.flatnonzero(embeddings.is_query)[np.argsort(embeddings.bbox[embeddings.is_query])]
        np.testing.assert_array_equal(matchable(embeddings.images, protocol)[rows], figures.by_bbox().matched)
        np.testing.assert_array_equal(gallery_sizes(embeddings.images, protocol)[rows], figures.by_bbox().gallery_size)
        assert not matchable(embeddings.images, protocol)[~embeddings.is_query].any()


# === Blocks ===


@pytest.mark.parametrize("memory", [1, 5000])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_blocks_give_what_the_whole_ranking_gives(protocol, memory):
    embeddings = filmed(5, levels=1)
    whole = pairwise(embeddings.vectors, embeddings.vectors)
    ranking = rank_by(embeddings.images, lambda query, gallery: whole[np.ix_(query, gallery)], protocol)
    for how, figures in figures_by_ties(embeddings, protocol=protocol, memory=memory).items():
        equal(figures, QueryFigures.of(ranking, how))
    again = rank(embeddings, protocol=protocol, memory=memory)
    for name in ("query", "offsets", "gallery", "distance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(ranking, name))


def crowd(queries=120, gallery=2000, dim=4):
    """One action that is the whole set."""
    rng = np.random.default_rng(0)
    count = queries + gallery
    person, camera = rng.integers(1, 20, count), rng.integers(1, 4, count)
    labels = (person, np.zeros(count, int), np.arange(count), np.arange(count) < queries)
    return Embeddings(rng.standard_normal((count, dim)), *labels, camera=camera)


def test_no_block_is_larger_than_asked_for(monkeypatch):
    sizes = []

    def measured(first, second, *arguments):
        sizes.append(len(first) * len(second))
        return nearest_first(first, second, *arguments)

    monkeypatch.setattr(ordering, "nearest_first", measured)
    figures_of(crowd(), memory=1 << 20, **CROSS)
    assert sum(sizes) == 120 * 2000
    assert max(sizes) * ordering._PAIR <= 1 << 20 < 2 * max(sizes) * ordering._PAIR


@pytest.mark.parametrize("levels", [None, 2], ids=["distinct", "ties"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_that_scoring_takes_stays_inside_its_memory(protocol, levels):
    embeddings, memory = crowd(240, 4000), 4 << 20
    if levels:
        embeddings = replace(embeddings, vectors=np.round(embeddings.vectors * levels))
    tracemalloc.start()
    figures_by_ties(embeddings, protocol=protocol, memory=memory)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory / 2 < peak < memory + (2 << 20)  # a block of differences and the labels stand beside it


# === The nearest alone ===


@pytest.mark.parametrize("few", [0, 1 << 20], ids=["by_products", "by_differences"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_nearest_are_the_first_of_the_whole_lists(protocol, few, monkeypatch):
    monkeypatch.setattr(sorting, "_FEW", few)
    embeddings = filmed(3)
    ranking, cut = (rank(embeddings, protocol=protocol, nearest=nearest) for nearest in (None, 4))
    assert cut.sizes.tolist() == np.minimum(ranking.sizes, 4).tolist()
    for number in range(len(cut)):
        start, other = cut.offsets[number], ranking.offsets[number]
        size = cut.sizes[number]
        np.testing.assert_array_equal(cut.gallery[start : start + size], ranking.gallery[other : other + size])
        np.testing.assert_array_equal(cut.distance[start : start + size], ranking.distance[other : other + size])


def test_lists_that_were_cut_are_not_scored():
    with pytest.raises(ValueError, match="ranking: holds the nearest 2 images of each query, and scores need all"):
        evaluate(rank(filmed(3), nearest=2))


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"gallery": [4, 3]},
            "query 0 of action 0 is not every gallery image of its action that 'cross_camera' counts",
        ),
        ({"gallery": [2, 1]}, "query 0 .* once each"),
        ({"gallery": [3, 3]}, "query 0 .* once each"),
        ({"nearest": 1}, "query 0 .* is not the nearest 1 gallery images of its action that 'cross_camera' counts"),
        ({"nearest": 0}, "nearest: expected 1 or more"),
        ({"protocol": "action"}, "query 0 of action 0 is not every gallery image of its action, once each"),
    ],
)
def test_lists_that_are_not_what_counts_are_refused(changes, message):
    images = by_hand((1, 1), (1, 2), (2, 1), (-1, 3)).images  # rows 1 and 4 do not count
    columns = {"query": np.array([0]), "offsets": np.array([0, 2]), "distance": np.zeros(2)}
    good = columns | {"gallery": np.array([2, 3]), "protocol": "cross_camera"}
    assert len(Ranking(images, **good)) == 1
    with pytest.raises(ValueError, match=message):
        Ranking(images, **(good | {name: np.array(v) if name == "gallery" else v for name, v in changes.items()}))


def test_whole_lists_are_brought_under_a_protocol():
    embeddings = filmed(2, junk=0.2)
    expected = rank(embeddings, **CROSS)
    ranking = rank(embeddings).under("cross_camera")
    for name in ("query", "offsets", "gallery", "distance"):
        np.testing.assert_array_equal(getattr(ranking, name), getattr(expected, name))
    with pytest.raises(ValueError, match="lists of every gallery image of an action, received .* that 'cross_camera'"):
        ranking.under("action")


# === Resampling ===


def test_people_are_drawn_where_one_action_is_the_whole_set():
    embeddings = crowd(60, 200)
    figures = figures_of(embeddings, **CROSS)
    np.testing.assert_array_equal(figures.unit, embeddings.person[:60])
    assert figures.scored_units == len(np.unique(embeddings.person[:60])) > len(np.unique(figures.action)) == 1
    assert figures.units == "people"
    again = figures_of(filmed(1), **CROSS)
    assert again.unit.tolist() == again.action.tolist()
    assert again.units == "actions"
    np.testing.assert_array_equal(figures_of(embeddings).unit, figures.action)


def test_intervals_and_tests_draw_the_units():
    embeddings = crowd(60, 200)
    figures = figures_of(embeddings, **CROSS)
    other = figures_of(Embeddings(embeddings.vectors[::-1], **labels_of(embeddings)), **CROSS)
    by_action = {name: getattr(figures, name) for name in COLUMNS[:-1]}
    as_people, others = (replace(one, action=one.unit) for one in (figures, other))
    assert intervals(figures) == intervals(as_people)
    assert intervals(figures)["mAP"].low < intervals(figures)["mAP"].high
    assert compare(figures, other) == compare(as_people, others)
    assert np.isnan(intervals(QueryFigures(**by_action))["mAP"].low)
    with pytest.raises(ValueError, match="second: query 0 has another group to be drawn with than for first"):
        same_queries(figures, QueryFigures(**by_action))


def labels_of(embeddings):
    return {name: getattr(embeddings, name) for name in ("person", "action", "bbox", "is_query", "camera")}


def test_units_stand_in_plain_lists_where_they_are_not_the_action():
    figures = figures_of(filmed(1, actions=1), **CROSS)
    columns = json.loads(json.dumps(figures.to_json()))
    assert columns["unit"] == figures.unit.tolist()
    equal(QueryFigures.from_json(columns), figures)
    assert "unit" not in figures_of(filmed(1)).to_json()
    with pytest.raises(ValueError, match="unit: expected 2 integers"):
        QueryFigures.from_json(
            {"query": [1, 2], "action": [0, 0], "gallery": [1, 1], "AP": [1, 1], "first": [1, 1], "unit": 3}
        )


# === Mistakes ===


def test_distances_that_are_no_numbers_are_named():
    def distances(query, gallery):
        return np.where(gallery == gallery[1], np.nan, 1.0) * np.ones((len(query), 1))

    with pytest.raises(
        ValueError, match="distances: expected finite numbers, and those of query 0 of action 0 are not"
    ):
        rank_by(by_hand((1, 1), (1, 2)).images, distances, **CROSS)


@pytest.mark.parametrize(
    "work", [rank, figures_of, lambda embeddings, **kwargs: gallery_sizes(embeddings.images, kwargs["protocol"])]
)
@pytest.mark.parametrize(
    "changes, protocol, message",
    [
        ({}, "market", "protocol: expected one of action, cross_camera, received 'market'"),
        (
            {"camera": None},
            "cross_camera",
            "camera: protocol 'cross_camera' needs the camera of every image, received none; give",
        ),
        ({"camera": [1, 1, -1]}, "cross_camera", "camera: .* and that of gallery 2 of action 0 is unknown; give"),
        ({"person": [-1, 1, 1]}, "cross_camera", "person: the label of query 0 of action 0 is withheld"),
    ],
)
def test_mistakes_are_told_in_a_line(work, changes, protocol, message):
    embeddings = by_hand((1, 2), (2, 1))
    embeddings = Embeddings(embeddings.vectors, **(labels_of(embeddings) | changes))
    with pytest.raises(ValueError, match=message) as caught:
        work(embeddings, protocol=protocol)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"nearest": 0}, "nearest: expected 1 or more images a query, received 0"),
        ({"memory": 0}, "memory: expected a number of bytes, such as 268,435,456, received 0"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        rank(by_hand((1, 2)), **arguments)


@pytest.mark.parametrize(
    "camera, message",
    [
        ([1, 2], "camera: expected 3 values, as many as is_query has, received 2"),
        ([1.0, 2, 3], r"camera: expected \(M,\) integers, received float64"),
        ([1, -2, 3], "camera: expected -1 or more, received -2 in row 1"),
    ],
)
def test_cameras_that_cannot_be(camera, message):
    with pytest.raises(ValueError, match=message):
        Images([1, 1, 2], [0, 0, 0], [0, 1, 2], [True, False, False], camera=camera)
