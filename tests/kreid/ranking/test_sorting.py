"""Sorting by products: the order and the ties of differences, whatever the vectors, and how much is measured again."""

import numpy as np
import pytest

from kreid.ranking import sorting
from kreid.ranking.distances import METRICS, by_products, finished, paired, paired_rows, pairwise
from kreid.ranking.sorting import nearest_first, sort_rows

KINDS = ("distinct", "repeated", "almost", "levels", "long", "zeros")


def vectors(kind, rows, seed):
    """Vectors without ties, equal ones, ones that rounding can hardly tell apart, on a grid, far from 0, and at 0."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((rows, 24)).astype(np.float32)
    if kind in ("repeated", "almost"):
        drawn[1::7] = drawn[0]
    if kind == "almost":
        drawn[1::14, 3] = np.nextafter(drawn[1::14, 3], np.float32(9))
    if kind == "levels":
        drawn = np.round(drawn[:, :3])
    if kind == "long":
        drawn = drawn + 1000
    if kind == "zeros":
        drawn[::20] = 0
    return drawn


@pytest.fixture(autouse=True)
def always_by_products(monkeypatch):
    monkeypatch.setattr(sorting, "_FEW", 0)


def same(result, expected):
    """Equal orders, and equal distances where these are equal."""
    np.testing.assert_array_equal(result.order, expected.order)
    np.testing.assert_array_equal(np.diff(result.distance) == 0, np.diff(expected.distance) == 0)
    np.testing.assert_allclose(result.distance, expected.distance, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_is_that_of_differences(kind, metric):
    first, second = vectors(kind, 15, 0), vectors(kind, 300, 1)
    second[40:50] = first[:10]
    if metric == "cosine":
        first, second = first[first.any(axis=1)], second[second.any(axis=1)]
    same(nearest_first(first, second, metric), sort_rows(pairwise(first, second, metric)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_rounding_within_its_bound_changes_the_order(kind, monkeypatch):
    first, second = vectors(kind, 15, 0), vectors(kind, 300, 1)

    def rounded(*arguments):
        _, error = by_products(*arguments)
        exact = pairwise(*arguments) ** 2
        return exact + np.where(np.arange(300) % 2, 0.9, -0.9) * error[:, None], error

    monkeypatch.setattr(sorting, "by_products", rounded)
    monkeypatch.setattr(sorting, "_MANY", 1)
    same(nearest_first(first, second), sort_rows(pairwise(first, second)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_count_stands_behind(kind):
    first, second = vectors(kind, 15, 0), vectors(kind, 200, 1)
    counted = np.random.default_rng(2).random((15, 200)) < 0.6
    counted[3] = False
    result = nearest_first(first, second, counted=counted)
    expected = sort_rows(pairwise(first, second), counted)
    for row, size in enumerate(counted.sum(axis=1)):
        same(
            sorting.Sorted(*(one[row : row + 1, :size] for one in result)),
            sorting.Sorted(*(one[row : row + 1, :size] for one in expected)),
        )
        assert np.isinf(result.distance[row, size:]).all()


def test_only_what_is_in_doubt_is_measured_again(monkeypatch):
    first, second = vectors("repeated", 10, 0), vectors("repeated", 280, 1)
    measured = []

    def counting(*arguments):
        measured.append(len(arguments[2]))
        return paired_rows(*arguments)

    monkeypatch.setattr(sorting, "paired_rows", counting)
    monkeypatch.setattr(sorting, "pairwise", None)
    monkeypatch.setattr(sorting, "_MANY", 1)
    nearest_first(first, second)
    assert measured == [10 * 41]  # the first row and its forty copies


def test_where_most_are_equal_all_are_measured(monkeypatch):
    first, second = vectors("levels", 10, 0), vectors("levels", 280, 1)
    monkeypatch.setattr(sorting, "paired_rows", None)
    same(nearest_first(first, second), sort_rows(pairwise(first, second)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kinds", [("distinct", "distinct"), ("almost", "almost"), ("distinct", "long")])
def test_products_are_as_far_off_as_they_say(kinds, metric):
    first, second = (vectors(kind, rows, 0) for kind, rows in zip(kinds, (15, 300), strict=True))
    squared, error = by_products(first, second, metric)
    exact = pairwise(first, second, metric)
    exact = exact**2 if metric == "euclidean" else exact
    assert (np.abs(squared - exact) <= error[:, None]).all()
    assert error.max() < 1e-12 * (1 + exact.max() + (second.astype(float) ** 2).sum(axis=1).max())
    np.testing.assert_allclose(finished(squared, metric), pairwise(first, second, metric), atol=1e-4)


def test_pairs_are_measured_a_few_at_a_time_without_a_trace(monkeypatch):
    first, second = vectors("distinct", 15, 0), vectors("distinct", 30, 1)
    rows, others = np.random.default_rng(0).integers(0, 15, (2, 50))
    expected = paired(first[rows], second[others])
    monkeypatch.setattr("kreid.ranking.distances._BLOCK", 60)
    np.testing.assert_array_equal(paired_rows(first, second, rows, others), expected)
    monkeypatch.setattr("kreid.ranking.distances._COPIED", 60)
    whole = by_products(first, second)[0]
    assert whole.shape == (15, 30)
    np.testing.assert_allclose(finished(whole, "euclidean"), pairwise(first, second), atol=1e-6)
