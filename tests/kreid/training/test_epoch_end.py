"""What the end of an epoch keeps: the average's weights where they are best, and a row of the log."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from configurations import changed

from kreid.config.sections import Train
from kreid.training import epoch_end as module
from kreid.training.collapse import CollapseWatch
from kreid.training.epoch_end import EpochEnd
from kreid.training.state import State
from kreid.training.updater import Updater

pytestmark = pytest.mark.usefixtures("resnet_stem")

SHOWN = np.zeros((2, 2, 3), np.uint8)


class Writer:
    """Keeps what the log is given."""

    def __init__(self):
        self.given = []

    def epoch(self, row, logs, model, picture):
        self.given.append((row, logs, picture))


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])


def step_of(**settings):
    """A network of one layer in place of the run's."""
    model = network()
    return SimpleNamespace(model=model, updater=Updater(Train(**settings), model))


@pytest.fixture
def scores(monkeypatch):
    """The validations to come; `seen` are the arguments of those that were made."""
    scores = SimpleNamespace(coming=[], seen=[], ranking=[1])

    def validate(*arguments):
        scores.seen.append(arguments)
        return {"valid_mAP": scores.coming.pop(0), "valid_spread": 0.5}, scores.ranking

    monkeypatch.setattr(module, "validate", validate)
    monkeypatch.setattr(module, "rank", lambda embeddings, protocol, nearest: embeddings)
    monkeypatch.setattr(module, "gallery_picture", lambda ranking, valid, queries: (SHOWN, ranking, valid, queries))
    return scores


def finish(ending, *epochs, writer=None, state=None):
    """Finish epochs of one step each."""
    state = state or State(busy=1.0)
    for epoch in epochs:
        state.epoch, state.steps, state.sums = epoch, 1, {"loss": 1.0 / epoch}
        state.images += 16
        ending.finish(state, writer or Writer(), CollapseWatch())
    return state


def test_the_average_is_validated_and_kept_and_training_goes_on_from_its_own(tiny_one, tmp_path, scores, monkeypatch):
    step = step_of(ema=0.9)
    trained = [np.asarray(variable) for variable in step.model.variables]
    for average in step.updater.averages:
        average.assign(average + 5.0)
    inside = []
    monkeypatch.setattr(
        module,
        "validate",
        lambda model, *_: (inside.extend(np.asarray(v) for v in model.variables), ({"valid_mAP": 0.5}, []))[1],
    )
    finish(EpochEnd(tiny_one, step, tmp_path, tmp_path / "valid", None), 1)
    saved = network()
    saved.load_weights(tmp_path / "model.weights.h5")
    for before, during, after, kept in zip(trained, inside, step.model.variables, saved.variables, strict=True):
        np.testing.assert_array_equal(during, before + np.float32(5))
        np.testing.assert_array_equal(kept, during)
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(("coming", "kept"), [([0.5, 0.3, 0.7], [1, 3]), ([0.5, 0.4, 0.3], [1]), (None, [1, 2, 3])])
def test_the_best_weights_are_kept_or_the_last(tiny_one, tmp_path, scores, monkeypatch, coming, kept):
    written, state = [], State(busy=1.0)
    monkeypatch.setattr(module.runs, "write_weights", lambda model, run: written.append((state.epoch, run)))
    valid = tmp_path / "valid" if coming else None
    scores.coming = coming
    finish(EpochEnd(tiny_one, step_of(), tmp_path, valid, None), 1, 2, 3, state=state)
    assert written == [(epoch, tmp_path) for epoch in kept]


def test_some_epochs_are_validated_and_the_last_always(tiny_one, tmp_path, scores):
    config = changed(tiny_one, train={"epochs": 5, "validate_every": 2, "validate_actions": 3})
    writer, step = Writer(), step_of()
    scores.coming = [0.1, 0.2, 0.3]
    finish(EpochEnd(config, step, tmp_path, tmp_path / "valid", None), 1, 2, 3, 4, 5, writer=writer)
    assert [row["epoch"] for row, _, _ in writer.given if "valid_mAP" in row] == [2, 4, 5]
    assert scores.seen == 3 * [(step.model, tmp_path / "valid", 3, None, None)]


def test_the_row_of_an_epoch_by_hand(tiny_one, tmp_path, scores):
    settings = {"epochs": 20, "warmup_epochs": 11, "learning_rate": 1.0, "pictures": 3}
    writer, state = Writer(), State(epoch=3, steps=4, sums={"loss": 10.0, "active": 1.0}, images=640, busy=8.0)
    scores.coming = [0.25]
    ending = EpochEnd(changed(tiny_one, train=settings), step_of(), tmp_path, tmp_path / "valid", None)
    logs = ending.finish(state, writer, CollapseWatch())
    assert logs == {"loss": 2.5, "active": 0.25, "valid_mAP": 0.25, "valid_spread": 0.5}
    ((row, more, picture),) = writer.given
    # The rate is that of the last step, before which 2.75 of 11 epochs were done.
    assert list(row.items()) == list({"epoch": 3, "images": 640, "learning_rate": 0.25, **logs}.items())
    assert more == {"images_per_second": 80.0}
    assert picture == (SHOWN, [1], tmp_path / "valid", 3)
    assert (state.best, state.best_epoch) == (0.25, 3)


@pytest.mark.parametrize(("pictures", "held_out"), [(0, None), (3, [5, 6])], ids=["off", "held"])
def test_there_may_be_nothing_to_show(tiny_one, tmp_path, scores, pictures, held_out):
    """Held-out training images have no picture: the ranking's queries are no queries of the records."""
    writer = Writer()
    scores.coming = [0.5]
    config = changed(tiny_one, train={"pictures": pictures})
    finish(EpochEnd(config, step_of(), tmp_path, tmp_path / "train", held_out), 1, writer=writer)
    assert writer.given[0][2] is None
    assert scores.seen[0][3] is held_out


def test_a_validation_says_that_distances_are_alike(tiny_one, tmp_path, scores, caplog, monkeypatch):
    monkeypatch.setattr(module, "validate", lambda *_: ({"valid_mAP": 0.5, "valid_spread": 0.001}, []))
    finish(EpochEnd(tiny_one, step_of(), tmp_path, tmp_path / "valid", None), 1)
    assert "the embedding has collapsed: all distances are alike, to 0.0010" in caplog.text
