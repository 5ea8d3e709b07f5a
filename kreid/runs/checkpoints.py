"""States to resume from: model, optimiser and place in the run, in one file, written whole or not at all."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from kreid.files.atomic import atomic_file
from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.errors import one_line
from tfrecords_tools.json_text import load_json

Place = TypeVar("Place")

log = logging.getLogger(__name__)

_NAME = re.compile(r"state-(\d+)-(\d+)\.npz")


def save(folder: str | Path, variables: list, progress: dict[str, Any], keep: int = 2) -> Path:
    """Write a state and remove all but the newest `keep` until then.

    Args:
        folder: the run's `checkpoints` folder.
        variables: Keras variables of model and optimiser, in a fixed order.
        progress: plain values; `epoch` and `step` name the file.
        keep: how many states stay.

    Returns:
        The file written.
    """
    arrays: dict[str, ArrayLike] = {"progress": json.dumps(progress)}
    arrays |= {f"{number:05d}:{variable.path}": np.asarray(variable) for number, variable in enumerate(variables)}
    path = Path(folder) / f"state-{progress['epoch']:05d}-{progress['step']:07d}.npz"
    with atomic_file(path) as file:
        write_arrays(file, arrays)
    states = _states(folder)
    done = states.index(path) + 1
    for other in [*states[: max(0, done - keep)], *states[done:]]:  # the later ones could not be read
        other.unlink(missing_ok=True)
    return path


def newest(folder: str | Path) -> Path | None:
    """The newest state, None where there is none."""
    return next(reversed(_states(folder)), None)


def plain(progress: Any) -> dict[str, Any]:
    """Return the place in a run as it was saved.

    Raises:
        ValueError: where it is no object of JSON.
    """
    if not isinstance(progress, dict):
        raise ValueError(f"progress: expected an object, received {one_line(progress)}")
    return progress


def restore(folder: str | Path, variables: list, parse: Callable[[Any], Place]) -> Place | None:
    """Put the newest readable state into `variables` and return its progress; None where there is no state.

    Args:
        folder: the run's `checkpoints` folder.
        variables: as for `save`.
        parse: turns the progress into what is returned, see `plain`; it raises ValueError where that is damaged.

    Raises:
        ValueError: where the newest state belongs to another network, or there are states and none can be read.
    """
    states = _states(folder)
    for path in reversed(states):
        try:
            arrays = read_arrays(path, ["progress"])
            progress = parse(load_json(str(arrays.pop("progress"))))
        except (OSError, ValueError) as error:
            log.warning(
                "%s: damaged (%s), looking for an older state", path, one_line(str(error).removeprefix(f"{path}: "))
            )
            continue
        _assign(path, arrays, variables)
        log.info("resuming from %s", path)
        return progress
    if states:
        raise ValueError(f"{folder}: none of its {len(states)} states can be read; start again in a new run folder")
    log.warning("%s: no state yet, starting from the beginning", folder)
    return None


def _assign(path: Path, arrays: dict[str, np.ndarray], variables: list) -> None:
    names = [f"{number:05d}:{variable.path}" for number, variable in enumerate(variables)]
    saved = sorted(arrays)
    if saved != names:
        other = next((s for s, n in zip(saved, names, strict=False) if s != n), "a different number of variables")
        raise ValueError(f"{path}: belongs to another network or optimiser ({other}); use a new run folder")
    for name, variable in zip(names, variables, strict=True):
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise ValueError(f"{path}: {name} is {arrays[name].shape}, the model's is {tuple(variable.shape)}")
    for name, variable in zip(names, variables, strict=True):
        variable.assign(arrays[name])


def _states(folder: str | Path) -> list[Path]:
    """State files, oldest first."""
    found = [(match, path) for path in Path(folder).glob("state-*.npz") if (match := _NAME.fullmatch(path.name))]
    return [path for match, path in sorted(found, key=lambda item: [int(part) for part in item[0].groups()])]
