"""Stochastic depth: what is drawn, for whom, and that nothing is while a network does not learn."""

import keras
import numpy as np
import pytest
from keras import ops

from kreid.layers.drop_path import DropPath, DropPathDraws

pytestmark = pytest.mark.backend


def draws(rates, images, seed=0):
    layer = DropPathDraws(rates, seed=seed)
    return ops.convert_to_numpy(layer(np.zeros((images, 3), "float32"), training=True))


def test_each_shortcut_is_left_out_at_its_rate_and_scaled_to_the_same_mean():
    kept = draws([0.0, 0.25, 0.8], 4000)
    for column, rate in zip(kept.T, [0.0, 0.25, 0.8], strict=True):
        np.testing.assert_allclose(np.unique(column), [1.0] if not rate else [0.0, 1 / (1 - rate)], rtol=1e-6)
        assert (column == 0).mean() == pytest.approx(rate, abs=0.04)  # five standard deviations
    assert np.abs(np.corrcoef(kept[:, 1:].T)[0, 1]) < 0.1


def test_draws_follow_the_seed_and_change_from_call_to_call():
    np.testing.assert_array_equal(draws([0.5], 50, seed=3), draws([0.5], 50, seed=3))
    layer = DropPathDraws([0.5], seed=3)
    first, second = (ops.convert_to_numpy(layer(np.zeros((50, 2)), training=True)) for _ in range(2))
    assert (first != second).any()


def test_an_image_keeps_all_of_a_shortcut_or_none():
    x = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")
    kept = np.float32([[9, 0], [9, 2], [9, 1]])
    found = ops.convert_to_numpy(DropPath(1)([x, kept], training=True))
    np.testing.assert_allclose(found, x * np.float32([0, 2, 1])[:, None, None], rtol=1e-6)


def test_outside_of_training_all_stays():
    x = np.ones((2, 5, 4), "float32")
    kept = DropPathDraws([0.9, 0.9])(x)
    np.testing.assert_array_equal(ops.convert_to_numpy(kept), np.ones((2, 2)))
    np.testing.assert_array_equal(ops.convert_to_numpy(DropPath(0)([x, kept * 0])), x)


def test_saved_and_loaded_it_is_the_same():
    inputs = keras.Input((5, 4))
    outputs = DropPath(1, name="path")([inputs, DropPathDraws([0.1, 0.2], seed=4, name="draws")(inputs)])
    again = keras.Model.from_config(keras.Model(inputs, outputs).get_config())
    assert again.get_layer("draws").rates == [0.1, 0.2]
    assert again.get_layer("path").shortcut == 1


@pytest.mark.parametrize("rates", [[], [1.0], [-0.1]])
def test_rates_out_of_range_are_named(rates):
    with pytest.raises(ValueError, match=r"rates: expected one or more in \[0, 1\), received"):
        DropPathDraws(rates)
