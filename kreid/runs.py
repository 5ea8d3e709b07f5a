"""The run folder: what training leaves behind, and how every other command finds it.

<run>/config.yaml          the resolved configuration
<run>/model.weights.h5     the weights to use: best by validation mAP, or the last where nothing validates
<run>/log.csv              one row an epoch
<run>/summary.json         how the run ended
<run>/tensorboard/         event files
<run>/checkpoints/         states to resume from
<run>/metrics_<split>.json, ranking_<split>.json, report_<split>.html, search.html, serving/<version>/
                           (metrics_<split>_with_<other run>.json and so on of an ensemble)
"""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kreid import config as configuration

CONFIG = "config.yaml"
WEIGHTS = "model.weights.h5"


def result_path(runs: Sequence[str | Path], name: str) -> Path:
    """Where a result of a run goes, and one of an ensemble: `RUN/metrics_test_with_OTHER.json` in the first run."""
    others = "_".join(Path(run).resolve().name for run in runs[1:])
    name = Path(name)
    return Path(runs[0]) / (f"{name.stem}_with_{others}{name.suffix}" if others else name)


def weights_digest(run: str | Path) -> str:
    """The SHA-256 of a run's weights: whether figures are of the weights that are there."""
    with (Path(run) / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_config_of(run: str | Path) -> configuration.Config:
    """The resolved configuration of a run folder.

    Raises:
        ValueError: where the folder is no run.
    """
    path = Path(run) / CONFIG
    if not path.is_file():
        raise ValueError(f"{run}: not a run folder, it has no {CONFIG}; give the folder that kreid-train wrote")
    return configuration.load_config(path)


def load_model(run: str | Path) -> Any:
    """Build the model of a run folder and load its weights.

    Args:
        run: the folder that `kreid-train` wrote.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: where the folder is no run, has no weights yet, or holds weights of another model.

    Example:
        >>> model = load_model("saved_models/two_stream")
    """
    from kreid.models.embedders import build_model

    config = load_config_of(run)
    path = Path(run) / WEIGHTS
    if not path.is_file():
        raise ValueError(f"{run}: no {WEIGHTS} yet; wait for the first epoch, or go on with kreid-train --resume")
    model = build_model(config.model, pretrained=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras lists every variable that does not fit
            model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:150]
        raise ValueError(
            f"{path}: not weights of the model that {CONFIG} beside it describes; restore the pair that belongs "
            f"together ({reason})"
        ) from None
    return model
