"""The training loop: one for a single device, all GPUs of a machine, and several machines."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from kreid import checkpoints, runs
from kreid.config import dump
from kreid.data import TrainingSet, split_folder
from kreid.sections import Config
from kreid.training_loop import Hook, Trainer, fingerprint
from kreid.training_step import check_devices, make_strategy
from kreid.workers import meet, read_cluster
from tfrecords_tools.index import read_index

log = logging.getLogger(__name__)


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
        out: the run folder; it must not exist, unless `resume`. With several machines, one that all of them see.
        resume: go on from the newest checkpoint of `out`.
        quiet: no progress lines.
        on_validation: called on the chief after each validation, once the epoch is kept, with the number of epochs done
            and the epoch's figures (`loss`, `valid_mAP`, ...). What it raises ends the run and reaches the caller.
        held_out: training actions that are not trained on but validated on, in place of the valid split.

    Returns:
        `out`.

    Raises:
        ValueError: where `out` exists (or does not, to resume), data or weights cannot be used, another machine does
            not come, the disk is full, or the loss is not finite.

    Example:
        >>> train(load_config("configs/demo.yaml"), "records", "saved_models/demo")
    """
    out, cluster = Path(out), read_cluster()
    training_set = TrainingSet(data, config.data, config.train.seed, held_out)
    valid = split_folder(data, "valid" if held_out is None else "train")
    _check_valid(valid, config)
    config = resolve(config, training_set)
    runs.check_resume(out, config) if resume else runs.check_new(out)
    if cluster:
        meet(cluster, _facts(config, training_set, out), config.train.worker_minutes)
    strategy = make_strategy()
    check_devices(config, strategy)
    trainer = Trainer(config, training_set, strategy, out)
    if resume:
        trainer.restore()
    trainer.write_config()
    try:
        trainer.run(valid, quiet, on_validation)
    except ValueError:
        if trainer.is_chief and not (out / runs.CHECKPOINTS).exists():
            shutil.rmtree(out)  # nothing to go on from, and nothing in the way of another try
        raise
    return out


def resolve(config: Config, training_set: TrainingSet) -> Config:
    """Fill in what the training data decides: the number of classes, where the identity loss has a weight."""
    classes = training_set.num_classes if config.loss.identity_weight else None
    return config.model_copy(update={"model": config.model.model_copy(update={"num_classes": classes})})


def _facts(config: Config, training_set: TrainingSet, out: Path) -> dict[str, str]:
    """What all machines of a run must have alike."""
    state = checkpoints.newest(out / runs.CHECKPOINTS)
    return {
        "the configuration": hashlib.sha256(dump(config).encode()).hexdigest()[:12],
        "the training set": fingerprint(training_set),
        "GPUs": str(len(tf.config.list_physical_devices("GPU"))),
        "the newest state": state.name if state else "none",
    }


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
