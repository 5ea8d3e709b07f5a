"""Fusion layers against recorded originals, the Fourier form, naive loops and the statistics of the tensor sketch."""

import json
from functools import partial

import checks
import keras
import numpy as np
import pytest
from checks import compiled
from gradients import gradient
from keras import ops
from paths import GOLDEN

from kreid.layers.attention import SelfAttention
from kreid.layers.bilinear import BilinearPooling, CompactBilinearPooling
from kreid.layers.cameras import CameraEmbedding
from kreid.layers.drop_path import DropPath, DropPathDraws
from kreid.layers.normalization import L2Normalization
from kreid.layers.pooling import GeneralizedMeanPooling2D
from kreid.layers.preprocessing import ImagePreprocessing
from kreid.layers.tokens import LayerScale, LearnedTokens, PositionEmbedding

pytestmark = pytest.mark.backend

FILES = [np.load(GOLDEN / name) for name in ("cbp.npz", "cbp_big.npz")]
CASES = {case: golden for golden in FILES for case in json.loads(str(golden["meta"]))["cases"]}


def maps(*channels):
    """One map of a 5 x 3 grid for each number of channels, exact in half precision."""
    rng = np.random.default_rng(0)
    return [np.float32(rng.integers(-8, 9, (3, 5, 3, count)) / 8) for count in channels]


def tokens(width):
    return [x.reshape(3, 15, width) for x in maps(width)]


SWEEP = {
    "preprocessing": (partial(ImagePreprocessing, mean=[1.0, 2.0, 3.0], std=4.0, channel_order="bgr"), maps(3)),
    "attention": (partial(SelfAttention, heads=2), tokens(12)),
    "learned tokens": (partial(LearnedTokens, count=2, position=1), tokens(4)),
    "drop path": (partial(DropPath, shortcut=1), [*tokens(4), np.float32([[0, 2], [1, 1], [0, 1]])]),
    "layer scale": (LayerScale, tokens(4)),
    "positions": (partial(PositionEmbedding, grid=(7, 2), method="bilinear", square=True), tokens(4)),
    "generalised mean": (partial(GeneralizedMeanPooling2D, power=2.0, epsilon=0.25), maps(4)),
    "unit": (L2Normalization, [x.reshape(3, -1) for x in maps(4)]),
    "bilinear": (partial(BilinearPooling, pool="sum", normalize=False), maps(6, 4)),
    "bilinear_root": (partial(BilinearPooling, signed_sqrt=True), maps(6, 4)),
    "compact": (partial(CompactBilinearPooling, output_dim=11, seed=4, pool="sum", normalize=False), maps(6, 4)),
    "compact_root": (partial(CompactBilinearPooling, output_dim=16, signed_sqrt=True), maps(6, 4)),
}


@pytest.mark.parametrize("case", SWEEP)
def test_every_layer_passes_the_shared_check(case):
    make, inputs = SWEEP[case]
    checks.check_layer(make, *inputs)


def test_the_sweep_misses_no_layer():
    # Nothing before these could learn, what is drawn and what is looked up: see test_drop_path and test_cameras.
    ours = {layer for layer in checks.classes_of(keras.layers.Layer) if layer.__module__.startswith("kreid.layers.")}
    assert {type(make()) for make, _ in SWEEP.values()} | {DropPathDraws, CameraEmbedding} == ours


def sketch_of(case):
    """The compact layer with a recorded case's hashes: sum pooling, not normalised."""
    golden = CASES[case]
    x, y, d = golden[f"{case}/x"], golden[f"{case}/y"], golden[f"{case}/out"].shape[1]
    layer = CompactBilinearPooling(output_dim=d, pool="sum", normalize=False)
    layer.build([x.shape, y.shape])
    layer.set_weights([golden[f"{case}/{name}"] for name in ("h1", "s1", "h2", "s2")])
    return layer, x, y


def fourier_form(layer, x, y):
    """Tensor sketch as it is usually written: count sketches, FFT, product, inverse FFT, sum over places; float64."""
    h1, s1, h2, s2 = (np.asarray(w) for w in layer.get_weights())
    sketches = []
    for values, h, s in ((x, h1, s1), (y, h2, s2)):
        sketch = np.zeros((*values.shape[:-1], layer.output_dim))
        np.add.at(sketch, (..., h), values.astype(np.float64) * s)
        sketches.append(np.fft.rfft(sketch))
    return np.fft.irfft(sketches[0] * sketches[1], n=layer.output_dim).sum(axis=(1, 2))


@pytest.mark.parametrize("case", CASES)
def test_sketch_equals_recorded_original(case):
    layer, x, y = sketch_of(case)
    cotangent = CASES[case][f"{case}/cot"].astype(np.float32)
    _, (gx, gy) = gradient(lambda a, p: ops.sum(layer([a, p]) * cotangent), x, y)
    for ours, name in ((np.asarray(compiled(layer)([x, y])), "out"), (gx, "gx"), (gy, "gy")):
        exact = f"{case}/{name}"
        original = CASES[case][exact if exact in CASES[case] else f"{exact}_f32"]
        assert np.abs(ours - original).max() <= 2e-6 * np.abs(original).max(), name


@pytest.mark.parametrize("d", [1, 7, 64, 101])
def test_sketch_equals_fourier_form(d):
    rng = np.random.default_rng(d)
    x, y = rng.standard_normal((2, 3, 5, 12), "float32"), rng.standard_normal((2, 3, 5, 9), "float32")
    layer = CompactBilinearPooling(output_dim=d, seed=d, pool="sum", normalize=False)
    layer.build([x.shape, y.shape])
    ours = np.asarray(compiled(layer)([x, y]))
    expected = fourier_form(layer, x, y)
    np.testing.assert_allclose(ours, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


def test_bilinear_is_the_mean_outer_product():
    rng = np.random.default_rng(0)
    a, p = rng.standard_normal((2, 4, 3, 5), "float32"), rng.standard_normal((2, 4, 3, 6), "float32")
    naive = np.zeros((2, 30))
    for n in range(2):
        for row in range(4):
            for column in range(3):
                naive[n] += np.outer(a[n, row, column], p[n, row, column]).ravel() / 12
    np.testing.assert_allclose(np.asarray(BilinearPooling(normalize=False)([a, p])), naive, atol=1e-6)
    unit = naive / np.linalg.norm(naive, axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(BilinearPooling()([a, p])), unit, atol=1e-6)
    np.testing.assert_allclose(np.asarray(BilinearPooling(pool="sum")([a, p])), unit, atol=1e-6)


def test_signed_square_root_comes_before_the_norm_and_has_a_finite_gradient_at_zero():
    a, p = np.zeros((1, 1, 1, 2), "float32"), np.ones((1, 1, 1, 2), "float32")
    a[0, 0, 0] = [4.0, 0.0]
    p[0, 0, 0] = [1.0, -4.0]
    layer = BilinearPooling(signed_sqrt=True)
    expected = np.array([2.0, -4.0, 0.0, 0.0]) / np.sqrt(20.0)
    np.testing.assert_allclose(np.asarray(layer([a, p]))[0], expected, atol=1e-6)
    _, gradients = gradient(lambda a, p: ops.sum(layer([a, p])), a, p)
    assert all(np.isfinite(g).all() for g in gradients)


def sketch_products(a, b, p, q, d, trials, block=10):
    """`<TS(a, p), TS(b, q)>` under `trials` hashes of one layer, `block` of them side by side in the channels."""
    drawn = CompactBilinearPooling(output_dim=d)
    drawn.build([(None, 1, 1, trials * len(v)) for v in (a, p)])
    x, y = (np.zeros((2, block, 1, 1, block, len(v)), "float32") for v in (a, p))
    for trial in range(block):
        x[:, trial, 0, 0, trial], y[:, trial, 0, 0, trial] = (a, b), (p, q)
    x, y = (v.reshape(2 * block, 1, 1, -1) for v in (x, y))
    maps = [keras.Input(v.shape[1:], name=name) for name, v in (("x", x), ("y", y))]
    model = keras.Model(maps, CompactBilinearPooling(output_dim=d, normalize=False, name="sketch")(maps))
    if keras.backend.backend() == "jax":  # without Keras's books of 3,200 calls
        sketches = compiled(lambda hashes: model.stateless_call([], hashes, [x, y])[0])
    else:

        def sketches(hashes):
            model.set_weights(hashes)
            return model.predict_on_batch([x, y])

    found = []
    for hashes in zip(*(w.reshape(trials // block, -1) for w in drawn.get_weights()), strict=True):
        left, right = np.asarray(sketches(hashes), np.float64).reshape(2, block, d)
        found.append(np.sum(left * right, axis=1))
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("d", "c1", "c2", "alike"), [(64, 6, 5, False), (17, 9, 2, False), (2, 4, 3, True), (3, 4, 3, True)]
)
def test_sketch_keeps_inner_products_with_the_known_variance(d, c1, c2, alike):
    """E<TS(a,p), TS(b,q)> = <a,b><p,q>, and the variance over hashes follows its law.

    The term in d^-2, which tells even from odd d, weighs 10 % and more where a = b and p = q of equal entries.
    """
    rng = np.random.default_rng(3)
    a, b = np.ones((2, c1)) if alike else rng.standard_normal((2, c1))
    p, q = np.ones((2, c2)) if alike else rng.standard_normal((2, c2))
    products = sketch_products(a, b, p, q, d, trials=8000)
    cross = (a**2) @ (b**2), (p**2) @ (q**2)
    a0, a1 = (a @ a) * (b @ b) - cross[0], (a @ b) ** 2 - cross[0]
    p0, p1 = (p @ p) * (q @ q) - cross[1], (p @ q) ** 2 - cross[1]
    variance = ((a @ b) ** 2 * (p0 + p1) + (p @ q) ** 2 * (a0 + a1) + a0 * p0 + a1 * p1) / d
    variance += (1 if d % 2 else 2) * (a0 * p1 + a1 * p0) / d**2
    z = (products.mean() - (a @ b) * (p @ q)) / np.sqrt(variance / len(products))
    assert abs(z) < 4
    assert 0.93 < products.var() / variance < 1.07


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles everything")
def test_sketch_and_gradients_compile_under_xla_for_any_batch():
    import tensorflow as tf

    layer, *maps = sketch_of("odd")
    cotangent = CASES["odd"]["odd/cot"].astype("float32")

    def value_and_gradients(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            value = layer([x, y])
            scalar = tf.reduce_sum(value * cotangent[:1])
        return value, *tape.gradient(scalar, [x, y])

    signature = [tf.TensorSpec((None, *x.shape[1:])) for x in maps]
    compiled = tf.function(value_and_gradients, jit_compile=True, input_signature=signature)
    for batch in (1, 2):
        given = [tf.constant(x[:batch]) for x in maps]
        for actual, expected in zip(compiled(*given), value_and_gradients(*given), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_no_image_gives_no_sketch():
    layer = CompactBilinearPooling(output_dim=20)
    maps = [np.zeros((0, 2, 2, channels), "float32") for channels in (6, 5)]
    layer.build([x.shape for x in maps])
    assert compiled(layer)(maps).shape == (0, 20)


def test_hashes_come_from_the_seed_and_are_saved(tmp_path):
    shapes = [(None, 2, 2, 30), (None, 2, 2, 20)]

    def hashes(seed):
        layer = CompactBilinearPooling(output_dim=50, seed=seed)
        layer.build(shapes)
        return layer.get_weights()

    for first, again, other in zip(hashes(1), hashes(1), hashes(2), strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
    h1, s1, _, s2 = hashes(1)
    assert h1.dtype == np.int32
    assert h1.min() >= 0
    assert h1.max() < 50
    assert set(np.unique(np.concatenate([s1, s2]))) == {-1.0, 1.0}

    inputs = [keras.Input(shape[1:]) for shape in shapes]
    model = keras.Model(inputs, CompactBilinearPooling(output_dim=50, seed=1, name="fusion")(inputs))
    given = [np.roll(w, 1) for w in model.get_layer("fusion").get_weights()]
    model.get_layer("fusion").set_weights(given)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for saved, kept in zip(given, loaded.get_layer("fusion").get_weights(), strict=True):
        np.testing.assert_array_equal(saved, kept)


def test_mixed_precision_accumulates_in_float32():
    rng = np.random.default_rng(0)
    x = np.float32(rng.integers(-8, 9, (2, 16, 8, 32)) / 8)  # exact in bfloat16
    y = np.float32(rng.integers(-8, 9, (2, 16, 8, 16)) / 8)
    exact = CompactBilinearPooling(output_dim=128, seed=0)
    mixed = CompactBilinearPooling(output_dim=128, seed=0, dtype="mixed_bfloat16")
    for layer in (exact, mixed):
        layer.build([x.shape, y.shape])
    found, expected = mixed([x, y]), compiled(exact)([x, y])  # compiled, JAX may be more exact than what is asked
    assert ops.dtype(found) == "bfloat16"
    found, expected = (ops.convert_to_numpy(ops.cast(one, "float32")) for one in (found, expected))
    # Only the result is rounded: half a unit of the last of 8 bits. Sums of 128 terms in bfloat16 are off by far more.
    assert (np.abs(found - expected) <= np.abs(expected) * 2**-8 + 1e-7).all()
    assert [w.dtype for w in mixed.weights] == ["int32", "float32", "int32", "float32"]


@pytest.mark.parametrize(
    ("mean", "std", "order", "expected"),
    [
        pytest.param(128, 256, "bgr", [127 / 256, (64 - 128) / 256, -0.5], id="openpose"),
        pytest.param([10.0, 20.0, 30.0], [1.0, 2.0, 3.0], "rgb", [-10.0, 22.0, 75.0], id="per_channel"),
    ],
)
def test_preprocessing(mean, std, order, expected):
    image = np.array([0.0, 64.0, 255.0]).reshape(1, 1, 1, 3)
    layer = ImagePreprocessing(mean, std, channel_order=order)
    np.testing.assert_allclose(np.asarray(layer(image)).ravel(), expected, atol=1e-6)


def test_preprocessing_under_half_precision_rounds_its_result_alone():
    """Between 128 and 255 bfloat16 holds whole grey levels only, resized images more than those."""
    image = np.full((1, 1, 1, 3), 140.5, "float32")
    layer = ImagePreprocessing(mean=140.0, dtype="mixed_bfloat16")
    assert ops.dtype(layer(image)) == "bfloat16"
    np.testing.assert_array_equal(ops.convert_to_numpy(ops.cast(layer(image), "float32")), 0.5)


def test_zero_vector_normalises_to_zero_with_finite_gradient():
    value, (g,) = gradient(lambda x: ops.sum(L2Normalization()(x)), np.zeros((2, 3)))
    assert value == 0
    assert not g.any()


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="pool: .*'max'"):
        BilinearPooling(pool="max")
    with pytest.raises(ValueError, match="output_dim: .*0"):
        CompactBilinearPooling(output_dim=0)
    for wrong in ("512", 1.5, True, None):
        with pytest.raises(ValueError, match=f"output_dim: expected a whole number, 1 or more, received {wrong!r}"):
            CompactBilinearPooling(output_dim=wrong)
    with pytest.raises(ValueError, match="channel_order: .*'gbr'"):
        ImagePreprocessing(channel_order="gbr")
    with pytest.raises(ValueError, match="std: expected positive"):
        ImagePreprocessing(std=0)
    with pytest.raises(ValueError, match="differ in height or width; align them"):
        CompactBilinearPooling()([np.zeros((1, 16, 8, 4)), np.zeros((1, 32, 16, 4))])
    with pytest.raises(ValueError, match="two .* maps"):
        BilinearPooling()([np.zeros((1, 4)), np.zeros((1, 4))])
