"""What a run left in its folder."""

import csv
from pathlib import Path

import numpy as np

from kreid import runs


def log_of(run: Path) -> list[dict[str, str]]:
    """The rows of log.csv."""
    return list(csv.DictReader((run / runs.LOG).read_text(encoding="utf-8").splitlines()))


def weights_of(run: Path) -> dict[str, np.ndarray]:
    """The weights that the other commands use, by path."""
    return {variable.path: np.asarray(variable) for variable in runs.load_model(run).variables}
