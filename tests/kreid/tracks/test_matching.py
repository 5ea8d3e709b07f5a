"""Which tracks are matched: cases by hand, and the assignment against every way to assign."""

from itertools import permutations
from math import inf

import numpy as np
import pytest
from track_cases import seen

from kreid.ranking.distances import pairwise
from kreid.tracks.matching import assign, distances, match, never_matched, overlapping_pairs

# Tracks a and b overlap in time on camera 0, c is there later, and d and e are on camera 1.
FIVE = seen((0, 0, 10), (0, 5, 15), (0, 20, 30), (1, 0, 10), (1, 20, 30))
# Where they stand on a line: a 0, b 1, c 0.4, d 0.3, e 5.
LINE = np.array([[0.0], [1.0], [0.4], [0.3], [5.0]])


def found(tracks, within_camera=False, line=LINE, across_actions=False, **rules):
    """The places of the matches by their tracks' names, and all that is told of them."""
    distance = distances(line)
    distance[never_matched(tracks, within_camera, across_actions)] = inf
    matches = match(tracks, distance, **rules)
    named = [tracks.names[first] + tracks.names[second] for first, second in zip(matches.first, matches.second)]  # noqa: B905
    return dict(zip(named, matches.place.tolist(), strict=True)), matches


def test_the_nearest_on_the_other_camera():
    named, matches = found(FIVE)
    assert list(named) == ["ad", "bd", "cd", "dc", "eb"]
    np.testing.assert_allclose(matches.distance, [0.3, 0.7, 0.1, 0.1, 4.0])
    np.testing.assert_allclose(matches.margin, [4.7, 3.3, 4.5, 0.2, 0.6])
    assert matches.mutual.tolist() == [False, False, True, True, False]
    assert matches.overlap.tolist() == [1, 1, 0, 0, 0]  # a and b cannot both be d


def test_several_matches_of_a_track_and_a_limit():
    named, matches = found(FIVE, top=2)
    assert named == {"ad": 1, "ae": 2, "bd": 1, "be": 2, "cd": 1, "ce": 2, "dc": 1, "da": 2, "eb": 1, "ec": 2}
    np.testing.assert_allclose(matches.margin[:2], [4.7, -4.7])
    assert matches.overlap.tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]  # e is nobody's nearest
    assert list(found(FIVE, top=2, most=0.35)[0]) == ["ad", "cd", "dc", "da"]
    assert list(found(FIVE, top=9, most=0.0)[0]) == []


def test_within_a_camera_whoever_overlaps_is_never_matched():
    named, matches = found(FIVE, within_camera=True)
    assert list(named) == ["ac", "ad", "bc", "bd", "ca", "cd", "dc", "de", "eb", "ed"]
    pair = list(named).index("ac")
    assert matches.distance[pair] == 0.4
    assert np.isnan(matches.margin[pair])  # b is nobody that a could be
    assert matches.mutual[pair]
    assert overlapping_pairs(FIVE) == 1
    closer = found(FIVE, within_camera=True, line=np.array([[0.0], [0.0], [0.4], [0.3], [5.0]]))[0]
    assert "ab" not in closer
    assert "ba" not in closer


def test_one_to_one():
    named, matches = found(FIVE, one_to_one=True)
    assert list(named) == ["be", "cd"]
    np.testing.assert_allclose(matches.distance, [4.0, 0.1])
    np.testing.assert_allclose(matches.margin, [-3.3, 0.2])  # b is nearer to d, and a is the next best for d
    assert matches.mutual.tolist() == [False, True]
    assert matches.overlap.tolist() == [0, 0]


def test_one_to_one_within_a_camera_links_a_track_to_a_later_one():
    """The chain a, b, c in time: a is followed by b and b by c, though a and c are nearest."""
    tracks = seen((0, 0, 10), (0, 11, 20), (0, 21, 30))
    line = np.array([[0.0], [2.0], [0.5]])
    named, matches = found(tracks, within_camera=True, one_to_one=True, line=line)
    assert list(named) == ["ab", "bc"]
    assert matches.mutual.tolist() == [False, False]
    assert list(found(tracks, True, line, one_to_one=True, most=1.5)[0]) == ["ac"]


def test_actions_keep_apart_unless_they_are_to_be_compared():
    tracks = seen((0, 0, 1), (0, 0, 1), (1, 0, 1), (1, 0, 1), action=[0, 4, 0, 4])
    line = np.array([[0.0], [8.0], [9.0], [1.0]])
    named, matches = found(tracks, line=line)
    assert list(named) == ["ac", "bd", "ca", "db"]
    assert np.isnan(matches.margin).all()
    assert list(found(tracks, line=line, one_to_one=True)[0]) == ["ac", "bd"]
    assert list(found(tracks, line=line, across_actions=True)[0]) == ["ad", "bc", "cb", "da"]
    assert list(found(tracks, line=line, across_actions=True, one_to_one=True)[0]) == ["ad", "bc"]
    both = found(tracks, line=line, across_actions=True, within_camera=True, one_to_one=True)[0]
    assert {"ab", "cd"} < set(both)  # the later action follows


def test_nobody_to_be_matched_with():
    tracks = seen((0, 0, 9), (0, 5, 9))
    for rules in ({}, {"within_camera": True}, {"within_camera": True, "one_to_one": True}):
        assert found(tracks, line=LINE[:2], **rules)[0] == {}


def test_equal_distances_are_mutual_on_every_side():
    tracks = seen((0, 0, 1), (0, 0, 1), (1, 0, 1))
    named, matches = found(tracks, line=np.array([[1.0], [1.0], [0.0]]))
    assert named == {"ac": 1, "bc": 1, "ca": 1}
    assert matches.mutual.all()
    assert np.isnan(matches.margin[:2]).all()
    assert matches.margin[2] == 0
    assert matches.overlap.tolist() == [1, 1, 0]


# === Distances ===


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_distances_are_those_of_all_pairs_and_symmetric(monkeypatch, metric):
    monkeypatch.setattr("kreid.tracks.matching._ROWS", 3)
    vectors = np.random.default_rng(0).standard_normal((8, 5))
    vectors[7] = vectors[2]
    distance = distances(vectors, metric)
    np.testing.assert_array_equal(distance, pairwise(vectors, vectors, metric))
    np.testing.assert_array_equal(distance, distance.T)
    assert distance[2, 7] == 0


# === Assignment ===


def cheapest(block, most):
    """The least cost of all partial pairings: a pair costs its distance, one that could have been made `most`."""
    rows, columns = block.shape
    best = inf
    for chosen in permutations(range(columns), rows):
        costs = [min(block[row, column], most) for row, column in enumerate(chosen)]
        best = min(best, sum(costs))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_no_way_to_assign_costs_less(seed):
    rng = np.random.default_rng(seed)
    block = rng.random((4, 5)).round(2)
    block[rng.random((4, 5)) < 0.3] = inf
    row, column = assign(block, 0.5)
    assert len(set(row)) == len(row)
    assert len(set(column)) == len(column)
    assert (block[row, column] <= 0.5).all()
    assert block[row, column].sum() + 0.5 * (4 - len(row)) == pytest.approx(cheapest(block, 0.5))
    other = assign(block.T, 0.5)
    assert block[other[1], other[0]].sum() + 0.5 * (4 - len(other[0])) == pytest.approx(cheapest(block, 0.5))


def test_without_a_limit_as_many_as_possible_are_paired():
    block = np.array([[0.1, 0.9], [0.9, inf]])
    assert [side.tolist() for side in assign(block)] == [[0, 1], [1, 0]]
    assert [side.tolist() for side in assign(block, 1.0)] == [[0], [0]]


@pytest.mark.parametrize("block", [np.full((2, 3), inf), np.ones((2, 0)), np.full((1, 1), 2.0)])
def test_nothing_to_assign(block):
    assert [len(side) for side in assign(block, 1.0)] == [0, 0]
