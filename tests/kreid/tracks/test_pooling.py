"""One vector a track."""

import numpy as np
import pytest
from track_cases import labels

from kreid.tracks.pooling import pool, weights
from kreid.tracks.tracks import group

# Two crops of track a (0 and 3), three of track b.
VECTORS = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.0, 5.0], [4.0, 0.0]])
TRACKS = group(labels([0, 1, 1, 0, 1], [0, 1, 1, 0, 1], [1, 1, 2, 2, 3]), "ab", ["left", "right"])


def unit(*values):
    return np.array(values) / np.linalg.norm(values)


def test_the_mean_is_of_directions():
    pooled = pool(TRACKS, VECTORS.__getitem__)
    np.testing.assert_allclose(pooled, [unit(1, 1), unit(1, 2)], atol=1e-12)


@pytest.mark.parametrize("crops", [1, 2, 3, 4, 5, 99])
def test_crops_are_asked_for_in_whole_tracks(crops):
    asked = []

    def vectors(rows):
        asked.append(rows.tolist())
        return VECTORS[rows]

    pooled = pool(TRACKS, vectors, crops=crops)
    np.testing.assert_array_equal(pooled, pool(TRACKS, VECTORS.__getitem__))
    assert asked == ([[0, 3, 1, 2, 4]] if crops >= 5 else [[0, 3], [1, 2, 4]])


def test_weights_by_size():
    """Equal vectors: the size alone counts, a crop of half the height and width half."""
    same = np.repeat(unit(3, 4)[None], 3, axis=0)
    np.testing.assert_allclose(weights(same, np.array([400, 100, 25])), [1, 1 / 2, 1 / 4])
    np.testing.assert_allclose(weights(same, np.array([400, 0, 25])), 1)


def test_weights_by_distance_to_the_mean():
    """Three at 0 and 90 degrees: the mean stands at atan(1/2), and distances are chords."""
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    angle = np.arctan2(1, 2)
    near, far = 2 * np.sin(angle / 2), 2 * np.sin((np.pi / 2 - angle) / 2)
    expected = [1 / 2, 1 / 2, 1 / (1 + (far / near) ** 2)]
    np.testing.assert_allclose(weights(vectors, np.zeros(3)), expected)


def test_weighted_leans_away_from_what_does_not_belong_and_what_is_small():
    everything = group(labels([0, 0, 0], [0, 0, 0]), "a", ["left"])
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    mean = pool(everything, vectors.__getitem__)[0]
    near = pool(everything, vectors.__getitem__, "weighted")[0]
    share = weights(vectors, np.zeros(3))
    np.testing.assert_allclose(near, unit(2 * share[0], share[2]))
    assert near[1] < mean[1]
    areas = np.array([100.0, 100.0, 1.0])
    small = pool(everything, vectors.__getitem__, "weighted", areas.__getitem__)[0]
    np.testing.assert_allclose(small, unit(2 * share[0], share[2] / 10))


def test_sizes_are_not_asked_for_without_need():
    def refuse(rows):
        raise AssertionError("asked for")

    pool(TRACKS, VECTORS.__getitem__, "mean", refuse)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1, 0], [0, 1], [0, 1], [-1, 0], [0, 1]], "track left/a: the vectors of its crops are all zeros or cancel"),
        ([[1, 0], [0, 0], [0, 0], [1, 0], [0, 0]], "track right/b: the vectors of its crops are all zeros or cancel"),
        ([[1, 0], [0, 1], [np.nan, 1], [1, 0], [0, 1]], "track right/b: a vector is not finite"),
    ],
)
@pytest.mark.parametrize("how", ["mean", "weighted"])
def test_tracks_without_a_direction_are_named(vectors, message, how):
    with pytest.raises(ValueError, match=message):
        pool(TRACKS, np.array(vectors, float).__getitem__, how)


def test_an_unknown_way_is_named():
    with pytest.raises(ValueError, match="pool: expected one of mean, weighted, received 'median'"):
        pool(TRACKS, VECTORS.__getitem__, "median")
