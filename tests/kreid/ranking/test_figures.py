"""Every query's figures: worked by hand, computed once, as plain lists and back, and tables that cannot be."""

import json

import numpy as np
import pytest
from ranking_cases import count_matching, drawn, listed

from kreid.ranking.figures import QueryFigures, group_means, same_queries
from kreid.ranking.ordering import rank, rank_by
from kreid.ranking.scores import average_precision, evaluate, first_hit
from kreid.ranking.statistics import compare, intervals

COLUMNS = ("bbox", "action", "gallery_size", "average_precision", "first_match")
VALID = {
    "bbox": [7, 3],
    "action": [0, 1],
    "gallery_size": [4, 2],
    "average_precision": [0.5, np.nan],
    "first_match": [2, 0],
}
JSON = {"query": [7, 3], "action": [0, 1], "gallery": [4, 2], "AP": [0.5, None], "first": [2, None]}


def by_chance(images, seed):
    rng = np.random.default_rng(seed)
    return rank_by(images, lambda query, gallery: rng.random((len(query), len(gallery))))


# === Computed ===


def test_figures_by_hand():
    figures = QueryFigures.of(rank(listed("-+", "--", "", "+-+")))
    assert len(figures) == 4
    assert figures.bbox.tolist() == figures.action.tolist() == [0, 1, 2, 3]
    assert figures.gallery_size.tolist() == [2, 2, 0, 3]
    np.testing.assert_array_equal(figures.average_precision, [1 / 2, np.nan, np.nan, (1 + 2 / 3) / 2])
    assert figures.first_match.tolist() == [2, 0, 0, 1]
    assert figures.matched.tolist() == [True, False, False, True]
    assert figures.scored_units == 2
    scores = figures.scores(ranks=(1, 2))
    assert list(scores) == ["mAP", "rank1", "rank2"]
    assert scores["mAP"] is figures.average_precision
    np.testing.assert_array_equal(scores["rank1"], [0, np.nan, np.nan, 1])
    np.testing.assert_array_equal(scores["rank2"], [1, np.nan, np.nan, 1])


def test_ties_are_broken_as_asked():
    ranking = rank(listed(("-+-", [1, 1, 1]), ("-+", [1, 2])))
    assert QueryFigures.of(ranking).first_match.tolist() == [2, 2]
    assert QueryFigures.of(ranking, "optimistic").first_match.tolist() == [1, 2]
    assert QueryFigures.of(ranking, "pessimistic").first_match.tolist() == [3, 2]


def test_means_of_the_figures_are_the_scores():
    figures = QueryFigures.of(rank(drawn(0, matched=False)))
    metrics = evaluate(figures)
    assert metrics["skipped"] > 0
    for name, values in figures.scores(ranks=(1, 5)).items():
        assert np.nanmean(values) == pytest.approx(metrics[name])
        assert np.count_nonzero(np.isnan(values)) == metrics["skipped"]


def test_means_over_actions_weighted_by_their_queries_give_the_map():
    figures = QueryFigures.of(rank(drawn(5)))
    result = figures.means(figures.action)
    assert np.average(result.mean, weights=result.count) == pytest.approx(evaluate(figures)["mAP"])


def test_group_means():
    values = np.array([1.0, np.nan, 0.5, 0.0, np.nan])
    result = group_means(values, np.array(["b", "b", "a", "a", "c"]))
    assert result.group.tolist() == ["a", "b", "c"]
    assert result.count.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(result.mean, [0.25, 1.0, np.nan])
    with pytest.raises(ValueError, match=r"one label for each of \(5,\)"):
        group_means(values, np.arange(4))


def test_an_empty_ranking_has_empty_figures():
    figures = QueryFigures([], [], [], [], [])
    assert len(figures) == figures.scored_units == 0
    assert len(QueryFigures.from_json(json.loads(json.dumps(figures.to_json())))) == 0


# === Computed once ===


def test_figures_score_as_the_ranking_they_are_of():
    ranking = rank(drawn(2, actions=20, matched=False))
    other = by_chance(ranking.images, 0)
    figures = QueryFigures.of(ranking)
    assert evaluate(figures) == evaluate(ranking)
    assert intervals(figures, ranks=(1, 5)) == intervals(ranking, ranks=(1, 5))
    expected = compare(ranking, other)
    assert compare(figures, QueryFigures.of(other)) == compare(figures, other) == compare(ranking, figures_of(other))
    assert compare(figures, other) == expected
    np.testing.assert_array_equal(figures.average_precision, average_precision(ranking))
    np.testing.assert_array_equal(figures.first_match, first_hit(ranking))


def figures_of(ranking):
    """The figures as they come back from a file."""
    return QueryFigures.from_json(json.loads(json.dumps(QueryFigures.of(ranking).to_json())))


def test_figures_are_handed_on_and_matches_found_once(monkeypatch):
    ranking = rank(drawn(2))
    found = count_matching(monkeypatch)
    figures = QueryFigures.of(ranking)
    assert QueryFigures.of(figures) is figures
    evaluate(figures)
    intervals(figures)
    compare(figures, figures)
    assert len(found) == 1


def test_ties_cannot_be_broken_again():
    figures = QueryFigures.of(rank(listed("+")))
    with pytest.raises(ValueError, match="ties: figures have broken their ties already, received 'pessimistic'"):
        evaluate(figures, ties="pessimistic")


# === Plain lists ===


def test_plain_lists_by_hand():
    assert QueryFigures(**VALID).to_json() == JSON
    figures = QueryFigures.from_json(JSON)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(figures, name), VALID[name])


def test_plain_lists_bring_back_every_bit():
    figures = QueryFigures.of(rank(drawn(1, actions=20, matched=False)))
    assert not figures.matched.all()
    columns = figures.to_json()
    again = QueryFigures.from_json(json.loads(json.dumps(columns, allow_nan=False)))
    for name in COLUMNS:
        one, other = getattr(figures, name), getattr(again, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert again.to_json() == columns


@pytest.mark.parametrize(
    "columns, message",
    [
        (None, "per_query: expected the lists query, action, gallery, AP, first; query is none"),
        ({"query": [1]}, "action is none"),
        (JSON | {"AP": 0.5}, "AP is none"),
        (JSON | {"query": ["x", "y"]}, "bbox: expected 2 integers, received <U1"),
        (JSON | {"action": [0, None]}, "action: expected 2 integers, received object"),
        (JSON | {"first": [2.5, None]}, "first_match: expected 2 integers, received float64"),
        (JSON | {"first": [None, None]}, "query 7: expected an average precision .* received 0.5 and 0"),
        (JSON | {"AP": [None, None]}, "query 7: .* received nan and 2"),
    ],
)
def test_other_lists_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        QueryFigures.from_json(columns)


# === Checked ===


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"action": [0]}, r"action: expected 2 integers, received int64 of shape \(1,\)"),
        ({"gallery_size": [4.0, 2.0]}, "gallery_size: expected 2 integers, received float64"),
        ({"average_precision": ["a", "b"]}, "average_precision: expected 2 numbers"),
        ({"bbox": [7, 7]}, "bbox: expected each query once, received 7 several times"),
        ({"average_precision": [1.5, np.nan]}, "query 7: expected an average precision from 0 to 1"),
        ({"first_match": [5, 0]}, "query 7: .* a first match in its gallery of 4"),
        ({"first_match": [2, 1]}, "query 3: .* or NaN and 0, received nan and 1"),
        ({"gallery_size": [4, -1]}, "query 3: .* in its gallery of -1"),
    ],
)
def test_figures_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        QueryFigures(**(VALID | changes))


def test_figures_are_read_only_and_their_own():
    arrays = {name: np.array(values) for name, values in VALID.items()}
    figures = QueryFigures(**arrays)
    for name, array in arrays.items():
        with pytest.raises(ValueError, match="read-only"):
            getattr(figures, name)[0] = 0
        array[0] = 1
        np.testing.assert_array_equal(getattr(figures, name), VALID[name])


# === Two of the same queries ===


def test_the_same_queries_come_into_one_order():
    first, other = QueryFigures(**VALID), QueryFigures(**{name: values[::-1] for name, values in VALID.items()})
    for figures in same_queries(first, other):
        assert figures.bbox.tolist() == [3, 7]
        assert figures.first_match.tolist() == [0, 2]
        np.testing.assert_array_equal(figures.average_precision, [np.nan, 0.5])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({name: values[:1] for name, values in VALID.items()}, "b: scored on 1 queries, a on 2; score all of them"),
        ({"bbox": [8, 3]}, "b: query 8 has another index than for a; score all of them on the same records"),
        ({"action": [2, 1]}, "b: query 7 has another action than for a"),
        ({"gallery_size": [5, 2]}, "b: query 7 has a gallery of another size than for a"),
        ({"average_precision": [0.5, 1.0], "first_match": [2, 1]}, "b: query 3 has other labels than for a"),
    ],
)
def test_other_queries_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        same_queries(QueryFigures(**VALID), QueryFigures(**(VALID | changes)), ("a", "b"))
