"""The loop over epochs and batches: what it trains, keeps, looks at and says when it fails."""

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kreid import runs
from kreid.config.loading import dump
from kreid.config.sections import Config
from kreid.data.records import first_damaged, read_fields
from kreid.data.training_set import TrainingSet, training_batches
from kreid.errors import ConfigError, DivergedError
from kreid.files.atomic import atomic_path
from kreid.pictures.galleries import gallery_picture
from kreid.runs import checkpoints
from kreid.training.failures import first_line
from kreid.training.log import Logs, RunLog
from kreid.training.optimizers import learning_rate
from kreid.training.progress import Progress
from kreid.training.step import Step
from kreid.training.stopping import Stop
from kreid.training.validation import validate
from kreid.training.workers import Cluster, read_cluster
from tfrecords_tools.index import Index
from tfrecords_tools.naming import Thumbnail, format_name

log = logging.getLogger(__name__)

Hook = Callable[[int, Logs], None]

_COLLAPSED = 0.01  # standard deviation of distances between unit vectors, below which they are all alike
_MEMORY = 0.9  # of its mean over the batches: one batch, or the first one of a random start, says little
_NAMED = 8  # images of a bad batch that a message names


def fingerprint(training_set: TrainingSet) -> str:
    """What tells one training set from another, wherever it lies: the number of its images and a digest of them all."""
    index, rows = training_set.index, training_set.rows
    digest = hashlib.sha256()
    for column in (index.bbox, index.action, index.person, index.length):
        digest.update(np.ascontiguousarray(column[rows]).tobytes())
    return f"{len(rows):,} images ({digest.hexdigest()[:12]})"


@dataclass
class State:
    """Where a run stands.

    Args:
        epoch: epochs trained.
        step: steps of the running epoch done.
        sums: of the figures over the steps of the epoch.
        images: drawn so far.
        steps: of the last epoch trained, while `sums` are its: it is still to be validated and logged.
        best: the best validation mAP, at `best_epoch`.
        seconds: that the run has taken, in all its sessions; `busy` of them in steps.
        data: the training set, see `fingerprint`.
    """

    epoch: int = 0
    step: int = 0
    sums: Logs = field(default_factory=dict)
    images: int = 0
    steps: int = 0
    best: float = -1.0
    best_epoch: int | None = None
    seconds: float = 0.0
    busy: float = 0.0
    data: str = ""


class Trainer:
    """A run: its network, data and folder, and the loop over them.

    Args:
        config: the resolved configuration.
        training_set: the images.
        strategy: where to compute.
        out: the run folder.
    """

    def __init__(
        self, config: Config, training_set: TrainingSet, strategy: tf.distribute.Strategy, out: str | Path
    ) -> None:
        keras.utils.set_random_seed(config.train.seed)
        self.config, self.training_set, self.strategy, self.out = config, training_set, strategy, Path(out)
        self.state = State(data=fingerprint(training_set))
        self.cluster: Cluster | None = read_cluster()
        self.is_chief = not self.cluster or self.cluster.index == 0
        started = checkpoints.newest(self.out / runs.CHECKPOINTS)  # a resumed run needs no file of weights any more
        self.step = Step(config, strategy, pretrained=not started)
        self.model = self.step.model
        self._saved = time.monotonic()
        self._spread, self._collapsed = 1.0, False
        self._asked: int | None = None  # a signal to stop, which came too late in an epoch to be told to all machines

    # --- the loop -----------------------------------------------------------------------------------------------

    def run(self, valid: Path | None, quiet: bool = False, on_validation: Hook | None = None) -> None:
        """Train to the last epoch; validate on the record folder `valid` if there is one, then call the hook."""
        state, settings = self.state, self.config.train
        progress = Progress(settings.epochs, quiet or not self.is_chief)
        steps = iter(self._batches())
        with contextlib.closing(RunLog(self.out, self.config, self.is_chief)) as writer:
            while state.steps or state.epoch < settings.epochs:
                with self._named_failures():
                    if not state.steps:  # a resumed run may have an epoch to finish
                        self._train_epoch(steps, writer, progress)
                    logs = self._finish_epoch(valid, writer, progress)
                if on_validation and "valid_mAP" in logs:
                    on_validation(state.epoch, logs)
            with self._named_failures():
                self._write_summary(writer)
                if self.cluster:
                    self.step.wait()  # for the last validation: TensorFlow takes a worker that ends for a lost one
        progress.close()

    def _train_epoch(self, steps: Iterator, writer: RunLog, progress: Progress) -> None:
        state = self.state
        plan = list(self._plan(state.epoch))
        self.step.start_epoch(state.epoch)
        progress.start(state, len(plan), self.training_set.sampler.batch_size)
        with Stop(self._asked) as stop:
            while state.step < len(plan):
                started = time.monotonic()
                self.step.updater.set_learning_rate(self._rate(state.epoch + state.step / len(plan)))
                logs = self.step(*self._next(steps, plan), stop=stop.asked is not None)
                told = logs.pop("stop")  # by any machine before this step: all must end after the same one
                self._count(logs, plan[state.step])
                state.busy += time.monotonic() - started
                writer.step(state.images // len(plan[0]), logs)
                stopped = told if self.cluster else stop.asked
                if stopped or self._is_due():
                    self._save()
                if stopped:
                    self._stop(stop)
                progress.update(state)
            state.epoch, state.step, state.steps = state.epoch + 1, 0, len(plan)
            self._save()  # before anything else can fail: a validation that does not end well is done again
            self._asked = stop.asked
            if self._asked and not self.cluster:
                self._stop(stop)

    def _stop(self, stop: Stop) -> None:
        if self.cluster:
            self.step.wait()  # until worker 0 has written its state: TensorFlow ends it with the first that leaves
        log.warning("stopped; %s", self._last_good())
        stop.obey()

    def _next(self, steps: Iterator, plan: list[np.ndarray]) -> tuple:
        """The next batch; where its images cannot be read, say which."""
        try:
            return next(steps)
        except tf.errors.OpError as error:
            near = np.concatenate(plan[self.state.step : self.state.step + 8])  # reading is some batches ahead
            reason = self._unreadable(near)
            if not reason and self.cluster:
                raise  # another worker's trouble
            raise ValueError(f"{reason or first_line(error)}; {self._last_good()}") from None

    def _unreadable(self, positions: np.ndarray) -> str | None:
        """What is wrong with the records of these images, None where nothing is."""
        index, rows = self.training_set.index, self.training_set.rows[positions]
        try:
            index.read(rows)
        except ValueError as error:
            return str(error)
        damaged = first_damaged(index, rows)
        return f"{damaged}: the record is damaged; run kreid-convert again" if damaged else None

    def _plan(self, epoch: int) -> Iterator[np.ndarray]:
        return islice(self.training_set.sampler.epoch(epoch), self.config.train.steps_per_epoch)

    def _batches(self) -> Any:
        """Endless batches from where the run stands, each replica's part on its device."""
        state = self.state
        first, skip, drawn = state.epoch, state.step, state.images

        def planned() -> Iterator[np.ndarray]:
            yield from islice(self._plan(first), skip, None)
            for epoch in range(first + 1, self.config.train.epochs):
                yield from self._plan(epoch)

        def dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            return training_batches(
                self.training_set,
                self.config.model.image_size,
                planned(),
                first_draw=drawn,
                worker=(context.input_pipeline_id, context.num_input_pipelines),
                replica_batch=self.training_set.sampler.batch_size // self.strategy.num_replicas_in_sync,
            )

        return self.strategy.distribute_datasets_from_function(dataset)

    def _count(self, logs: Logs, batch: np.ndarray) -> None:
        """Add a batch's figures to the epoch's, unless they say that the run is lost."""
        # Under float16 a gradient may overflow: the loss scale then falls.
        finite = logs.pop("finite") or logs.get("loss_scale", 0.0) >= 1
        if not finite or not np.isfinite(logs["loss"]):
            names = ", ".join(_file_names(self.training_set.index, self.training_set.rows[batch[:_NAMED]]))
            what = f"loss is {logs['loss']}" if not np.isfinite(logs["loss"]) else "gradient is not finite"
            raise DivergedError(
                f"the {what} at epoch {self.state.epoch + 1} step {self.state.step + 1} (batch: {names}, ...); lower "
                f"train.learning_rate or set train.clip_norm; {self._last_good()}"
            )
        self._spread = _MEMORY * self._spread + (1 - _MEMORY) * logs.get("spread", 1.0)
        self._notice_collapse(self._spread)
        for name, value in logs.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value
        self.state.step += 1
        self.state.images += len(batch)

    def _notice_collapse(self, spread: float) -> None:
        """Say once that all distances are alike."""
        if self.is_chief and spread < _COLLAPSED and not self._collapsed:
            log.warning(
                "the embedding has collapsed: all distances are alike, to %.4f; lower train.learning_rate, or begin "
                "with loss.mining: all",
                spread,
            )
            self._collapsed = True

    # --- the end of an epoch ------------------------------------------------------------------------------------

    def _finish_epoch(self, valid: Path | None, writer: RunLog, progress: Progress) -> Logs:
        """Validate, keep weights, log; return the epoch's figures."""
        state, settings = self.state, self.config.train
        logs = {name: value / state.steps for name, value in state.sums.items()}
        picture = None
        if self.is_chief:
            with self._averaged_weights():
                if self._validates(valid):
                    held_out = self.training_set.held_out
                    scores, ranking = validate(self.model, valid, settings.validate_actions, held_out)
                    logs |= scores
                    if settings.pictures and len(ranking) and held_out is None:
                        picture = gallery_picture(ranking, valid, settings.pictures)
                self._keep_weights(logs.get("valid_mAP"))
            self._notice_collapse(logs.get("valid_spread", 1.0))
            rate = self._rate(state.epoch - 1 + (state.steps - 1) / state.steps)
            row = {"epoch": state.epoch, "images": state.images, "learning_rate": rate, **logs}
            writer.epoch(row, {"images_per_second": state.images / state.busy}, self.model, picture)
            progress.epoch_done(state, logs)
        state.steps, state.sums = 0, {}
        return logs

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """The moving average of the weights in the model for a while, where `train.ema` keeps one."""
        updater = self.step.updater
        trained = [np.asarray(variable) for variable in updater.learning] if updater.averages else []
        for variable, average in zip(updater.learning, updater.averages, strict=False):
            variable.assign(np.asarray(average))
        try:
            yield
        finally:
            for variable, value in zip(updater.learning, trained, strict=False):
                variable.assign(value)

    def _validates(self, valid: Path | None) -> bool:
        last = self.state.epoch == self.config.train.epochs
        return valid is not None and (last or self.state.epoch % self.config.train.validate_every == 0)

    def _rate(self, epoch: float) -> float:
        return learning_rate(self.config.train, epoch)

    # --- the folder ---------------------------------------------------------------------------------------------

    def write_config(self) -> None:
        """Make the run folder, with the resolved configuration in it."""
        if self.is_chief:
            with atomic_path(self.out / runs.CONFIG) as path:
                path.write_text(dump(self.config), encoding="utf-8")

    def restore(self) -> None:
        """Go on from the newest state; from the start where there is none yet.

        Raises:
            ConfigError: where the run was trained on other records.
        """
        progress = checkpoints.restore(self.out / runs.CHECKPOINTS, self.step.variables)
        if not progress:
            return
        if progress["data"] != self.state.data:
            raise ConfigError(
                f"--data: {self.out} was trained on {progress['data']}, received {self.state.data}; give the same "
                "records, or start a new run"
            )
        self.state = State(**progress)

    def _is_due(self) -> bool:
        minutes = self.config.train.checkpoint_minutes
        return minutes > 0 and time.monotonic() - self._saved > 60 * minutes

    def _save(self) -> None:
        self._take_time()
        if self.is_chief:
            checkpoints.save(
                self.out / runs.CHECKPOINTS, self.step.variables, asdict(self.state), self.config.train.keep
            )

    def _take_time(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self._saved
        self._saved = now

    def _keep_weights(self, score: float | None) -> None:
        """Write the weights if they are the best so far, or if nothing tells which are best."""
        if score is not None:
            if score <= self.state.best:
                return
            self.state.best, self.state.best_epoch = score, self.state.epoch
        elif self.state.best_epoch is not None:
            return
        path = self.out / runs.WEIGHTS
        room = sum(np.prod(weight.shape) * np.dtype(weight.dtype).itemsize for weight in self.model.weights)
        disk = shutil.disk_usage(self.out)
        if disk.free < room and disk.total:  # HDF5 would end the process; some file systems do not tell
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        with atomic_path(path) as temporary:
            self.model.save_weights(temporary)

    def _write_summary(self, writer: RunLog) -> None:
        self._take_time()
        state = self.state
        summary = {"epochs": state.epoch, "images_seen": state.images}
        if state.best_epoch is not None:
            summary |= {"valid_mAP": state.best, "best_epoch": state.best_epoch}
        summary |= {"seconds": round(state.seconds, 1), "images_per_second": round(state.images / state.busy, 1)}
        summary |= {"devices": self.strategy.num_replicas_in_sync, "training_set": state.data}
        writer.summary(summary, self.model)

    def _last_good(self) -> str:
        state = checkpoints.newest(self.out / runs.CHECKPOINTS)
        return f"the last good state is {state}, to go on from with --resume" if state else "there is no state yet"

    @contextlib.contextmanager
    def _named_failures(self) -> Iterator[None]:
        """Say what to do about a full disk, a full GPU or a lost machine."""
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)  # HDF5 adds much of its own
            raise ValueError(f"{error.filename or self.out}: {reason}; {self._last_good()}") from None
        except tf.errors.ResourceExhaustedError as error:
            raise ConfigError(
                f"a batch does not fit in the device's memory ({first_line(error)}); lower data.persons and raise "
                f"train.accumulate; {self._last_good()}"
            ) from None
        except tf.errors.OpError:
            if not self.cluster:
                raise
            raise ValueError(f"another worker was lost; {self._last_good()}") from None


def _file_names(index: Index, rows: np.ndarray) -> list[str]:
    """The files that these records were made from."""
    names = []
    for part in read_fields(index, rows):
        for row in range(len(part["bbox"])):
            said = {key: part[key][row].item() for key in ("bbox", "action", "person", "frame", "height", "width")}
            said |= {key: part[key][row].decode() for key in ("role", "jersey", "uai")}
            names.append(format_name(Thumbnail(**{**said, "jersey": said["jersey"] or None})))
    return names
