"""The trials of a search, in an SQLite store of Optuna's: processes share it, and one that was stopped goes on with it.

STUDY/study.db            parameters, scores and states, in Optuna's form
STUDY/lock                held while a process takes or ends a trial
STUDY/trials/00003/       the runs of a trial, and `running`, a file locked by the process that works on it

Processes write in turn, by a file lock. With a process its lock on a trial is gone too, whatever ended it, so the next
process that asks for a trial goes on with that one.
"""

import contextlib
import fcntl
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
import optuna
from optuna.trial import TrialState

from kreid.config.dotted import differences
from kreid.config.loading import check
from kreid.errors import ConfigError
from kreid.runs.folder import CONFIG
from kreid.tuning.sampler import BehindTheMedian, FreshDraws, distribution_of, suggest
from kreid.tuning.space import Choice, Space
from kreid.tuning.table import Row

STORE = "study.db"
_NAME = "kreid"
_MAGIC = b"SQLite format 3\0"
_KEPT = (CONFIG, "log.csv", "summary.json")  # of a trial's runs: how they went, but no weights
_BUSY = 60.0  # seconds to wait for another process's writing
_STATES = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class Study:
    """A search's trials.

    Args:
        folder: where they are kept; made if missing.
        space: what is tried.
        settings: plain values that trials depend on; a study made under others is refused.
        seed: of the draws. A trial's depends on its number and the trials before it alone.
        prune: stop trials that fall behind; see `add_score`.

    Raises:
        ConfigError: where the folder's study was made under other settings, or the folder holds something else.
        ValueError: where its store is none.

    Example:
        >>> with Study(Path("study"), space, {"folds": 5}, seed=1) as study:
        ...     while trial := study.next_trial(limit=20):
        ...         study.add_score(trial, score_of(study.values(trial)))
        ...         study.complete(trial)
    """

    def __init__(self, folder: Path, space: Space, settings: dict[str, Any], seed: int, prune: bool = True) -> None:
        check_folder(folder)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.space = folder, space
        self._held: list[TextIO] = []  # locked files
        self._distributions = {key: distribution_of(entry) for key, entry in space.entries.items()}
        with self.turn():
            self._storage = _storage(folder / STORE)
            self._study = optuna.create_study(
                storage=self._storage,
                sampler=FreshDraws(seed, space, self._distributions),
                pruner=BehindTheMedian() if prune else optuna.pruners.NopPruner(),
                study_name=_NAME,
                direction="maximize",
                load_if_exists=True,
            )
            try:
                self._check_settings(settings)
            except ConfigError:
                self.close()
                raise

    def _check_settings(self, settings: dict[str, Any]) -> None:
        before = self._study.user_attrs.get("settings")
        if before is None:
            self._study.set_user_attr("settings", settings)
            return
        begun = _with_data(before, settings)
        changes = differences(_with_defaults(begun), settings)
        if changes:
            raise ConfigError(
                f"{self.folder}: its trials were made otherwise and cannot be compared with these "
                f"({', '.join(changes[:4])}); give another folder"
            )
        if begun != before:
            self._study.set_user_attr("settings", begun)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; the trial that is worked on, if there is one, is left to others."""
        self._storage.remove_session()
        self._storage.engine.dispose()
        for file in self._held:
            file.close()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process takes a trial, ends one or writes results, and keep them waiting meanwhile."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            except optuna.exceptions.StorageInternalError as error:
                raise OSError(f"{self.folder / STORE}: cannot be written ({error.__cause__ or error})") from error

    def next_trial(self, limit: int) -> "Trial | None":
        """Take a trial that a process left unfinished, or a new one; None where there are `limit` trials already."""
        with self.turn():
            trials = self._study.get_trials(deepcopy=False)
            for old in trials:
                if old.state == TrialState.RUNNING and (lock := self._lock(old.number)):
                    return self._taken(optuna.trial.Trial(self._study, old._trial_id), lock)
            if len(trials) >= min(limit, self.space.combinations() or limit):
                return None
            trial = self._study.ask()
            if not (lock := self._lock(trial.number)):
                folder = self._folder_of(trial.number)
                raise OSError(f"{folder}: another process holds it, though the trial is new; is the disk shared?")
            return self._taken(trial, lock)

    def _taken(self, trial: optuna.trial.Trial, lock: TextIO) -> "Trial":
        for name, distribution in self._distributions.items():
            suggest(trial, name, distribution)
        return Trial(trial, lock, self._folder_of(trial.number))

    def values(self, trial: "Trial") -> dict[str, Any]:
        """What the trial tries, by dotted key."""
        return self._values(trial.optuna.params)

    def _values(self, params: dict[str, Any]) -> dict[str, Any]:
        entries = self.space.entries
        return {key: json.loads(value) if isinstance(entries[key], Choice) else value for key, value in params.items()}

    def add_score(self, trial: "Trial", score: float, seconds: float = 0.0) -> bool:
        """Keep the score of the trial's next fold and tell whether to stop it.

        Trials are compared after the same folds, each trained to its end: one stops where the mean of its scores so far
        is below the median of what the completed trials (five at least) had after as many folds.
        """
        with self.turn():
            trial.scores.append(score)
            trial.seconds.append(seconds)
            trial.optuna.set_user_attr("folds", list(zip(trial.scores, trial.seconds, strict=True)))
            trial.optuna.report(float(np.mean(trial.scores)), step=len(trial.scores))
            return trial.optuna.should_prune()

    def complete(self, trial: "Trial") -> None:
        """The trial has all its scores; its value is their mean."""
        self._end(trial, float(np.mean(trial.scores)))

    def prune(self, trial: "Trial") -> None:
        """The trial was stopped as `add_score` told."""
        self._end(trial, state=TrialState.PRUNED)

    def fail(self, trial: "Trial", reason: str) -> None:
        """The trial could not be carried out."""
        with self.turn():
            trial.optuna.set_user_attr("reason", reason)
        self._end(trial, state=TrialState.FAIL)

    def _end(self, trial: "Trial", value: float | None = None, state: TrialState | None = None) -> None:
        _drop_weights(trial.folder)  # before: where a process is ended in between, the next one ends the trial
        with self.turn():
            self._study.tell(trial.optuna, value, state=state)
            (trial.folder / "running").unlink(missing_ok=True)
        trial.lock.close()
        if not any(trial.folder.iterdir()):
            trial.folder.rmdir()

    def rows(self) -> list[Row]:
        """Every trial there is, by number."""
        return [self._row(trial) for trial in self._study.get_trials(deepcopy=False)]

    def _row(self, trial: optuna.trial.FrozenTrial) -> Row:
        return Row(
            number=trial.number,
            state=_STATES.get(trial.state, "running"),
            values=self._values(trial.params),
            scores=[score for score, _ in trial.user_attrs.get("folds", [])],
            seconds=sum(seconds for _, seconds in trial.user_attrs.get("folds", [])),
            reason=trial.user_attrs.get("reason", ""),
        )

    def _folder_of(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:05}"

    def _lock(self, number: int) -> TextIO | None:
        """The file that says a process works on this trial, locked; None where another process has it."""
        path = self._folder_of(number) / "running"
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        self._held.append(file)
        return file


class Trial:
    """A trial that this process works on.

    Args:
        trial: Optuna's.
        lock: the locked file.
        folder: for the trial's runs.

    Attributes:
        scores: of the folds that are done, also by a process before this one.
        seconds: how long each took.
    """

    def __init__(self, trial: optuna.trial.Trial, lock: TextIO, folder: Path) -> None:
        self.optuna, self.lock, self.folder = trial, lock, folder
        self.number = trial.number
        folds = trial.user_attrs.get("folds", [])
        self.scores: list[float] = [score for score, _ in folds]
        self.seconds: list[float] = [seconds for _, seconds in folds]


def check_folder(folder: Path) -> None:
    """Complain about a folder that holds something else than a study.

    Raises:
        ConfigError: naming it.
    """
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (folder / STORE).exists() and not (folder / "lock").exists():
        raise ConfigError(f"{folder}: exists already and is no study; give another folder")


def _with_data(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """A study's settings with what earlier versions did not note of the data: as it is now, and held from now on."""
    if "data" not in before:
        return before
    since = {key: value for key, value in now.get("data", {}).items() if key in ("records", "protocol")}
    return {**before, "data": {**since, **before["data"]}}


def _with_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """A study's settings with the defaults of the keys that configurations have received since it was begun."""
    if "configuration" not in settings:
        return settings
    with contextlib.suppress(ConfigError):  # of a key that is there no more: compared as it stands
        return {**settings, "configuration": check(dict(settings["configuration"])).model_dump(mode="json")}
    return settings


def _storage(path: Path) -> optuna.storages.RDBStorage:
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError(f"{path}: not an SQLite store; restore it, or give another folder")

    # The connection is made here: in a URL, characters such as ? or { in a folder's name would mean something else.
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=_BUSY, check_same_thread=False)

    return optuna.storages.RDBStorage(f"sqlite:///{STORE}", engine_kwargs={"creator": connect})


def _drop_weights(folder: Path) -> None:
    for path in [*folder.glob("*/*")]:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in _KEPT:
            path.unlink()
