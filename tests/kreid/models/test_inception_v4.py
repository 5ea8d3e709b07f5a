"""InceptionV4: its maps, sizes and widths; test_embedders holds it against torchreid's recorded outputs."""

import keras
import numpy as np
import pytest
from checks import infer
from keras import layers

from kreid.models import inception_v4 as module
from kreid.models.inception_v4 import inception_v4


@pytest.fixture(scope="module")
def small():
    return inception_v4((None, None, 3), width_divisor=32)


def test_maps_end_their_stages(small):
    ends = {
        "stem": 5,
        "inception_a": 9,
        "reduction_a": 10,
        "inception_b": 17,
        "reduction_b": 18,
        "inception_c": 21,
    }
    probe = keras.Model(small.input, {name: small.get_layer(f"features.{end}").output for name, end in ends.items()})
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 80, 3)).astype("float32")
    maps, expected = infer(small, images), infer(probe, images)
    assert list(maps) == list(ends)
    for name, value in expected.items():
        np.testing.assert_array_equal(maps[name], value)


@pytest.mark.parametrize(
    "size, sides",
    [
        ((256, 128), [(29, 13), (14, 6), (6, 2)]),
        ((75, 75), [(7, 7), (3, 3), (1, 1)]),
    ],
)
def test_sizes_of_the_maps(size, sides, small):
    stem, middle, last = sides
    expected = {
        "stem": stem,
        "inception_a": stem,
        "reduction_a": middle,
        "inception_b": middle,
        "reduction_b": last,
        "inception_c": last,
    }
    shapes = small.compute_output_shape((None, *size, 3))
    assert {name: shape[1:3] for name, shape in shapes.items()} == expected


def test_74_pixels_leave_nothing(monkeypatch):
    with pytest.raises(ValueError, match="inception_v4: input_shape: expected sides of at least 75 pixels"):
        inception_v4((96, 74, 3), width_divisor=32)
    monkeypatch.setattr(module, "check_input_shape", lambda network, shape, smallest: shape)
    with pytest.raises(ValueError, match=r"negative dimension|Computed output size would be"):
        inception_v4((96, 74, 3), width_divisor=32)


def test_the_average_pooling_counts_no_padding(small):
    pooling = small.get_layer("features.6.branch3.0")
    image = np.arange(12, dtype="float32").reshape(1, 3, 4, 1)
    pooled = keras.ops.convert_to_numpy(pooling(image))[0, ..., 0]
    assert pooled[0, 0] == np.mean([0, 1, 4, 5])
    assert pooled[0, 1] == np.mean([0, 1, 2, 4, 5, 6])
    assert pooled[1, 2] == np.mean([1, 2, 3, 5, 6, 7, 9, 10, 11])


def test_every_convolution_is_narrowed(small):
    filters = [layer.filters for layer in small.layers if isinstance(layer, layers.Conv2D)]
    assert len(filters) == 149
    assert set(filters) == {4, 6, 7, 8, 10, 12, 14, 16}  # 64 // 32 = 2 is lifted to 4; 512 // 32 is the most
