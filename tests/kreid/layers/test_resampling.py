"""Resampling of position embeddings, by hand: the kernels' values at the places that the definitions give."""

import numpy as np
import pytest

from kreid.layers.resampling import METHODS, matrix, resample

# Keys's kernel with a = -0.5 at 1/4, 3/4 and 5/4: two places halve four, the kernel stretched to twice its reach.
NEAR, MIDDLE, FAR = 0.8671875, 0.2265625, -0.0703125
SUM = 2 * NEAR + MIDDLE + FAR
# With a = -0.75 it is -0.75 (x - 1) (x - 2)^2 between 1 and 2. DINOv2's scale for 2 places from 2 is 2.1 / 2, so the
# first lies at 0.5 / 1.05 - 0.5 = -1/42: 1 + 1/42 from place 1, and all others of its reach count as place 0.
BEYOND = -0.75 * (1 / 42) * (41 / 42) ** 2

BY_HAND = {
    "bilinear_enlarged": (2, 4, "bilinear", [[1, 0], [3 / 4, 1 / 4], [1 / 4, 3 / 4], [0, 1]]),
    "bilinear_is_not_stretched": (4, 2, "bilinear", [[1 / 2, 1 / 2, 0, 0], [0, 0, 1 / 2, 1 / 2]]),
    "antialias_stretched": (
        4,
        2,
        "bicubic_antialias",
        [[NEAR / SUM, NEAR / SUM, MIDDLE / SUM, FAR / SUM], [FAR / SUM, MIDDLE / SUM, NEAR / SUM, NEAR / SUM]],
    ),
    "antialias_of_two_is_their_mean": (2, 1, "bicubic_antialias", [[1 / 2, 1 / 2]]),
    "antialias_of_one": (1, 3, "bicubic_antialias", [[1], [1], [1]]),
    "offset": (2, 2, "bicubic_offset", [[1 - BEYOND, BEYOND], None]),
    "offset_is_not_stretched": (1, 2, "bicubic_offset", [[1], [1]]),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_one_axis_by_hand(case):
    old, new, method, rows = BY_HAND[case]
    found = matrix(old, new, method)
    assert found.shape == (new, old)
    for row, expected in zip(found, rows, strict=True):
        if expected is not None:
            np.testing.assert_allclose(row, expected, atol=1e-12)


@pytest.mark.parametrize("method", ["bicubic_antialias", "bilinear"])
def test_the_same_grid_stays_as_it_is(method):
    np.testing.assert_allclose(matrix(5, 5, method), np.eye(5), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_stays_one(method):
    for old, new in [(14, 8), (14, 16), (37, 9), (3, 1)]:
        np.testing.assert_allclose(matrix(old, new, method).sum(1), 1, atol=1e-12)


def test_offset_moves_places_by_the_scale_that_is_asked_for():
    """Far from the borders a cubic kernel reproduces a ramp, which then reads off where the places lie."""
    ramp = matrix(37, 16, "bicubic_offset") @ np.arange(37.0)
    np.testing.assert_allclose(ramp[2:-2], (np.arange(2, 14) + 0.5) * 37 / 16.1 - 0.5, atol=0.1)
    assert abs(ramp[13] - ((13.5) * 37 / 16 - 0.5)) > 0.15


def test_rows_and_columns_each_have_their_own():
    grid = np.arange(8.0).reshape(2, 2, 2)
    found = resample(grid, (4, 1), "bilinear")
    assert found.shape == (4, 1, 2)
    np.testing.assert_allclose(found[:, 0, 0], [1, 2, 4, 5])  # columns 0 and 2, 4 and 6 averaged, then enlarged


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method: expected one of bicubic_antialias, .*, received 'nearest'"):
        matrix(2, 4, "nearest")
