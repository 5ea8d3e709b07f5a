"""The training loop: one for a single device, all GPUs of a machine, and several machines."""

import contextlib
import csv
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kreid import checkpoints, runs
from kreid.atomic import atomic_path, write_json
from kreid.config import Config, dump
from kreid.data import TrainingSet, first_damaged, split_folder, training_batches
from kreid.errors import ConfigError
from kreid.losses import triplet_statistics
from kreid.models.embedders import build_model
from kreid.objective import build_losses
from kreid.optimizers import build_optimizer, learning_rate
from kreid.progress import Progress
from kreid.trees import differences
from kreid.validation import validate
from tfrecords_tools.index import read_index

log = logging.getLogger(__name__)

Logs = dict[str, float]
Hook = Callable[[int, Logs], None]


def make_strategy() -> tf.distribute.Strategy:
    """Every GPU of this machine, every worker of `TF_CONFIG`, or the one device there is.

    Without GPUs, several logical CPU devices (`tf.config.set_logical_device_configuration`) stand for them.
    """
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) > 1 or devices[0].device_type == "GPU":
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def train(
    config: Config,
    data: str | Path,
    out: str | Path,
    resume: bool = False,
    quiet: bool = False,
    on_validation: Hook | None = None,
    held_out: Sequence[int] | None = None,
) -> Path:
    """Train a model and leave a run folder.

    Args:
        config: the whole configuration.
        data: what `kreid-convert` wrote.
        out: the run folder; it must not exist, unless `resume`.
        resume: go on from the newest checkpoint of `out`.
        quiet: no progress lines.
        on_validation: called on the chief after each validation, once the epoch is kept, with the number of epochs done
            and the epoch's figures (`loss`, `valid_mAP`, ...). What it raises ends the run and reaches the caller.
        held_out: training actions that are not trained on but validated on, in place of the valid split.

    Returns:
        `out`.

    Raises:
        ValueError: where `out` exists (or does not, to resume), data or weights cannot be used, or the loss is not
            finite.

    Example:
        >>> train(load_config("configs/demo.yaml"), "records", "saved_models/demo")
    """
    out = Path(out)
    strategy = make_strategy()
    training_set = TrainingSet(data, config.data, config.train.seed, held_out)
    valid = split_folder(data, "valid" if held_out is None else "train")
    _check_valid(valid, config)
    config = resolve(config, training_set)
    _check_run_folder(out, config, resume)
    _check_batch(config, strategy)
    trainer = Trainer(config, training_set, strategy, out)
    if resume:
        trainer.restore()
    trainer.write_config()
    try:
        trainer.run(valid, quiet, on_validation)
    except ValueError:
        if trainer.is_chief and not (out / "checkpoints").exists():
            shutil.rmtree(out)  # nothing to go on from, and nothing in the way of another try
        raise
    return out


def resolve(config: Config, training_set: TrainingSet) -> Config:
    """Fill in what the training data decides: the number of classes, where the identity loss has a weight."""
    classes = training_set.num_classes if config.loss.identity_weight else None
    return config.model_copy(update={"model": config.model.model_copy(update={"num_classes": classes})})


def _check_valid(folder: Path, config: Config) -> None:
    """Complain about a damaged valid split before the first step, not after the first epoch."""
    if not config.train.validate_every:
        return
    if folder.is_dir():
        read_index(folder)
    else:
        log.warning(
            "%s: no such records, so nothing tells which epoch is best; the last one's weights are kept", folder
        )


def _check_run_folder(out: Path, config: Config, resume: bool) -> None:
    if not resume:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(f"{out}: exists already; give another --out, remove it, or go on with --resume")
        return
    # How the finished run is ranked is nothing that training has used.
    before, now = (one.model_dump(mode="json", exclude={"evaluation"}) for one in (runs.load_config_of(out), config))
    changes = differences(before, now)
    if changes:
        raise ConfigError(f"{out}: cannot resume with another configuration ({', '.join(changes[:4])})")


def _check_batch(config: Config, strategy: tf.distribute.Strategy) -> None:
    size, replicas = config.data.persons * config.data.views, strategy.num_replicas_in_sync
    if size % replicas:
        raise ConfigError(
            f"data.persons x data.views is {size} images a batch, which {replicas} devices cannot share equally; "
            f"choose a multiple of {replicas}"
        )


@dataclass
class State:
    """Where a run stands: the next step of the running epoch, sums over its steps so far, the best validation."""

    epoch: int = 0
    step: int = 0
    sums: Logs = field(default_factory=dict)
    images: int = 0
    best: float = -1.0
    best_epoch: int | None = None


class Trainer:
    """Model, optimiser, data and folder of a run, and the loop over them.

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
        self.state = State()
        self.is_chief = _is_chief(strategy)
        with strategy.scope():
            self.model = build_model(config.model, pretrained=True)
            if strategy.num_replicas_in_sync > 1:
                _synchronize_batch_norm(self.model)
            self.losses = build_losses(config.loss, self.model.output)
            self.optimizer = build_optimizer(config.train)
            self.optimizer.build(self.model.trainable_variables)
        self._step = tf.function(self._distributed_step, reduce_retracing=True)

    # --- one step -----------------------------------------------------------------------------------------------

    def _distributed_step(self, images: Any, labels: Any) -> dict[str, Any]:
        logs = self.strategy.run(self._replica_step, args=(images, labels))
        return {name: self.strategy.reduce("SUM", value, axis=None) for name, value in logs.items()}

    def _replica_step(self, images: Any, labels: Any) -> dict[str, Any]:
        """One update; what it returns adds up over the replicas to figures of the whole batch."""
        with tf.GradientTape() as tape:
            outputs = self.model(images, training=True)
            # Mining needs the whole batch: compare every image with those of the other replicas too. Each replica then
            # has the whole loss; Keras divides it by their number, and the gradient of the gathering adds it up again.
            everything = {name: _gather(outputs[name]) for name in self.losses if name != "logits"}
            all_labels = _gather(labels)
            terms = {
                name: loss(all_labels, everything[name]) if name in everything else loss(labels, outputs[name])
                for name, loss in self.losses.items()
            }
            total = sum(terms.values())
        gradients = tape.gradient(total, self.model.trainable_variables)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        logs = {"loss": total}
        if len(terms) > 1:
            logs |= {f"loss_{name}": value for name, value in terms.items()}
        ranked = everything.get("final", everything.get("embedding"))
        if ranked is not None:
            margin = self.config.loss.margin if self.config.loss.margin != "soft" else 0.0
            figures = triplet_statistics(all_labels, ranked, margin, self.config.loss.same_action)
            replicas = float(self.strategy.num_replicas_in_sync)
            logs |= {name: value / replicas for name, value in figures.items()}
        return logs

    # --- the run ------------------------------------------------------------------------------------------------

    def run(self, valid: Path, quiet: bool = False, on_validation: Hook | None = None) -> None:
        """Train to the last epoch; validate on the record folder `valid` where there is one, then call the hook."""
        state, settings = self.state, self.config.train
        writer = tf.summary.create_file_writer(str(self.out / "tensorboard")) if self.is_chief else None
        steps = iter(self._batches())
        progress = Progress(settings.epochs, quiet or not self.is_chief)
        while state.epoch < settings.epochs:
            plan = list(self._plan(state.epoch))
            progress.start(state, len(plan), self.training_set.sampler.batch_size)
            while state.step < len(plan):
                self._set_learning_rate(state.epoch + state.step / len(plan))
                logs = self._step(*self._next(steps, plan))
                self._count(logs, plan[state.step])
                progress.update(state)
            logs = self._finish_epoch(len(plan), valid, writer, progress)
            if on_validation and "valid_mAP" in logs:
                on_validation(state.epoch, logs)
        progress.close()
        if self.is_chief:
            self._write_summary()

    def _next(self, steps: Iterator, plan: list[np.ndarray]) -> tuple:
        """The next batch; where its images cannot be read, say which."""
        try:
            return next(steps)
        except tf.errors.OpError as error:
            near = np.concatenate(plan[self.state.step : self.state.step + 8])  # reading is some batches ahead
            damaged = first_damaged(self.training_set.index, self.training_set.rows[near])
            reason = damaged or str(error).splitlines()[0]
            raise ValueError(f"{reason}: the record is damaged; run kreid-convert again") from None

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

    def _set_learning_rate(self, epoch: float) -> None:
        rate = learning_rate(self.config.train, epoch)
        if rate != getattr(self, "_rate", None):
            self.optimizer.learning_rate.assign(rate)
            self._rate = rate

    def _count(self, logs: dict[str, Any], batch: np.ndarray) -> None:
        logs = {name: float(value) for name, value in logs.items()}
        if not np.isfinite(logs["loss"]):
            names = ", ".join(self.training_set.describe(batch)[:8])
            state = (
                f"The last good state is in {self.out / 'checkpoints'}" if self.state.epoch else "There is no state yet"
            )
            raise ValueError(
                f"the loss is {logs['loss']} at epoch {self.state.epoch + 1} step {self.state.step + 1} "
                f"(batch: {names}, ...); lower train.learning_rate or set train.clip_norm. "
                f"{state}"
            )
        for name, value in logs.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value
        self.state.step += 1
        self.state.images += len(batch)

    def _finish_epoch(self, steps: int, valid: Path, writer: Any, progress: Progress) -> Logs:
        """Validate, log, keep weights and a state to resume from; return the epoch's figures."""
        state, settings = self.state, self.config.train
        logs = {name: value / steps for name, value in state.sums.items()}
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        if self.is_chief:
            try:
                with self._averaged_weights():
                    if self._validates(valid):
                        logs |= validate(self.model, valid, settings.validate_actions, self.training_set.held_out)
                    self._keep_weights(logs.get("valid_mAP"))
            finally:  # an epoch is not lost to a validation that fails
                checkpoints.save(self.out / "checkpoints", self._variables(), vars(state), settings.keep)
            self._log(logs, writer)
            progress.epoch_done(state, logs)
        return logs

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """The moving average of the weights in the model for a while, where `train.ema` keeps one."""
        if not self.config.train.ema:
            yield
            return
        trained = [np.asarray(variable) for variable in self.model.trainable_variables]
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, trained, strict=True):
                variable.assign(value)

    def _validates(self, valid: Path) -> bool:
        every = self.config.train.validate_every
        last = self.state.epoch == self.config.train.epochs
        return bool(every) and valid.is_dir() and (last or self.state.epoch % every == 0)

    # --- the folder ---------------------------------------------------------------------------------------------

    def write_config(self) -> None:
        """Make the run folder, with the resolved configuration in it."""
        if self.is_chief:
            with atomic_path(self.out / runs.CONFIG) as path:
                path.write_text(dump(self.config), encoding="utf-8")

    def restore(self) -> None:
        """Go on from the newest state; from the start where there is none yet."""
        progress = checkpoints.restore(self.out / "checkpoints", self._variables())
        if progress:
            self.state = State(**progress)

    def _variables(self) -> list:
        return [*self.model.variables, *self.optimizer.variables]

    def _keep_weights(self, score: float | None) -> None:
        """Write the weights if they are the best so far, or if nothing tells which are best."""
        if score is not None:
            if score <= self.state.best:
                return
            self.state.best, self.state.best_epoch = score, self.state.epoch
        elif self.state.best_epoch is not None:
            return
        with atomic_path(self.out / runs.WEIGHTS) as path:
            self.model.save_weights(path)

    def _log(self, logs: Logs, writer: Any) -> None:
        row = {"epoch": self.state.epoch, "images": self.state.images, "learning_rate": self._rate, **logs}
        _append_row(self.out / "log.csv", row)
        with writer.as_default():
            for name, value in row.items():
                tf.summary.scalar(name, value, step=self.state.epoch)
        writer.flush()

    def _write_summary(self) -> None:
        state = self.state
        summary = {"epochs": state.epoch, "images_seen": state.images}
        if state.best_epoch is not None:
            summary |= {"valid_mAP": state.best, "best_epoch": state.best_epoch}
        summary["parameters"] = int(self.model.count_params())
        summary["config"] = json.loads(self.config.model_dump_json())
        write_json(self.out / "summary.json", summary)


def _gather(values: Any) -> Any:
    """The values of all replicas, in order; gradients flow back to each."""
    context = tf.distribute.get_replica_context()
    return values if context.num_replicas_in_sync == 1 else context.all_gather(values, axis=0)


def _synchronize_batch_norm(model: keras.Model) -> None:
    """Let batch normalisation use the whole batch, as on one device."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _is_chief(strategy: tf.distribute.Strategy) -> bool:
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or (resolver.task_type == "worker" and resolver.task_id == 0)


def _append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file; columns that come later (validation) widen the whole file."""
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
    rows = [old for old in rows if int(old["epoch"]) < row["epoch"]] + [row]  # a resumed run writes its epochs again
    columns = list(dict.fromkeys(name for line in rows for name in line))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
