"""From gradients to new weights: each key of `train` changes the update as it says, and only so."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kreid.config.sections import Train
from kreid.training import updater as updates
from kreid.training.optimizers import build_optimizer
from kreid.training.updater import Updater


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="first"), keras.layers.Dense(2, name="last")]
    )


def values(variables):
    return [np.asarray(variable) for variable in variables]


def random_gradients(seed):
    rng = np.random.default_rng(seed)
    return [np.float32(rng.normal(size=shape)) for shape in ((3, 4), (4,), (4, 2), (2,))]


def states(batches, rate=0.1, model=None, traced=False, **settings):
    """Weights before, and after the gradients of each of these batches, and the updater.

    Traced as training does, where what is counted from batch to batch decides; elsewhere that takes thrice as long.
    """
    model = model or network()
    updater = Updater(Train(learning_rate=rate, **settings), model)
    updater.set_learning_rate(rate)
    found = [values(model.trainable_variables)]

    def step(gradients):
        updater.apply(gradients, model.trainable_variables)

    step = tf.function(step, autograph=False) if traced else step
    for gradients in batches:
        step([tf.constant(gradient) for gradient in gradients])
        found.append(values(model.trainable_variables))
    return found, updater


def updated(batches, **settings):
    """Weights before and after all of these batches, and the updater."""
    found, updater = states(batches, **settings)
    return found[0], found[-1], updater


def assert_all_close(ours, theirs, **tolerance):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, **(tolerance or {"rtol": 1e-5, "atol": 1e-7}))


# --- optimisers -----------------------------------------------------------------------------------------------------


def test_sgd_with_nesterov_momentum_by_hand():
    one, two = (random_gradients(seed) for seed in (1, 2))
    before, after, _ = updated([one, two], optimizer="sgd")
    expected = []
    for start, first, second in zip(before, one, two, strict=True):
        momentum = -0.1 * first
        value = start + 0.9 * momentum - 0.1 * first
        momentum = 0.9 * momentum - 0.1 * second
        expected.append(value + 0.9 * momentum - 0.1 * second)
    assert_all_close(after, expected)


def test_adam_moves_each_weight_by_the_rate_at_first():
    gradients = random_gradients(1)
    before, after, _ = updated([gradients], optimizer="adam")
    epsilon = 1e-7 / np.sqrt(1 - 0.999)
    expected = [v - 0.1 * g / (np.abs(g) + epsilon) for v, g in zip(before, gradients, strict=True)]
    assert_all_close(after, expected, atol=2e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_decay_is_apart_from_the_gradient_and_spares_biases(optimizer):
    gradients = random_gradients(1)
    before, plain, _ = updated([gradients], optimizer=optimizer)
    _, decayed, _ = updated([gradients], optimizer=optimizer, weight_decay=0.2)
    shrinks = [v.ndim > 1 for v in before]
    expected = [p - 0.1 * 0.2 * v if shrink else p for p, v, shrink in zip(plain, before, shrinks, strict=True)]
    assert_all_close(decayed, expected)
    assert shrinks.count(False) == 2


SPARED = ("bias", "gamma", "beta", "alpha", "tokens", "embedding", "log_temperature")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize(("name", "shape"), [*((name, (4,)) for name in SPARED), ("kernel", (3, 3, 2, 1))])
def test_what_decays(optimizer, name, shape):
    """A step without a gradient: depthwise kernels, which Muon leaves to Adam, shrink as others do; nothing else."""
    variable = keras.Variable(np.ones(shape, "float32"), name=name)
    built = build_optimizer(Train(optimizer=optimizer, learning_rate=0.1, weight_decay=0.2))
    built.apply([tf.zeros(shape)], [variable])
    np.testing.assert_allclose(np.asarray(variable), 0.98 if name == "kernel" else 1.0, rtol=1e-6)


# --- what happens before the optimiser ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_accumulation_equals_the_update_of_the_mean_gradient(optimizer):
    batches = [random_gradients(seed) for seed in range(4)]
    means = [[(a + b) / 2 for a, b in zip(batches[i], batches[i + 1], strict=True)] for i in (0, 2)]
    _, expected, _ = updated(means, optimizer=optimizer)
    (before, half_way, *_, after), updater = states(batches, traced=True, optimizer=optimizer, accumulate=2)
    assert_all_close(after, expected)
    assert int(updater.batches) == 4
    assert_all_close(half_way, before, atol=0)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_norm_of_the_mean_gradient_is_clipped(accumulate):
    gradients = random_gradients(1)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    before, after, _ = updated([gradients] * accumulate, optimizer="sgd", clip_norm=0.5, accumulate=accumulate)
    expected = [v - 1.9 * 0.1 * g * 0.5 / norm for v, g in zip(before, gradients, strict=True)]
    assert_all_close(after, expected)
    _, free, _ = updated([gradients] * accumulate, optimizer="sgd", clip_norm=2 * norm, accumulate=accumulate)
    _, plain, _ = updated([gradients], optimizer="sgd")
    assert_all_close(free, plain)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_a_rate_scales_the_whole_update_of_its_layers(optimizer):
    """Also under Adam, which undoes a factor on the gradient."""
    decay = {} if optimizer == "adam" else {"weight_decay": 0.1}
    batches = [random_gradients(seed) for seed in range(2)]
    _, slow, _ = updated(batches, rate=0.01, optimizer=optimizer, **decay)
    _, fast, _ = updated(batches, rate=0.1, optimizer=optimizer, **decay)
    _, mixed, _ = updated(batches, rate=0.1, optimizer=optimizer, rates={"first": 0.1}, **decay)
    assert_all_close(mixed, [*slow[:2], *fast[2:]])


def test_a_gradient_that_is_not_finite_changes_nothing():
    bad = random_gradients(1)
    bad[0][0, 0] = np.nan
    good = random_gradients(2)
    before, after, updater = updated([bad], optimizer="adam", ema=0.5)
    assert_all_close(after, before, atol=0)
    assert_all_close(values(updater.averages), before, atol=0)
    _, then, _ = updated([bad, good], traced=True, optimizer="adam")
    _, expected, _ = updated([good], traced=True, optimizer="adam")
    assert_all_close(then, expected, atol=0)
    _, skipped, _ = updated([good, bad, good, good], traced=True, optimizer="sgd", accumulate=2)
    _, expected, _ = updated([good, good], optimizer="sgd", accumulate=2)
    assert_all_close(skipped, expected, atol=0)  # the sum with the bad one is given up


def test_loss_scale_is_taken_out_again_halves_and_doubles(monkeypatch):
    monkeypatch.setattr(updates, "_GROWTH", 2)
    gradients = random_gradients(1)
    _, expected, _ = updated([gradients], optimizer="sgd")
    scaled = [gradient * 2.0**15 for gradient in gradients]
    _, after, updater = updated([scaled], optimizer="sgd", precision="mixed_float16")
    assert_all_close(after, expected)
    assert float(updater.scale_loss(tf.constant(3.0))) == 3.0 * 2.0**15
    overflow = [np.full_like(gradient, np.inf) for gradient in gradients]
    _, _, updater = updated([scaled, overflow, scaled], traced=True, optimizer="sgd", precision="mixed_float16")
    assert float(updater.scale) == 2.0**14
    _, _, updater = updated([scaled, scaled, scaled], traced=True, optimizer="sgd", precision="mixed_float16")
    assert float(updater.scale) == 2.0**16
    assert updated([gradients])[2].scale is None


# --- what follows it ------------------------------------------------------------------------------------------------


def test_average_follows_the_weights_once_an_update():
    batches = [random_gradients(seed) for seed in range(4)]
    average, _, _ = updated([], optimizer="sgd")
    for count in (2, 4):
        _, after, _ = updated(batches[:count], optimizer="sgd", accumulate=2)
        average = [0.75 * old + 0.25 * new for old, new in zip(average, after, strict=True)]
    _, _, updater = updated(batches, traced=True, optimizer="sgd", accumulate=2, ema=0.75)
    assert_all_close(values(updater.averages), average)


def test_the_average_takes_the_place_of_the_weights_for_a_while():
    gradients = random_gradients(1)
    model = network()
    before, after, updater = updated([gradients], model=model, optimizer="sgd", ema=0.5)
    middle = [(old + new) / 2 for old, new in zip(before, after, strict=True)]
    with contextlib.suppress(KeyError), updater.averaged():
        inside = values(model.trainable_variables)
        raise KeyError("whatever ends the while")
    assert_all_close(inside, middle)
    assert_all_close(values(model.trainable_variables), after, atol=0, rtol=0)
    _, after, updater = updated([gradients], model=model, optimizer="sgd")
    with updater.averaged():
        assert_all_close(values(model.trainable_variables), after, atol=0, rtol=0)


def test_variables_hold_everything_that_a_resumed_run_needs():
    settings = {"optimizer": "adam", "accumulate": 2, "ema": 0.5, "rates": {"last": 0.5}, "precision": "mixed_float16"}
    batches = [random_gradients(seed) for seed in range(5)]
    _, expected, whole = updated(batches, **settings)
    model = network()
    _, _, first = updated(batches[:3], model=model, **settings)
    again = network()
    second = Updater(Train(learning_rate=0.1, **settings), again)
    for kept, new in zip([*model.variables, *first.variables], [*again.variables, *second.variables], strict=True):
        new.assign(np.asarray(kept))
    for gradients in batches[3:]:
        second.apply([tf.constant(gradient) for gradient in gradients], again.trainable_variables)
    assert_all_close(values(again.trainable_variables), expected, atol=0)
    assert_all_close(values(second.averages), values(whole.averages), atol=0)
