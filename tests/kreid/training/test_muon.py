"""Muon's updates, by NumPy and by what they must be: orthogonal for kernels, Adam's for everything else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kreid.config.sections import Train
from kreid.training.muon import Muon
from kreid.training.updater import Updater


def variable(shape, name="kernel", seed=0):
    return keras.Variable(np.float32(np.random.default_rng(seed).normal(size=shape)), name=name)


def orthogonal(matrix, rounds=5):
    """Rounds of the polynomial that brings singular values near 1 (Jordan et al. 2024)."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(rounds):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def steps(optimizer, weights, gradients):
    """Weights after these gradients, a list for each step."""
    optimizer.build(weights)
    for given in gradients:
        optimizer.apply(given, weights)
    return [np.asarray(weight) for weight in weights]


def expected_of(kernel, gradients, rate=0.1, momentum=0.95, nesterov=True, ns_steps=5, rms_rate=0.2):
    """A kernel after these gradients, by NumPy in float64."""
    matrix, kept = kernel.reshape(-1, kernel.shape[-1]).astype(float), 0.0
    scale = 1.0 if rms_rate is None else rms_rate * np.sqrt(max(matrix.shape))
    for gradient in gradients:
        gradient = gradient.reshape(matrix.shape).astype(float)
        kept = momentum * kept + gradient
        matrix = matrix - rate * scale * orthogonal(gradient + momentum * kept if nesterov else kept, ns_steps)
    return matrix.reshape(kernel.shape)


@pytest.mark.parametrize("options", [{}, {"nesterov": False, "momentum": 0.8, "ns_steps": 3, "rms_rate": None}])
@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 4, 16), (3, 3, 2, 2), (6, 5), (5, 12), (2, 9)])
def test_two_steps_equal_numpys(shape, options):
    kernel = variable(shape)
    gradients = [np.asarray(variable(shape, seed=seed)) for seed in (1, 2)]
    expected = expected_of(np.asarray(kernel), gradients, **options)
    (found,) = steps(Muon(0.1, **options), [kernel], [[gradient] for gradient in gradients])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_section_means_this_one():
    """Through what training uses; Keras's own leaves convolutions to Adam."""
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(image))
    updater = Updater(Train(optimizer="muon", learning_rate=0.1), model)
    updater.set_learning_rate(0.1)
    (kernel,) = model.trainable_variables
    gradient = np.asarray(variable(kernel.shape, seed=1))
    expected = expected_of(np.asarray(kernel), [gradient])
    tf.function(lambda: updater.apply([tf.constant(gradient)], [kernel]), autograph=False)()
    np.testing.assert_allclose(np.asarray(kernel), expected, rtol=0, atol=1e-5)


def test_rare_directions_move_as_far_as_common_ones():
    """A gradient whose singular values span a thousand: its update's lie within the polynomial's bounds."""
    rng = np.random.default_rng(3)
    left, right = (np.linalg.qr(rng.normal(size=(size, 6)))[0] for size in (36, 10))
    gradient = np.float32(left * np.geomspace(1, 1e-3, 6) @ right.T).reshape(3, 3, 4, 10)
    kernel = variable(gradient.shape)
    start = np.asarray(kernel)
    (found,) = steps(Muon(1.0), [kernel], [[gradient]])
    moved = (start - found).reshape(36, 10) / (0.2 * np.sqrt(36))
    along = np.diag(left.T @ moved @ right)
    assert along[:5].min() > 0.5, "of the directions above 0.002 of the longest"
    assert along.max() < 1.3
    np.testing.assert_allclose(moved, left @ (left.T @ moved @ right) @ right.T, atol=1e-4)


OTHERS = {
    "bias": ((4,), "bias"),
    "a norm's scale": ((4,), "gamma"),
    "tokens": ((2, 4), "tokens"),
    "positions": ((9, 4), "embedding"),
    "slopes": ((1, 1, 4), "alpha"),
    "a depthwise kernel": ((3, 3, 4, 1), "kernel"),
    "a grouped convolution's depthwise kernel": ((3, 3, 1, 4), "kernel"),
    "a kernel of one input": ((1, 4), "kernel"),
    "a kernel of one output": ((4, 1), "kernel"),
    "KerasHub's attention": ((6, 2, 3), "kernel"),
    "another name": ((5, 4), "recurrent_kernel"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_matrix_learns_by_adam(case):
    shape, name = OTHERS[case]
    gradients = [[np.asarray(variable(shape, seed=seed))] for seed in (1, 2, 3)]
    ours, theirs = variable(shape, name), variable(shape, name)
    (found,) = steps(Muon(0.1), [ours], gradients)
    (expected,) = steps(keras.optimizers.Adam(0.1), [theirs], gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_classifiers_learn_by_adam_and_every_other_kernel_by_muon():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.Flatten()(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.Dense(5, name="embedding_fc")(x)
    model = keras.Model(image, keras.layers.Dense(7, name="role_logits")(x))
    optimizer = Muon()
    optimizer.build(model.trainable_variables)
    pairs = zip(model.trainable_variables, optimizer.adam_velocities, strict=True)
    assert [weight.path for weight, velocity in pairs if velocity is None] == ["conv/kernel", "embedding_fc/kernel"]
    excluding = Muon(exclude_layers=["^conv", "logits$"])
    assert [excluding._should_use_adamw(weight) for weight in model.trainable_variables if "kernel" in weight.path] == [
        True,
        True,
        False,
        False,
    ]


def test_a_model_that_was_compiled_with_it_is_loaded(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="dense")])
    model.compile(Muon(0.02, weight_decay=0.1, exclude_layers=["last"], momentum=0.9), loss="mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 4)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert type(loaded) is Muon
    assert loaded.get_config() == model.optimizer.get_config()
    for ours, theirs in zip(model.optimizer.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(theirs), np.asarray(ours))
