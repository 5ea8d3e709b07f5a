"""Compact bilinear pooling as one compiled program: XLA, a batch whose size is known only when it comes."""

import keras
import numpy as np
import pytest

from kreid.layers import CompactBilinearPooling


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles everything")
def test_sketch_and_gradients_compile_and_equal_eager_ones():
    import tensorflow as tf

    layer = CompactBilinearPooling(output_dim=50, normalize=False)
    layer.build([(None, 3, 2, 12), (None, 3, 2, 7)])

    def sketch(appearance, part):
        with tf.GradientTape() as tape:
            tape.watch([appearance, part])
            sketch = layer([appearance, part])
            total = tf.reduce_sum(sketch**2)
        return sketch, *tape.gradient(total, [appearance, part])

    signature = [tf.TensorSpec((None, 3, 2, channels)) for channels in (12, 7)]
    compiled = tf.function(sketch, jit_compile=True, input_signature=signature)
    rng = np.random.default_rng(0)
    for batch in (1, 3):
        maps = [tf.constant(rng.standard_normal((batch, 3, 2, channels), "float32")) for channels in (12, 7)]
        for actual, expected in zip(compiled(*maps), sketch(*maps), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_an_image_has_its_own_sketch_whatever_stands_beside_it():
    layer = CompactBilinearPooling(output_dim=20, normalize=False)
    rng = np.random.default_rng(0)
    maps = [rng.standard_normal((4, 2, 2, channels), "float32") for channels in (6, 5)]
    together = np.asarray(layer(maps))
    for image in range(4):
        np.testing.assert_allclose(
            layer([x[image : image + 1] for x in maps])[0], together[image], rtol=1e-5, atol=1e-6
        )
    assert layer([x[:0] for x in maps]).shape == (0, 20)
