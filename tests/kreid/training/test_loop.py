"""The loop's order of work, with a network, batches and a log that only say when they are asked."""

import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from configurations import changed

from kreid.data.training_set import TrainingSet
from kreid.errors import DivergedError
from kreid.training import loop
from kreid.training.loop import Trainer
from kreid.training.optimizers import learning_rate
from kreid.training.state import State

pytestmark = pytest.mark.usefixtures("resnet_stem")

RUN = {"epochs": 2, "steps_per_epoch": 2, "schedule": "cosine", "learning_rate": 1.0, "checkpoint_minutes": 0}
ALONE = {"loss": 1.0, "finite": 1.0, "stop": 0.0}


@pytest.fixture
def done():
    """What was done, in order."""
    return []


@pytest.fixture
def make(records, tiny_one, tmp_path, monkeypatch, done):
    """A trainer whose parts note what they are asked; `figures` are those of a step, from its `stop`."""

    class Parts:
        """One stand-in for all: step, batches, end of an epoch and log."""

        model, variables, size = None, [], 16

        def __init__(self, figures):
            self.figures = figures
            self.updater = SimpleNamespace(set_learning_rate=lambda rate: done.append(f"rate {rate:.3f}"))

        def start_epoch(self, epoch):
            done.append(f"epoch {epoch}")

        def __call__(self, *parts, stop):
            done.append("step, to stop" if stop else "step")
            return dict(self.figures(stop))

        def wait(self):
            done.append("wait")

        def plan(self, epoch):
            return [np.arange(16), np.arange(16, 32)]

        def next(self, plan):
            assert len(plan) == 2 - trainer.state.step, "what is left of the epoch"
            return None, None

        def finish(self, state, writer, collapse):
            done.append(f"finish {state.epoch}")
            return {**state.mean_figures(), "valid_mAP": state.epoch / 10}

        def step(self, number, logs):
            done.append(f"batch {number}")

        def summary(self, state, devices, model):
            done.append(f"summary {state.epoch}")

        def close(self):
            done.append("close")

    trainer = None

    def make(figures=lambda stop: ALONE, **settings):
        nonlocal trainer
        parts = Parts(figures)
        for name in ("Step", "Batches", "EpochEnd", "RunLog"):
            monkeypatch.setattr(loop, name, lambda *arguments, **options: parts)
        config = changed(tiny_one, train={**RUN, **settings})
        training_set = TrainingSet(records, config.data, config.train.seed)
        trainer = Trainer(config, training_set, SimpleNamespace(num_replicas_in_sync=1), tmp_path / "run")
        trainer.saved.save = lambda state: done.append(f"save {state.epoch}/{state.step}")
        return trainer

    return make


def epoch_of(number, *rates, images=0):
    """What is done in an epoch (from 0) of two steps."""
    return [
        f"epoch {number}",
        *(f"rate {rates[0]:.3f}", "step", f"batch {images // 16 + 1}"),
        *(f"rate {rates[1]:.3f}", "step", f"batch {images // 16 + 2}"),
        f"save {number + 1}/0",
    ]


def test_an_epoch_is_trained_saved_finished_and_then_told(make, done):
    trainer = make()
    trainer.run(None, quiet=True, on_validation=lambda epoch, logs: done.append(f"hook {epoch}: {logs}"))
    rates = [learning_rate(trainer.config.train, epoch) for epoch in (0.0, 0.5, 1.0, 1.5)]
    assert rates[0] == 1.0
    assert done == [
        *epoch_of(0, *rates[:2]),
        "finish 1",
        "hook 1: {'loss': 1.0, 'valid_mAP': 0.1}",
        *epoch_of(1, *rates[2:], images=32),
        "finish 2",
        "hook 2: {'loss': 1.0, 'valid_mAP': 0.2}",
        "summary 2",
        "close",
    ]
    state = trainer.state
    assert (state.epoch, state.step, state.steps, state.sums, state.images) == (2, 0, 0, {}, 64)
    assert 0 < state.busy < state.seconds


def test_a_state_is_written_within_an_epoch_where_one_is_due(make, done):
    trainer = make(epochs=1)
    trainer.saved.is_due = lambda: trainer.state.step == 1
    trainer.run(None, quiet=True)
    saved = [line for line in done if line.startswith(("batch", "save"))]
    assert saved == ["batch 1", "save 0/1", "batch 2", "save 1/0"]


def test_an_epoch_that_was_trained_but_not_finished_is_only_finished(make, done):
    trainer = make(epochs=1)
    trainer.state = State(epoch=1, steps=2, sums={"loss": 3.0}, images=32, busy=1.0)
    seen = []
    trainer.run(None, quiet=True, on_validation=lambda *told: seen.append(told))
    assert done == ["finish 1", "summary 1", "close"]
    assert seen == [(1, {"loss": 1.5, "valid_mAP": 0.1})]


def test_a_run_goes_on_within_an_epoch(make, done):
    trainer = make(epochs=1)
    trainer.state = State(step=1, sums={"loss": 3.0}, images=16)
    trainer.run(None, quiet=True)
    rate = learning_rate(trainer.config.train, 0.5)
    assert done[:5] == ["epoch 0", f"rate {rate:.3f}", "step", "batch 2", "save 1/0"]


@pytest.mark.parametrize("signalled", [KeyboardInterrupt, SystemExit])
def test_a_signal_while_an_epoch_is_validated_tells_where_to_go_on_from(make, caplog, monkeypatch, signalled):
    trainer = make()
    state = trainer.out / "checkpoints" / "state-00001-0000000.npz"
    state.parent.mkdir(parents=True)
    state.touch()

    def validating(self, *arguments):
        raise signalled

    monkeypatch.setattr(type(trainer.step), "finish", validating)
    with pytest.raises(signalled):
        trainer.run(None, quiet=True)
    assert f"stopped; the last good state is {state}, to go on from (--resume, in Python resume=True)" in caplog.text


def test_what_a_hook_raises_ends_the_run_after_the_epoch_is_kept(make, done):
    trainer = make()

    def enough(epoch, logs):
        raise KeyError(epoch)

    with pytest.raises(KeyError):
        trainer.run(None, quiet=True, on_validation=enough)
    assert done[-3:] == ["save 1/0", "finish 1", "close"]
    assert trainer.state.steps == 0, "it is not finished again"


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"loss": np.nan, "finite": 1.0}, "loss is nan"),
        ({"loss": 2.0, "finite": 0.0}, "gradient is not finite"),
        ({"loss": 2.0, "finite": 0.0, "loss_scale": 0.5}, "gradient is not finite"),  # it can fall no further
        ({"loss": np.inf, "finite": 0.0, "loss_scale": 8.0}, "loss is inf"),
    ],
)
def test_a_step_that_is_not_finite_ends_the_run_and_is_not_counted(make, done, figures, what):
    trainer = make(figures=lambda stop: {**figures, "stop": 0.0})
    with pytest.raises(DivergedError, match=f"the {what} at epoch 1 step 1 .*; there is no state yet"):
        trainer.run(None, quiet=True)
    assert (trainer.state.step, trainer.state.sums, trainer.state.images) == (0, {}, 0)
    assert done[-2:] == ["step", "close"]


def test_an_overflow_under_float16_is_no_failure(make):
    trainer = make(figures=lambda stop: {"loss": 2.0, "finite": 0.0, "loss_scale": 8.0, "stop": 0.0}, epochs=1)
    seen = []
    trainer.run(None, quiet=True, on_validation=lambda epoch, logs: seen.append(logs))
    assert seen == [{"loss": 2.0, "loss_scale": 8.0, "valid_mAP": 0.1}]


def test_distances_that_are_alike_are_told_to_the_watch(make, caplog):
    make(figures=lambda stop: {**ALONE, "spread": 0.0}, epochs=30).run(None, quiet=True)
    assert caplog.text.count("the embedding has collapsed") == 1


# --- several machines -----------------------------------------------------------------------------------------------


@pytest.fixture
def second_of_two(monkeypatch):
    """This machine is worker 1."""
    cluster = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))


@pytest.mark.usefixtures("second_of_two")
def test_other_machines_finish_no_epoch_and_wait_for_the_last_one(make, done, tmp_path):
    trainer = make(epochs=1)
    trainer.write_config()
    trainer.run(tmp_path / "valid")
    assert trainer.failures.several
    assert not trainer.saved.active
    assert not trainer.is_chief
    assert not (tmp_path / "run").exists()
    assert done[-4:] == ["save 1/0", "summary 1", "wait", "close"], "what is not active writes nothing"
    assert trainer.state.steps == 0


@pytest.mark.usefixtures("second_of_two")
def test_all_machines_stop_after_the_same_step(make, done, monkeypatch):
    """What is asked of this one is told to the others with the next batch, and obeyed once all know."""
    trainer = make(figures=lambda stop: {**ALONE, "stop": float(stop)}, epochs=2)
    count = trainer._count

    def interrupted(*arguments):
        count(*arguments)
        if trainer.state.images == 32:  # in the last step of the first epoch
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(trainer, "_count", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(None, quiet=True)
    second = done.index("epoch 1")
    assert done[second - 2 : second] == ["batch 2", "save 1/0"]
    assert [line for line in done[second + 1 :] if not line.startswith("rate")] == [
        *("step, to stop", "batch 3", "save 1/1", "wait", "close")
    ]


@pytest.mark.usefixtures("second_of_two")
def test_what_another_machine_was_asked_stops_this_one(make, done, monkeypatch):
    trainer = make(figures=lambda stop: {**ALONE, "stop": 1.0})
    raised = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    monkeypatch.setattr(trainer.saved, "is_due", lambda: pytest.fail("asked although it must stop"))
    monkeypatch.setattr(loop.Progress, "update", lambda self, state: {}["the process is gone"])
    with pytest.raises(KeyError):
        trainer.run(None, quiet=True)
    assert raised == [signal.SIGTERM]
    assert done[2:] == ["step", "batch 1", "save 0/1", "wait", "close"]
