"""Where a run stands: counted after every step, written to its folder, and put back by a resumed run."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from pydantic import TypeAdapter

from kreid import runs
from kreid.config.sections import Train
from kreid.errors import ConfigError
from kreid.runs import checkpoints
from tfrecords_tools.index import Index

Logs = dict[str, float]


def fingerprint(index: Index, rows: np.ndarray, protocol: str = "") -> str:
    """What tells one set of images from another, wherever it lies: how many there are, a digest of them, a protocol."""
    by = f", by {protocol}" if protocol else ""
    return f"{len(rows):,} images ({index.digest(rows)[:12]}{by})"


def former_fingerprint(index: Index, rows: np.ndarray) -> str:
    """What states of earlier versions hold for `fingerprint` of the training set: it tells fewer sets apart."""
    digest = hashlib.sha256()
    for column in (index.bbox, index.action, index.person, index.length):
        digest.update(np.ascontiguousarray(column[rows]).tobytes())
    return f"{len(rows):,} images ({digest.hexdigest()[:12]})"


@dataclass
class State:
    """Where a run stands. A saved state holds these fields by their names.

    Args:
        epoch: epochs trained.
        step: steps of the running epoch done.
        sums: of the figures over the steps of the epoch.
        images: drawn so far.
        steps: of the last epoch trained, while `sums` are its: it is still to be validated and logged.
        best: the best validation mAP, at `best_epoch`.
        seconds: that the run has taken, in all its sessions; `busy` of them in steps.
        data: the training set, see `fingerprint`.
        valid: likewise what was validated on; "" where nothing was yet, or an earlier version did not say.
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
    valid: str = ""

    @classmethod
    def parse(cls, progress: Any) -> Self:
        """Return a state as `asdict` has it, now or in an earlier version, which had no `valid`.

        Raises:
            ValueError: where a field is missing, is none of a state's, or has a value of another type.
        """
        names = {known.name for known in fields(cls)}
        progress = {"valid": "", **checkpoints.plain(progress)}
        wrong = names ^ set(progress)
        if wrong:
            raise ValueError(f"progress: expected {', '.join(sorted(names))}, differs in {', '.join(sorted(wrong))}")
        return TypeAdapter(cls).validate_json(json.dumps(progress), strict=True)

    def count(self, figures: Logs, images: int) -> None:
        """A step of so many images was done."""
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.step += 1
        self.images += images

    def end_epoch(self) -> None:
        """The last step of the epoch was done; its figures stay until it is logged."""
        self.epoch, self.step, self.steps = self.epoch + 1, 0, self.step

    def mean_figures(self) -> Logs:
        """The figures of the epoch that was trained last."""
        return {name: value / self.steps for name, value in self.sums.items()}

    def keeps(self, score: float | None) -> bool:
        """Note a validation's mAP; whether the weights of now are worth keeping.

        They are if they are the best so far, or, without a score, as long as nothing tells which are best.
        """
        if score is None:
            return self.best_epoch is None
        if score <= self.best:
            return False
        self.best, self.best_epoch = score, self.epoch
        return True

    def finish_epoch(self) -> None:
        """The epoch that was trained last is validated and logged."""
        self.steps, self.sums = 0, {}


class SavedStates:
    """The states in a run's folder: when one is due, and the way into a file and back.

    Args:
        out: the run folder.
        settings: the `train` section.
        variables: all that learns and all that it is learnt by, in a fixed order.
        active: write at all; false on all machines but one.
    """

    def __init__(self, out: Path, settings: Train, variables: list[keras.Variable], active: bool = True) -> None:
        self.out, self.settings, self.variables, self.active = out, settings, variables, active
        self._since = time.monotonic()  # what is not yet in the seconds of a state

    def is_due(self) -> bool:
        """Whether the last state is older than `train.checkpoint_minutes`."""
        minutes = self.settings.checkpoint_minutes
        return minutes > 0 and time.monotonic() - self._since > 60 * minutes

    def save(self, state: State) -> None:
        """Write where the run stands, and remove all but the newest `train.keep` states."""
        self.take_time(state)
        if self.active:
            checkpoints.save(self.out / runs.CHECKPOINTS, self.variables, asdict(state), self.settings.keep)

    def take_time(self, state: State) -> None:
        """Add to a state the seconds since this was last done."""
        now = time.monotonic()
        state.seconds += now - self._since
        self._since = now

    def restore(self, data: str, valid: str = "", former: str = "") -> State | None:
        """Put the newest state into the variables and return the rest of it; None where there is none yet.

        Args:
            data: the training set, see `fingerprint`.
            valid: what it validates on; "" where that is nothing, or where another machine validates.
            former: see `former_fingerprint`.

        Raises:
            ConfigError: where the run was trained or validated on other records.
        """
        state = checkpoints.restore(self.out / runs.CHECKPOINTS, self.variables, State.parse)
        if not state:
            return None
        if state.data not in (data, former):
            raise ConfigError(
                f"data: {self.out} was trained on {state.data}, received {data}; give the same records, or "
                "start a new run"
            )
        if valid and state.valid not in ("", valid):
            raise ConfigError(
                f"data: {self.out} was validated on {state.valid}, received {valid}, whose scores say nothing about "
                "those before; give the same records of the valid split, or start a new run"
            )
        state.data, state.valid = data, valid or state.valid
        return state
