"""The run folder: what training leaves behind, and how every other command finds it.

<run>/config.yaml          the resolved configuration
<run>/model.weights.h5     the weights to use: best by validation mAP, or the last where nothing validates
<run>/model.weights.sha256 their digest, which every reader holds them against, see `kreid.runs.weights`
<run>/log.csv              one row an epoch
<run>/summary.json         how the run ended: best epoch, images, seconds, versions
<run>/tensorboard/         event files: figures, ranked galleries, histograms on request
<run>/checkpoints/         states to resume from
<run>/metrics_<split>.json, ranking_<split>.json, report_<split>.html, search.html, serving/<version>/
                           (metrics_<split>_with_<other run>.json and so on of an ensemble, see `result_path`)
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kreid.config.dotted import differences
from kreid.config.loading import check, load_tree
from kreid.config.sections import WRITTEN, Config
from kreid.errors import ConfigError, check_path
from kreid.files.atomic import is_partial, remove_partial
from kreid.runs import checkpoints
from kreid.runs.weights import DIGEST, WEIGHTS, read_weights, weights_digest
from tfrecords_tools.locks import LOCK_NAME, lock_folder

if TYPE_CHECKING:
    import keras

CONFIG = "config.yaml"
LOG = "log.csv"
SUMMARY = "summary.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
RESUME = "--resume, in Python resume=True"  # what to say of it where nobody knows who reads it
_LONGEST = 150  # bytes of the names of other runs that a result's own may hold

# What a resumed run may have otherwise: the weights so far would have been the same. So would they with other epochs,
# unless the learning rate falls towards the last one.
_MAY_CHANGE = {"keep", "checkpoint_minutes", "log_steps", "pictures", "histograms", "validate_every", "worker_minutes"}


def check_new(run: str | Path) -> None:
    """Complain where a new run would write over something.

    Raises:
        ConfigError: where `run` exists and is not an empty folder.
    """
    run = Path(run)
    if run.exists() and (not run.is_dir() or not all(map(_is_passing, run.iterdir()))):
        raise ConfigError(f"{run}: exists already; give another folder, remove it, or go on there ({RESUME})")


def check_resume(run: str | Path, config: Config) -> None:
    """Complain where a run cannot go on with this configuration.

    Raises:
        ConfigError: where the folder is no run. Where keys differ that decide the weights; it names them. Where a run
            has left its results and no state: to begin again would replace them.
    """
    # How the finished run is ranked is nothing that training has used, but for the protocol, which validation follows.
    ranked = {name for name in type(config.evaluation).model_fields if name != "protocol"}
    before, now = (one.model_dump(mode="json", exclude={"evaluation": ranked}) for one in (load_config_of(run), config))
    free = {f"train.{name}" for name in _MAY_CHANGE | ({"epochs"} if config.train.schedule != "cosine" else set())}
    changes = [change for change in differences(before, now) if change.partition(":")[0] not in free]
    if changes:
        raise ConfigError(f"{run}: cannot resume with another configuration ({', '.join(changes[:4])})")
    left = [name for name in (WEIGHTS, LOG, SUMMARY) if (Path(run) / name).exists()]
    if left and not checkpoints.newest(Path(run) / CHECKPOINTS):
        raise ConfigError(f"{run}: has {left[0]}, but no state in {CHECKPOINTS} to go on from; give another folder")


@contextlib.contextmanager
def hold(run: str | Path) -> Iterator[None]:
    """Keep every other training out of a run folder while the block runs, and remove what a killed one left of files.

    A folder that is made for it and is still empty at the end goes with it.

    Raises:
        ConfigError: where another training is at work there.
    """
    run = Path(run)
    made = not run.exists()
    try:
        with lock_folder(run, "kreid-train") as locked:
            if locked:  # else what is half-written may be of one who is at work
                _remove_partial(run)
            yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                run.rmdir()


def _is_passing(path: Path) -> bool:
    """Whether a file is there while another command is at work, or after it was killed, and says nothing else."""
    return is_partial(path) or path.name == LOCK_NAME


def _remove_partial(run: Path) -> None:
    for name in (CONFIG, WEIGHTS, DIGEST, LOG, SUMMARY, f"{CHECKPOINTS}/state-*.npz"):
        remove_partial(run / name)


def run_names(runs: Sequence[str | Path]) -> list[str]:
    """Names of different runs, all different: the folder's own of the first run and of those beside it.

    Runs that lie elsewhere are named by their path from the folder that holds the first: `../seed2/osnet`.
    """
    first, *others = (Path(run).resolve() for run in runs)
    return [first.name, *(os.path.relpath(other, first.parent) for other in others)]


def remove(run: str | Path) -> None:
    """Remove what a run that came to nothing has left."""
    for name in (CONFIG, WEIGHTS, DIGEST, LOG, SUMMARY):
        (Path(run) / name).unlink(missing_ok=True)
    for name in (CHECKPOINTS, TENSORBOARD):
        shutil.rmtree(Path(run) / name, ignore_errors=True)


def result_path(runs: Sequence[str | Path], name: str) -> Path:
    """Where a result of a run goes, and one of an ensemble: `RUN/metrics_test_with_OTHER.json` in the first run.

    The name of a run that lies elsewhere than beside the first, and of many runs, ends in a digest of `run_names`.
    """
    folders = [Path(run).resolve().name for run in runs]
    named = list(zip(folders, run_names(runs), strict=True))[1:]
    others = "+".join(own if own == name else f"{own}-{_digest(name)}" for own, name in named)
    if len(os.fsencode(others)) > _LONGEST:
        others = f"{len(runs) - 1}_runs-{_digest(others)}"
    path = Path(name)
    return Path(runs[0]) / (f"{path.stem}_with_{others}{path.suffix}" if others else path)


def load_config_of(run: str | Path) -> Config:
    """The resolved configuration of a run folder.

    Raises:
        ConfigError: where the folder is no run, or its configuration none.
    """
    check_path("run", run, "the folder that kreid-train wrote")
    path = Path(run) / CONFIG
    if not path.is_file():
        raise ConfigError(f"{run}: not a run folder, it has no {CONFIG}; give the folder that kreid-train wrote")
    return check(load_tree(path), f"configuration {path}", WRITTEN)


def network_digest(run: str | Path) -> str:
    """A digest of a run's network, weights and the section `model` together: whether vectors are of what is there now.

    Keys at their defaults are left out, so that a later version's new ones change nothing.

    Raises:
        ConfigError: where the folder is no run.
        ValueError: where it has no weights.
    """
    described = load_config_of(run).model.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps([described, weights_digest(run)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_model(run: str | Path) -> "keras.Model":
    """Build the model of a run folder and load its weights.

    Args:
        run: the folder that `kreid-train` wrote.

    Returns:
        The network, ready to embed with.

    Raises:
        ConfigError: where the folder is no run.
        ValueError: where it has no weights yet, holds others than were written, or weights of another model.

    Example:
        >>> model = kreid.load_model("saved_models/demo")
        >>> embeddings = kreid.embed(model, "records/test")
    """
    from kreid.models.embedders import build_model
    from kreid.weights.memory import from_bytes

    config = load_config_of(run)
    path, content = Path(run) / WEIGHTS, read_weights(run)
    model = build_model(config.model, pretrained=False)
    try:
        from_bytes(model, content)
    except ValueError as error:
        raise ValueError(
            f"{path}: not weights of the model that {CONFIG} beside it describes; restore the pair that belongs "
            f"together ({error})"
        ) from None
    broken = [variable.path for variable in model.variables if not np.isfinite(np.asarray(variable)).all()]
    if broken:
        raise ValueError(
            f"{path}: {broken[0]} and {len(broken) - 1} more hold NaN or infinity; look for a diverged model"
        )
    return model


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
