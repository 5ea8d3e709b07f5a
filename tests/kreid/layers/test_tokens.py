"""Layers of Vision Transformers: what they compute, by hand, and what they take from files."""

import keras
import numpy as np
import pytest
from keras import ops

from kreid.layers.attention import SelfAttention, quick_gelu
from kreid.layers.pooling import GeneralizedMeanPooling2D
from kreid.layers.tokens import LearnedTokens, PositionEmbedding

pytestmark = pytest.mark.backend


def built(layer, *shape):
    layer.build(shape)
    return layer


def embedding(count, width=2):
    return np.random.default_rng(count).normal(size=(count, width)).astype("float32")


def test_tokens_stand_where_they_should():
    layer = built(LearnedTokens(2, position=1), None, 3, 2)
    layer.set_weights([np.float32([[7, 7], [8, 8]])])
    x = np.arange(6.0, dtype="float32").reshape(1, 3, 2)
    found = ops.convert_to_numpy(layer(x))[0]
    np.testing.assert_array_equal(found, [[0, 1], [7, 7], [8, 8], [2, 3], [4, 5]])


@pytest.mark.parametrize("shape", [(2,), (1, 2), (1, 1, 2)])
def test_a_class_token_comes_in_any_shape_of_its_origins(shape):
    layer = built(LearnedTokens(), None, 3, 2)
    np.testing.assert_array_equal(layer.adapt(np.float32([5, 6]).reshape(shape)), [[5, 6]])


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 1, 4), (2, 1)])
def test_other_tokens_stay_as_they_are(shape):
    tensor = np.zeros(shape)
    assert built(LearnedTokens(), None, 3, 2).adapt(tensor) is tensor


def test_a_square_grid_is_resampled_and_the_class_token_kept():
    layer = built(PositionEmbedding((4, 2), "bilinear"), None, 9, 2)
    given = embedding(5)
    found = layer.adapt(given[None])
    assert found.shape == (9, 2)
    np.testing.assert_array_equal(found[:3], given[:3])  # the first row lies beyond the border
    np.testing.assert_allclose(found[3:5], 0.75 * given[1:3] + 0.25 * given[3:5], rtol=1e-5)


@pytest.mark.parametrize("square", [False, True])
def test_as_many_places_are_this_grids_unless_files_are_always_square(square):
    layer = built(PositionEmbedding((4, 1), square=square), None, 5, 2)
    given = embedding(5)
    assert np.array_equal(layer.adapt(given), given) != square


@pytest.mark.parametrize("method", ["bicubic_offset", "bicubic_antialias"])
def test_the_own_square_grid_is_taken_as_it_is(method):
    given = embedding(10)
    found = built(PositionEmbedding((3, 3), method, square=True), None, 10, 2).adapt(given)
    np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("shape", [(7, 2), (10, 3), (2, 10, 2), (0, 2), (1, 2)])
def test_what_is_no_square_grid_of_this_width_does_not_fit(shape):
    layer = built(PositionEmbedding((4, 1)), None, 5, 2)
    assert layer.adapt(np.zeros(shape)).shape != (5, 2)


def test_attention_is_what_its_formula_says():
    x = np.random.default_rng(0).normal(size=(2, 3, 12)).astype("float32")
    found = ops.convert_to_numpy(SelfAttention(2)(x))
    expected = np.zeros((2, 3, 4))
    for image in range(2):
        for head in range(2):
            q, k, v = (x[image, :, 4 * part + 2 * head :][:, :2] for part in range(3))
            weights = np.exp(q @ k.T / np.sqrt(2))
            expected[image, :, 2 * head : 2 * head + 2] = weights / weights.sum(1, keepdims=True) @ v
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_quick_gelu_by_hand():
    found = ops.convert_to_numpy(quick_gelu(np.float32([0, 1, -1])))
    np.testing.assert_allclose(found, [0, 1 / (1 + np.exp(-1.702)), -1 / (1 + np.exp(1.702))], rtol=1e-6)


def test_the_generalised_mean_lies_between_mean_and_maximum():
    x = np.float32([1, 2, -5, 4]).reshape(1, 2, 2, 1)
    for power, expected in [(1, 7 / 4), (3, (73 / 4) ** (1 / 3)), (64, 4)]:
        found = ops.convert_to_numpy(GeneralizedMeanPooling2D(power)(x))
        np.testing.assert_allclose(found, [[expected]], rtol=0.03 if power == 64 else 1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LearnedTokens(0), "count, position: expected at least 1 and 0, received 0 and 0"),
        (lambda: PositionEmbedding((0, 2)), "grid: expected rows and columns"),
        (lambda: PositionEmbedding((2, 2), "nearest"), "method: expected one of .*, received 'nearest'"),
        (lambda: SelfAttention(5)(keras.Input((3, 12))), "heads: expected 3 x 5 to divide"),
        (lambda: GeneralizedMeanPooling2D(0), "power, epsilon: expected positive numbers"),
    ],
)
def test_mistakes_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
