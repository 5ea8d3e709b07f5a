"""Choosing a configuration by cross-validation on the training actions, as the paper chose its layers (II.D)."""

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kreid import runs
from kreid.config.loading import dump
from kreid.config.sections import Config
from kreid.data.records import read_labels
from kreid.errors import ConfigError, DivergedError, check_kind, check_number, check_path
from kreid.files.atomic import atomic_file
from kreid.tuning.folds import check_batches, check_cameras, check_scores, describe_data, make_folds
from kreid.tuning.process import TrainingProcess
from kreid.tuning.progress import Progress
from kreid.tuning.space import Space
from kreid.tuning.study import Study, Trial
from kreid.tuning.table import Row, best, comma_separated, described, failures, markdown
from tfrecords_tools.addresses import local_path
from tfrecords_tools.index import read_index, split_folder
from tfrecords_tools.remote import path_of

OBJECTIVES = ("mAP", "rank1")
BEST, TABLE, FIGURES = "best.yaml", "trials.md", "trials.csv"


def tune(
    space: Space,
    data: str | Path,
    out: str | Path,
    folds: int = 5,
    trials: int = 20,
    objective: str = "mAP",
    prune: bool = True,
    quiet: bool = False,
    command: str = "",
) -> Path:
    """Try configurations, each by cross-validation, and write the best one.

    A trial trains one model a fold on the other folds' actions and scores it, after its last epoch, on the fold held
    out, where `kreid.training.validation.first_views` chooses queries. Its score is the mean over folds. Processes that
    are given one `out` share the trials; a search that was stopped goes on where it was. Scripts need the guard
    `if __name__ == "__main__":`, as each trial is trained in a process of its own.

    A trial fails where its values are no configuration that can be trained, or its training diverged. Anything else
    that is raised ends the search, and the next call goes on with the trial it was at.

    Args:
        space: what to try, from `read_space`.
        data: what `kreid-convert` wrote; its train split is used.
        out: the study's folder: `study.db`, a table (`trials.md`, `trials.csv`), `best.yaml` and the trials' logs.
        folds: how many, from 2. No game is in two of them; of a set that is one action, no person is.
        trials: how many there are to be in `out`, those of other processes and earlier calls included. A space of fewer
            combinations ends with the last of them.
        objective: `mAP` or `rank1`.
        prune: stop a trial between folds where it falls behind the median; see `Study.add_score`.
        quiet: no progress lines.
        command: what was typed, for the head of `best.yaml`.

    Returns:
        The path of `best.yaml`.

    Raises:
        ConfigError: where folds, space or `out` cannot be used.
        ValueError: where data cannot be read, or no trial could be carried out.
        OSError: where the disk is full.

    Example:
        >>> space = kreid.read_space("layerwise", "layerwise")
        >>> best = kreid.tune(space, "records", "saved_models/study", folds=2, trials=2, quiet=True)
        >>> best.name
        'best.yaml'
    """
    check_kind("space", space, Space)
    check_path("data", data, "what kreid-convert wrote")
    check_path("out", out, "the study's folder")
    check_number("folds", folds)
    check_number("trials", trials)
    if trials < 1:
        raise ConfigError(f"trials: expected 1 or more, received {trials}")
    progress = Progress(quiet)
    search = _Search(space, path_of(data), local_path(out), folds, objective, prune, progress)
    with search.study, contextlib.closing(progress):
        search.run(trials, command)
        return search.finish(command)


class _Search:
    """Trains and scores the trials of a study."""

    def __init__(
        self, space: Space, data: Path, out: Path, folds: int, objective: str, prune: bool, progress: Progress
    ) -> None:
        base = space.base()
        if objective not in OBJECTIVES:
            raise ConfigError(f"objective: expected one of {', '.join(OBJECTIVES)}, received {objective!r}")
        if "TF_CONFIG" in os.environ:
            raise ConfigError("TF_CONFIG: a trial is trained on one machine; unset it and start a process on each")
        for config in space.samples():
            if missing := _missing_weights(config):
                raise ConfigError(missing)
        index = read_index(split_folder(data, "train"))
        self.held_out = make_folds(index, base.data.fraction, folds, base.train.seed)
        check_batches(index, self.held_out, base.data)
        check_cameras(index, self.held_out, base)
        check_scores(index, self.held_out, base)
        self.described = describe_data(
            index, base.data.fraction, base.evaluation.protocol or read_labels(index).protocol
        )
        settings: dict[str, Any] = {"configuration": base.model_dump(mode="json"), "space": space.describe()}
        settings |= {"data": self.described, "folds": folds, "objective": objective}
        self.study = Study(out, space, settings, base.train.seed, prune)
        self.data, self.out, self.objective, self.progress = data, out, objective, progress

    def run(self, trials: int, command: str) -> None:
        """Carry out trials until there are as many as asked for; what is the best so far can be read meanwhile."""
        combinations = self.study.space.combinations()
        if combinations is not None and combinations <= trials:
            self.progress.say(f"the space has {combinations} combination(s); each is tried once")
        self.total = min(trials, combinations or trials)
        while trial := self.study.next_trial(trials):
            self._carry_out(trial)
            self.write(command)

    def _carry_out(self, trial: Trial) -> None:
        """Cross-validate a trial and end it; one that is not at fault for what stops it stays for the next process."""
        try:
            with TrainingProcess() as process:
                self._cross_validate(trial, process)
        except (ConfigError, DivergedError) as error:  # the values' own fault
            reason = " ".join(str(error).split())[:300]
            self.study.fail(trial, reason)
            self.progress.end_fold()
            self.progress.say(f"trial {trial.number} failed: {reason}")
        except BaseException:
            place = f"trial {trial.number} was left in fold {len(trial.scores) + 1}"
            self.progress.say(f"{place}; run again to go on there")
            raise

    def _cross_validate(self, trial: Trial, process: TrainingProcess) -> None:
        values = self.study.values(trial)
        config = _validated(self.study.space.config(values))
        folds = len(self.held_out)
        self.progress.say(f"trial {trial.number}: {described(values)}")
        while len(trial.scores) < folds:
            begin = time.monotonic()
            score = self._fold(trial, len(trial.scores), config, process)
            behind = self.study.add_score(trial, score, time.monotonic() - begin)
            self.progress.fold_done(trial, folds, self.objective, *self._rest(trial))
            if behind and len(trial.scores) < folds:
                self.study.prune(trial)
                self.progress.say(f"trial {trial.number} stopped: below the median after {len(trial.scores)} fold(s)")
                return
        self.study.complete(trial)
        self.progress.say(f"trial {trial.number} done: {_summary(trial.scores, self.objective)}")

    def _rest(self, trial: Trial) -> tuple[str, float]:
        """How many trials are done, and how many folds this process has yet if those at work share them equally."""
        states = [row.state for row in self.study.rows()]
        running = states.count("running")
        done = len(states) - running
        left = len(self.held_out) * (self.total - done) / running - len(trial.scores)
        return f"{done} of {self.total} trials done", left

    def _fold(self, trial: Trial, number: int, config: Config, process: TrainingProcess) -> float:
        """Train on the other folds, or go on where a process before this one stopped, and score on this one."""
        run = trial.folder / f"fold_{number + 1}"
        scores: list[float] = []

        def validated(epoch: int, logs: dict[str, float]) -> None:
            scores.append(logs[f"valid_{self.objective}"])
            self.progress.epoch_done(trial, number, epoch, config.train.epochs, scores[-1])

        if missing := _missing_weights(config):
            raise ValueError(missing)  # they were there when the search began, so the values are not at fault
        if (run / runs.CONFIG).is_file():
            process.train(config, self.data, run, True, self.held_out[number], validated)
        if not scores:  # nothing to go on with, or stopped between the last epoch and its score
            shutil.rmtree(run, ignore_errors=True)
            process.train(config, self.data, run, False, self.held_out[number], validated)
        return scores[-1]

    # --- results ------------------------------------------------------------------------------------------------

    def write(self, command: str) -> Path | None:
        """Write the table of all trials there are, whoever made them, and the best configuration.

        Returns:
            The configuration's path; None where no trial has come to its end.
        """
        with self.study.turn():
            rows, folds = self.study.rows(), len(self.held_out)
            _write(self.out / TABLE, "\n".join([markdown(rows, folds, self.objective), *failures(rows)]).strip() + "\n")
            _write(self.out / FIGURES, comma_separated(rows, folds, self.objective))
            first = best(rows)
            if first is None:
                return None
            head = self._head(first, len(rows), command)
            _write(self.out / BEST, head + dump(self.study.space.config(first.values)))
        return self.out / BEST

    def finish(self, command: str) -> Path:
        """Write the results, also where nothing was left to do, and return the best configuration's path."""
        path = self.write(command)
        running = sum(row.state == "running" for row in self.study.rows())
        if running:
            self.progress.say(f"{running} trial(s) still run in other processes; the last of them completes the table")
        if path is None:
            yet = " yet" if running else ""
            raise ValueError(f"{self.out}: no trial came to its end{yet}, so there is no best one; see {TABLE} there")
        return path

    def _head(self, row: Row, trials: int, command: str) -> str:
        data = self.described
        images, games = data["images"], data["games"]
        divided = f"{data['actions']} training actions ({images} images of {games} games, no game in two folds)"
        if "people" in data:
            divided = f"{data['people']} people ({images} images, nobody in two folds)"
        lines = [
            f"Chosen by cross-validation on {self.data}: trial {row.number} of {trials}, {described(row.values)}.",
            "",
            f"  kreid-train {self.out / BEST} --data {self.data} --out RUN",
            "",
            f"{_summary(row.scores, self.objective)} over {len(row.scores)} folds of {divided}.",
        ]
        lines += [f"Found by: {command}"] if command else []
        return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _validated(config: Config) -> Config:
    """The configuration, validating after its last epoch at least: that is the score."""
    every = config.train.validate_every or config.train.epochs
    return config.model_copy(update={"train": config.train.model_copy(update={"validate_every": every})})


def _missing_weights(config: Config) -> str | None:
    """What to say of the weight files that a configuration names; None where all are there."""
    for name in ("appearance", "part"):
        stream = getattr(config.model, name, None)
        if stream and stream.weights not in (None, "imagenet") and not Path(stream.weights).is_file():
            return f"model.{name}.weights: {stream.weights}: no such file"
    return None


def _summary(scores: Sequence[float], objective: str) -> str:
    deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    each = " ".join(f"{100 * score:.1f}" for score in scores)
    return f"{objective} {100 * float(np.mean(scores)):.1f} ± {100 * deviation:.1f} % ({each})"


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text.encode())
