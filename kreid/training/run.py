"""The training loop: one for a single device, all GPUs of a machine, and several machines."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kreid import runs
from kreid.config.dotted import flatten
from kreid.config.loading import as_config
from kreid.config.needs import without_effect
from kreid.config.sections import Config
from kreid.data.cameras import cameras_of, learned_cameras, numbers_of
from kreid.data.training_set import TrainingSet
from kreid.errors import ConfigError, check_function, check_path, received
from kreid.losses.table import CLASSIFIERS
from kreid.models.hub import recorded
from kreid.ranking.truth import protocol_of_records
from kreid.runs import checkpoints
from kreid.training.loop import Hook, Trainer
from kreid.training.state import fingerprint
from kreid.training.step import check_devices, make_strategy
from kreid.training.validation import check_scorable, scored_rows
from kreid.training.worker_start import lost_workers
from kreid.training.workers import Cluster, meet, read_cluster
from tfrecords_tools.addresses import local_path
from tfrecords_tools.index import read_index, split_folder

log = logging.getLogger(__name__)


def train(
    config: Config | Mapping[str, Any] | str | Path,
    data: str | Path,
    out: str | Path,
    resume: bool = False,
    quiet: bool = False,
    on_validation: Hook | None = None,
    held_out: Sequence[int] | np.ndarray | None = None,
) -> Path:
    """Train a model and leave a run folder.

    Args:
        config: the whole configuration: checked, as a dict, as text of YAML, as the path of a YAML file, or the name of
            one that comes with kreid; see `kreid.config.as_config`.
        data: what `kreid-convert` wrote; the train split's own folder stands for the one that holds it.
        out: the run folder; new or empty, unless `resume`. With several machines, one that all of them see.
        resume: go on from the newest checkpoint of `out`.
        quiet: no progress lines.
        on_validation: called on the chief after each validation, once the epoch is kept, with the number of epochs done
            and the epoch's figures (`loss`, `valid_mAP`, ...). What it raises ends the run and reaches the caller.
        held_out: training actions (people, where there is one action) that are not trained on but validated on, in
            place of the valid split.

    Returns:
        `out`.

    Raises:
        ConfigError: a ValueError, where the configuration is none.
        ValueError: where `out` exists (or does not, to resume), data or weights cannot be used, another machine does
            not come, another training is at work in `out`, the disk is full, or the loss is not finite.

    Example:
        >>> run = kreid.train("demo", "records", "saved_models/first", quiet=True)
        >>> sorted(path.name for path in run.glob("*.h5"))
        ['model.weights.h5']
    """
    check_path("data", data, "what kreid-convert wrote")
    check_path("out", out, "the run folder to write")
    if on_validation is not None:
        check_function("on_validation", on_validation, "the epochs done and the epoch's figures")
    if held_out is not None and np.asarray(held_out).dtype.kind not in "iu":
        raise ConfigError(
            f"held_out: expected numbers of training actions, or of people, received {received(held_out)}"
        )
    config, out, cluster = as_config(config), local_path(out), read_cluster()
    training_set = load_training_set(config, data, held_out)
    config = _name_cameras(config, training_set)
    valid = _find_valid(config, training_set)
    _warn_of_test(config, training_set)
    _warn_of_idle_keys(config, training_set)
    _check_length(config, training_set)
    config = resolve(config, training_set)
    _check_out(out, config, resume)
    with contextlib.nullcontext() if cluster and cluster.index else runs.hold(out):
        _check_out(out, config, resume)  # of two that began at once, the second finds what the first has made
        trainer = _start(config, training_set, out, cluster, resume, valid)
        trainer.write_config()
        try:
            trainer.run(valid, quiet, on_validation)
        except ValueError:
            if trainer.is_chief and not resume and not checkpoints.newest(out / runs.CHECKPOINTS):
                runs.remove(out)  # nothing to go on from, and nothing in the way of another try
            raise
    return out


def load_training_set(
    config: Config, data: str | Path, held_out: Sequence[int] | np.ndarray | None = None
) -> TrainingSet:
    """The training images of a configuration, with roles and jersey numbers where a loss of these has a weight.

    Args:
        config: the whole configuration.
        data: what `kreid-convert` wrote.
        held_out: training actions to leave out, or people; see `train`.

    Raises:
        ValueError: as `TrainingSet`.
        ConfigError: a ValueError, for a weight of a role or jersey loss where no record tells any.
    """
    asked = {output: config.loss.weights(output) for output in ("role_logits", "jersey_logits")}
    found = TrainingSet(data, config.data, config.train.seed, held_out, attributes=any(asked.values()))
    for (output, losses), classes in zip(asked.items(), (found.num_roles, found.num_jerseys), strict=True):
        if losses and classes < 2:
            what = output.removesuffix("_logits")
            raise ConfigError(
                f"loss.{what}_weight: {found.index.folder}: expected images of two {what}s or more, received "
                f"{classes}; set the weight to 0"
            )
    return found


def resolve(config: Config, training_set: TrainingSet) -> Config:
    """Fill in what the training data decides, the classes of every classifier that a loss with a weight trains, and
    what a preset of KerasHub says of its network.
    """
    classes = {
        key: getattr(training_set, key) if config.loss.weights(output) else None for output, key in CLASSIFIERS.items()
    }
    return config.model_copy(update={"model": recorded(config.model).model_copy(update=classes)})


def _name_cameras(config: Config, training_set: TrainingSet) -> Config:
    """Fill in which cameras the network's are, where it asks for them."""
    stream = config.model.appearance
    if not stream.cameras:
        return config
    index, rows = training_set.index, training_set.rows
    names = learned_cameras(index, rows, stream.cameras, stream.camera_names)
    seen = set(cameras_of(index, rows).tolist())
    if unseen := [name for name in names if name not in seen]:
        log.warning("cameras without training images, whose vectors stay as they begin: %s", ", ".join(unseen))
    appearance = stream.model_copy(update={"camera_names": names})
    return config.model_copy(update={"model": config.model.model_copy(update={"appearance": appearance})})


def _check_split(config: Config, folder: Path, actions: int | None, rows: np.ndarray | None) -> None:
    """Complain about records that cannot be scored, or are of cameras that the network will not know."""
    check_scorable(folder, actions, rows, config.evaluation.protocol)
    names = config.model.appearance.camera_names
    if names is not None:
        with read_index(folder) as index:
            numbers_of(index, names, scored_rows(index, actions, rows))


def _check_out(out: Path, config: Config, resume: bool) -> None:
    runs.check_resume(out, config) if resume else runs.check_new(out)


def _start(
    config: Config, training_set: TrainingSet, out: Path, cluster: Cluster | None, resume: bool, valid: Path | None
) -> Trainer:
    """Meet the other machines, if any, and build the network there where the run stands."""
    minutes = config.train.worker_minutes
    if cluster:
        meet(cluster, _facts(config, training_set, out), minutes)
    strategy = make_strategy(minutes)
    check_devices(config, strategy)
    with lost_workers(cluster):
        trainer = Trainer(config, training_set, strategy, out, _valid_fingerprint(config, training_set, valid))
        if resume:
            trainer.restore()
    return trainer


def _valid_fingerprint(config: Config, training_set: TrainingSet, valid: Path | None) -> str:
    """What tells the images that are validated on from others; "" where nothing is."""
    if valid is None:
        return ""
    with read_index(valid) as index:
        rows = scored_rows(index, config.train.validate_actions, training_set.held_out)
        return fingerprint(index, rows, config.evaluation.protocol or protocol_of_records(valid))


def _facts(config: Config, training_set: TrainingSet, out: Path) -> dict[str, Any]:
    """What all machines of a run must have alike."""
    index, rows, state = training_set.index, training_set.rows, checkpoints.newest(out / runs.CHECKPOINTS)
    return {
        **flatten(config.model_dump(mode="json")),
        "training images": len(rows),
        "training actions": len(np.unique(index.action[rows])),
        "training people": len(np.unique(index.person[rows])),
        "bytes of training images": int(index.length[rows].sum()),
        "the training set": fingerprint(index, rows),
        "GPUs": len(tf.config.list_physical_devices("GPU")),
        "the newest state": state.name if state else "none",
    }


def _find_valid(config: Config, training_set: TrainingSet) -> Path | None:
    """The records to validate on, if any; complain about such as cannot be scored before the first step."""
    folder = training_set.index.folder
    if training_set.held_out is None:
        folder = split_folder(folder.parent, "valid")
    if not config.train.validate_every:
        return None
    if not folder.is_dir():
        log.warning(
            "%s: no such records, so nothing tells which epoch is best; the last one's weights are kept", folder
        )
        return None
    try:
        _check_split(config, folder, config.train.validate_actions, training_set.held_out)
    except ValueError as error:
        advice = "" if training_set.held_out is not None else "; give others, or set train.validate_every=0"
        raise ValueError(f"{error}{advice}") from None
    return folder


def _warn_of_test(config: Config, training_set: TrainingSet) -> None:
    """Say before the first step that what is trained could not be scored; the training itself needs no test split."""
    folder = split_folder(training_set.index.folder.parent, "test")
    if training_set.held_out is not None or not folder.is_dir():
        return
    try:
        _check_split(config, folder, None, None)
    except ValueError as error:
        log.warning("%s; training goes on, and kreid-evaluate will refuse this split", error)


def _warn_of_idle_keys(config: Config, training_set: TrainingSet) -> None:
    """Say which keys change nothing; not of trials, whose values come from a space that was looked at before."""
    if training_set.held_out is None and (idle := without_effect(config)):
        log.warning("without effect in this configuration: %s", "; ".join(idle))


def _check_length(config: Config, training_set: TrainingSet) -> None:
    """Complain about an epoch that is shorter than asked for, and about a run too short for one update."""
    settings = config.train
    if not settings.steps_per_epoch and settings.accumulate == 1:
        return  # without drawing an epoch, which takes seconds at the real size
    most = sum(1 for _ in training_set.sampler.epoch(0))
    if settings.steps_per_epoch and settings.steps_per_epoch > most:
        log.warning("train.steps_per_epoch is %d, but an epoch has %d batches", settings.steps_per_epoch, most)
    steps = settings.epochs * min(settings.steps_per_epoch or most, most)
    if settings.accumulate > steps:
        raise ConfigError(
            f"train.accumulate: expected at most the {steps} steps of the run, received {settings.accumulate}"
        )
