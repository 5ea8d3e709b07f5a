"""The loop over the epochs and batches of a run; what it is made of has files of its own."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kreid import runs
from kreid.config.loading import dump
from kreid.config.sections import Config
from kreid.data.training_set import TrainingSet
from kreid.files.atomic import atomic_path
from kreid.runs import checkpoints
from kreid.training.batches import Batches
from kreid.training.collapse import CollapseWatch
from kreid.training.epoch_end import EpochEnd
from kreid.training.failures import Failures
from kreid.training.log import RunLog
from kreid.training.optimizers import learning_rate
from kreid.training.progress import Progress
from kreid.training.state import Logs, SavedStates, State, fingerprint, former_fingerprint
from kreid.training.step import Step
from kreid.training.stopping import Stop
from kreid.training.workers import read_cluster

log = logging.getLogger(__name__)

Hook = Callable[[int, Logs], None]


class Trainer:
    """A run: its network, data and folder, and the loop over them.

    Args:
        config: the resolved configuration.
        training_set: the images.
        strategy: where to compute.
        out: the run folder.
        valid: what tells the images that it validates on from others, see `fingerprint`; "" where it does not.

    Attributes:
        step: the network, and how it learns.
        state: where the run stands.
        saved: the states in the folder.
        failures: what is said where the run fails.
        is_chief: whether this machine writes.
    """

    def __init__(
        self,
        config: Config,
        training_set: TrainingSet,
        strategy: tf.distribute.Strategy,
        out: str | Path,
        valid: str = "",
    ) -> None:
        keras.utils.set_random_seed(config.train.seed)
        self.config, self.training_set, self.strategy, self.out = config, training_set, strategy, Path(out)
        self.cluster = read_cluster()
        self.is_chief = not self.cluster or self.cluster.index == 0
        self.failures = Failures(self.out, several=self.cluster is not None)
        self.collapse = CollapseWatch(self.is_chief)
        self.state = State(data=fingerprint(training_set.index, training_set.rows), valid=valid)
        started = checkpoints.newest(self.out / runs.CHECKPOINTS)  # a resumed run needs no file of weights any more
        self.step = Step(config, strategy, pretrained=not started)
        self.saved = SavedStates(self.out, config.train, self.step.variables, self.is_chief)
        self._asked: int | None = None  # a signal to stop, which came too late in an epoch to be told to all machines

    def write_config(self) -> None:
        """Make the run folder, with the resolved configuration in it."""
        if self.is_chief:
            with atomic_path(self.out / runs.CONFIG) as path:
                path.write_text(dump(self.config), encoding="utf-8")

    def restore(self) -> None:
        """Go on from the newest state; from the start where there is none yet.

        Raises:
            ConfigError: where the run was trained or validated on other records.
            ValueError: where the weights of the best epoch are not what was written.
        """
        former = former_fingerprint(self.training_set.index, self.training_set.rows)
        valid = self.state.valid if self.is_chief else ""  # only the chief validates, and needs the records
        self.state = self.saved.restore(self.state.data, valid, former) or self.state
        if self.state.best_epoch is not None:  # weights that no later epoch may replace
            runs.read_weights(self.out)

    def run(self, valid: Path | None, quiet: bool = False, on_validation: Hook | None = None) -> None:
        """Train to the last epoch; validate on the record folder `valid` if there is one, then call the hook."""
        state, settings = self.state, self.config.train
        batches = Batches(self.training_set, self.config, self.strategy, state, self.failures)
        ending = EpochEnd(self.config, self.step, self.out, valid, self.training_set.held_out)
        with (
            contextlib.closing(Progress(settings.epochs, quiet or not self.is_chief)) as progress,
            contextlib.closing(RunLog(self.out, self.config, self.is_chief)) as writer,
        ):
            while state.steps or state.epoch < settings.epochs:
                with self.failures.named():
                    if not state.steps:  # a resumed run may have an epoch to finish
                        self._train_epoch(batches, writer, progress)
                    with self.failures.interrupted():
                        logs = ending.finish(state, writer, self.collapse) if self.is_chief else state.mean_figures()
                    progress.epoch_done(state, logs)
                    state.finish_epoch()
                if on_validation and "valid_mAP" in logs:
                    on_validation(state.epoch, logs)
            with self.failures.named():
                self.saved.take_time(state)
                writer.summary(state, self.strategy.num_replicas_in_sync, self.step.model)
                if self.cluster:
                    self.step.wait()  # for the last validation: TensorFlow takes a worker that ends for a lost one

    def _train_epoch(self, batches: Batches, writer: RunLog, progress: Progress) -> None:
        state = self.state
        plan = batches.plan(state.epoch)
        self.step.start_epoch(state.epoch)
        progress.start(state, len(plan), batches.size)
        with Stop(self._asked) as stop:
            while state.step < len(plan):
                started = time.monotonic()
                rate = learning_rate(self.config.train, state.epoch + state.step / len(plan))
                self.step.updater.set_learning_rate(rate)
                logs = self.step(*batches.next(plan[state.step :]), stop=stop.asked is not None)
                told = logs.pop("stop")  # by any machine before this step: all must end after the same one
                self._count(logs, plan[state.step])
                state.busy += time.monotonic() - started
                writer.step(state.images // batches.size, logs)
                stopped = told if self.cluster else stop.asked
                if stopped or self.saved.is_due():
                    self.saved.save(state)
                if stopped:
                    self._stop(stop)
                progress.update(state)
            state.end_epoch()
            self.saved.save(state)  # before anything else can fail: a validation that does not end well is done again
            self._asked = stop.asked
            if self._asked and not self.cluster:
                self._stop(stop)

    def _count(self, logs: Logs, batch: np.ndarray) -> None:
        """Add a batch's figures to the epoch's, unless they say that the run is lost."""
        # Under float16 a gradient may overflow: the loss scale then falls.
        finite = logs.pop("finite") or logs.get("loss_scale", 0.0) >= 1
        if not finite or not np.isfinite(logs["loss"]):
            rows = self.training_set.rows[batch]
            raise self.failures.diverged(self.state, logs["loss"], self.training_set.index, rows)
        self.collapse.batch(logs.get("spread", 1.0))
        self.state.count(logs, len(batch))

    def _stop(self, stop: Stop) -> None:
        if self.cluster:
            self.step.wait()  # until worker 0 has written its state: TensorFlow ends it with the first that leaves
        log.warning("stopped; %s", self.failures.last_good())
        stop.obey()
