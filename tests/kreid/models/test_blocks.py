"""The backbones' shared pieces against naive loops and hand-worked cases."""

import keras
import numpy as np
import pytest

from kreid.models import blocks


def naive_convolution(image, kernel, stride):
    """A convolution with PyTorch's `padding=side // 2`, place by place."""
    side = kernel.shape[0]
    image = np.pad(image, ((side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    height, width = ((size - side) // stride + 1 for size in image.shape[:2])
    out = np.empty((height, width, kernel.shape[-1]))
    for row in range(height):
        for column in range(width):
            window = image[row * stride : row * stride + side, column * stride : column * stride + side]
            out[row, column] = np.tensordot(window, kernel, axes=3)
    return out


@pytest.mark.backend
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (1, 2)])
@pytest.mark.parametrize("side", [3, 7])
def test_pad_same_before_a_strided_convolution_is_pytorchs_padding(size, side):
    rng = np.random.default_rng(0)
    image, kernel = rng.normal(size=(*size, 2)), rng.normal(size=(side, side, 2, 3))
    inputs = keras.Input((*size, 2))
    convolution = keras.layers.Conv2D(3, side, strides=2, use_bias=False)
    model = keras.Model(inputs, convolution(blocks.pad_same(inputs, side, name="pad")))
    convolution.set_weights([kernel])
    actual = keras.ops.convert_to_numpy(model(image[None].astype("float32")))[0]
    np.testing.assert_allclose(actual, naive_convolution(image, kernel, stride=2), rtol=1e-4, atol=1e-4)


def test_imagenet_preprocessing_is_torchvisions():
    image = np.random.default_rng(0).integers(0, 256, size=(1, 4, 3, 3))
    expected = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    actual = keras.ops.convert_to_numpy(blocks.imagenet_preprocessing()(image.astype("float32")))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(
    "filters, width_divisor, expected", [(64, 1, 64), (3, 1, 3), (64, 16, 4), (96, 5, 19), (64, 32, 4)]
)
def test_narrow(filters, width_divisor, expected):
    assert blocks.narrow(filters, width_divisor) == expected


@pytest.mark.parametrize("width_divisor", [0, -2, 1.5, "2"])
def test_narrow_refuses(width_divisor):
    with pytest.raises(ValueError, match="width_divisor: expected a positive integer, received"):
        blocks.narrow(64, width_divisor)


def test_check_input_shape_accepts_lists_and_open_sides():
    assert blocks.check_input_shape("net", [None, 32, 3], smallest=32) == (None, 32, 3)


@pytest.mark.parametrize("shape", [(256, 128), (256, 128, 1), (2, 256, 128, 3), (3, 256, 128)])
def test_check_input_shape_wants_height_width_and_three_channels(shape):
    with pytest.raises(ValueError, match=r"net: input_shape: expected \(height, width, 3\), received \("):
        blocks.check_input_shape("net", shape, smallest=32)


@pytest.mark.parametrize("shape", [(31, 64, 3), (64, 31, 3), (None, 8, 3), (0, 64, 3), (-64, 64, 3)])
def test_check_input_shape_names_the_smallest_side(shape):
    with pytest.raises(ValueError, match=r"net: input_shape: expected sides of at least 32 pixels, received \("):
        blocks.check_input_shape("net", shape, smallest=32)


def test_he_normal_draws_anew_for_each_layer_and_by_outputs():
    first, second = (keras.ops.convert_to_numpy(blocks.he_normal()((3, 3, 8, 512))) for _ in range(2))
    assert np.abs(first - second).max() > 0
    assert first.std() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.02)
