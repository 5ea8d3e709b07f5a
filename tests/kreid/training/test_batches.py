"""The batches of a run: the same from wherever it goes on, and images that cannot be read."""

import numpy as np
import pytest
import tensorflow as tf
from configurations import changed

from kreid.data.training_set import TrainingSet
from kreid.training import batches as module
from kreid.training.batches import Batches
from kreid.training.failures import Failures
from kreid.training.state import State

pytestmark = pytest.mark.usefixtures("resnet_stem")


@pytest.fixture(scope="module")
def config(tiny_one):
    """Two epochs of two batches; which images are mirrored and where they are cut is drawn anew for each."""
    return changed(tiny_one, train={"epochs": 2, "steps_per_epoch": 2}, data={"crop_padding": 3})


@pytest.fixture(scope="module")
def training_set(records, config):
    return TrainingSet(records, config.data, config.train.seed)


@pytest.fixture
def make(config, training_set, tmp_path):
    """Batches from a state on."""
    return lambda state: Batches(
        training_set, config, tf.distribute.get_strategy(), state, Failures(tmp_path, several=False)
    )


def test_the_rest_of_a_run_is_the_same_from_anywhere(make, training_set):
    state = State()
    whole = make(state)
    state.epoch, state.step, state.images = 1, 1, 48  # where it stands later on changes nothing
    plan = [batch for epoch in (0, 1) for batch in whole.plan(epoch)]
    expected = [whole.next(plan[done:]) for done in range(4)]
    for batch, (_, labels) in zip(plan, expected, strict=True):
        np.testing.assert_array_equal(labels, training_set.label[batch])
    for done in (1, 2):  # within an epoch, and before one
        images = done * whole.size
        rest = make(State(epoch=done // 2, step=done % 2, images=images))
        for number in range(done, 4):
            for found, value in zip(rest.next(plan[number:]), expected[number], strict=True):
                np.testing.assert_array_equal(found, value, err_msg=f"batch {number}, from {done} on")


def test_an_epoch_is_as_long_as_asked_for(make, training_set, config):
    whole = list(training_set.sampler.epoch(1))
    assert len(whole) > config.train.steps_per_epoch
    for found, expected in zip(make(State()).plan(1), whole[:2], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_images_that_cannot_be_read_are_looked_for_among_those_read_ahead(make, training_set, monkeypatch):
    batches, error, asked = make(State()), tf.errors.UnknownError(None, None, "no image"), []

    def broken():
        raise error
        yield

    def unreadable(*arguments):
        asked.append(arguments)
        return ValueError("this record")

    monkeypatch.setattr(module, "_AHEAD", 2)
    batches._parts = broken()
    monkeypatch.setattr(batches.failures, "unreadable", unreadable)
    plan = [np.array([4, 1]), np.array([0, 2]), np.array([3, 5])]
    with pytest.raises(ValueError, match="this record"):
        batches.next(plan)
    ((raised, index, rows),) = asked
    assert raised is error
    assert index is training_set.index
    np.testing.assert_array_equal(rows, training_set.rows[[4, 1, 0, 2]])
