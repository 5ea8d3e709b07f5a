"""Every loss of the table: its keys are those of the section, and it does what every loss must do."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from functools import partial
from typing import get_args

import checks
import keras
import numpy as np
import pytest
from gradients import gradient_of_loss

import kreid.losses
from kreid.config.sections import Loss
from kreid.losses.info_nce import InfoNCELoss
from kreid.losses.objective import WeightedSum, build_losses
from kreid.losses.pairs import DISTANCES
from kreid.losses.table import CLASSIFIERS, LOSSES, weight_keys_by_key
from kreid.losses.triplet import MININGS, TripletLoss

pytestmark = pytest.mark.backend

FIELDS = Loss.model_fields
# What a row with its keys changed does not reach.
MORE = {
    "triplet_hard": partial(TripletLoss, margin=1.0, distance="cosine", same_action=False),
    "triplet_semi_hard": partial(TripletLoss, margin="soft", mining="semi_hard", name="nearest"),
    "weighted_sum": partial(WeightedSum, [TripletLoss(margin=1.0), InfoNCELoss(temperature=0.5)], [0.5, 2.0]),
}
# Losses of vectors with their defaults, and the triplets' other ways.
PAIRS = {
    **{name: row.load() for name, row in LOSSES.items() if row.output == "vectors"},
    "triplet_all": partial(TripletLoss, mining="all"),
    "triplet_semi_hard": partial(TripletLoss, mining="semi_hard"),
    "triplet_soft": partial(TripletLoss, margin="soft"),
    "triplet_cosine": partial(TripletLoss, distance="cosine"),
}


def constructor(row):
    """Default by argument, without those that every Keras loss has."""
    arguments = inspect.signature(row.load()).parameters.values()
    return {one.name: one.default for one in arguments if one.name not in ("name", "kwargs")}


def other_values(row):
    """A value by argument that is not its default."""
    return {argument: _other_value(key) for argument, key in row.keys.items()}


def _other_value(key):
    default = FIELDS[key].default
    if isinstance(default, bool):
        return not default
    if isinstance(default, str):
        return next(value for value in get_args(FIELDS[key].annotation) if value != default)
    if isinstance(default, int) or default is None:
        return (default or 0) + 2
    return default / 2 or 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_the_keys_of_a_row_have_the_constructors_defaults(name):
    row = LOSSES[name]
    assert {argument: FIELDS[key].default for argument, key in row.keys.items()} == constructor(row)
    assert FIELDS[row.weight_key].annotation is float
    assert row.load().__module__ == f"kreid.losses.{name}"


def test_every_key_of_the_section_is_of_a_loss():
    weights = {row.weight_key for row in LOSSES.values()}
    assert set(FIELDS) == weights | set(weight_keys_by_key()) | {"head_weight"}


def test_the_section_and_the_losses_know_the_same_words():
    assert get_args(FIELDS["mining"].annotation) == MININGS
    assert get_args(FIELDS["distance"].annotation) == DISTANCES


def test_which_weights_a_key_needs():
    found = weight_keys_by_key()
    assert found["margin"] == ("triplet_weight", "centroid_weight")
    assert found["circle_scale"] == ("circle_weight",)
    assert found["label_smoothing"] == ("identity_weight",)
    assert "identity_weight" not in found["same_action"]


def test_the_table_is_read_without_keras():
    code = "import sys, kreid.losses, kreid.config; sys.exit('keras' in sys.modules or not kreid.losses.LOSSES)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", LOSSES)
def test_what_the_section_says_reaches_the_loss_and_no_other(name):
    row = LOSSES[name]
    values = other_values(row)
    section = {"triplet_weight": 0.0, row.weight_key: 0.5, **{row.keys[name]: value for name, value in values.items()}}
    ((output, found),) = build_losses(Loss(**section), ["embedding", *CLASSIFIERS]).items()
    assert output == ("embedding" if row.output == "vectors" else row.output)
    assert found.weights == [0.5]
    (loss,) = found.losses
    assert type(loss) is row.load()
    assert {argument: getattr(loss, argument) for argument in values} == values


@pytest.mark.parametrize("case", [*LOSSES, *MORE])
def test_every_loss_passes_the_shared_check(case):
    row = LOSSES.get(case)
    make = partial(row.load(), **other_values(row)) if row else MORE[case]
    person = np.array([1, 1, 2, 2, 3, 3]) + (0 if row and row.output == "logits" else 300_000)
    labels = np.stack([person, [0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 4, -1], [4, 3, 2, 1, 0, -1]], axis=1)
    checks.check_loss(make, labels, np.random.default_rng(0).standard_normal((6, 5)).astype("float32"))


def test_the_table_misses_no_loss():
    for module in pkgutil.iter_modules(kreid.losses.__path__, "kreid.losses."):
        importlib.import_module(module.name)
    assert {row.load() for row in LOSSES.values()} | {WeightedSum} == checks.classes_of(keras.losses.Loss)


# --- degenerate batches ---------------------------------------------------------------------------------------------

EMPTY = {
    "one_person": ([3, 3, 3, 3], [0, 0, 0, 0]),
    "no_positive": ([0, 1, 2, 3], [0, 0, 0, 0]),
    "no_negative_in_the_action": ([0, 0, 1, 1], [0, 0, 1, 1]),
    "one_image": ([0], [0]),
}


@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.parametrize("name", PAIRS)
def test_without_a_triplet_loss_and_gradient_are_zero(case, name):
    labels = np.stack(EMPTY[case], axis=1)
    x = np.random.default_rng(0).standard_normal((len(labels), 5))
    value, g = gradient_of_loss(PAIRS[name](), labels, x)
    assert value == 0
    assert (g == 0).all()


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e-6, 1e4])
def test_equal_rows_have_finite_loss_and_gradient(name, scale):
    labels, x = np.array([[0, 0], [0, 0], [1, 0], [1, 0], [2, 0], [2, 0]]), np.full((6, 5), scale)
    value, g = gradient_of_loss(PAIRS[name](), labels, x)
    assert np.isfinite(value)
    assert np.isfinite(g).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="what Keras registers knows no backend")
def test_a_saved_model_finds_its_loss_once_the_losses_are_imported(tmp_path):
    """In processes of their own, since here every loss is registered already: forks of one that has loaded Keras.

    It computes by NumPy, which is there at once, and which loading does not ask about.
    """
    inputs = keras.Input((4,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))
    model.compile("sgd", loss=LOSSES["info_nce"].load()(temperature=0.5))
    model.save(tmp_path / "model.keras")
    code = """
import os, sys, keras
for line in ("from kreid import layers, losses", "from kreid.losses import CircleLoss", "from kreid import layers"):
    if not os.fork():
        exec(line)
        print(keras.models.load_model("model.keras").loss.temperature, flush=True)
        os._exit(0)
    os.wait()
"""
    light = {**os.environ, "KERAS_BACKEND": "numpy"}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=tmp_path, env=light, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["0.5", "0.5"], done.stderr[-1000:]
