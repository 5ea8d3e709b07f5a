"""What a person watches while a search goes on: a line a fold and, on a terminal, the epochs of the one at work."""

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import TaskID

from tfrecords_tools.console.lines import say
from tfrecords_tools.console.progress import Bars, duration

if TYPE_CHECKING:
    from kreid.tuning.study import Trial


class Progress:
    """Shows trials, folds, scores and how long the search will take yet.

    Args:
        quiet: show nothing.
        bars: where the epochs of a fold go; standard error by default.
    """

    def __init__(self, quiet: bool = False, bars: Bars | None = None) -> None:
        self.quiet = quiet
        self._bars = bars or Bars("", shown=not quiet, stays=False, every=None)
        self._task: TaskID | None = None
        self._seconds: list[float] = []

    def say(self, line: str) -> None:
        """Print a line that stays."""
        if not self.quiet:
            say(line)

    def epoch_done(self, trial: "Trial", fold: int, epoch: int, epochs: int, score: float) -> None:
        """Show how far a fold, counted from 0, is and what it scores so far."""
        if self._task is None:
            self._task = self._bars.add(f"trial {trial.number} fold {fold + 1} epoch", epochs)
        self._bars.update(self._task, epoch, f"{100 * score:.1f} %")

    def fold_done(self, trial: "Trial", folds: int, objective: str, done: str, left: float) -> None:
        """Say a fold's score, how far the search is, and how long so many folds take at this process's mean pace."""
        self.end_fold()
        self._seconds.append(trial.seconds[-1])
        rest = duration(float(np.mean(self._seconds)) * max(left, 0))
        place = f"trial {trial.number} fold {len(trial.scores)}/{folds}"
        self.say(f"{place}  {objective} {100 * trial.scores[-1]:.1f}  {done}, {rest} left")

    def end_fold(self) -> None:
        """Show no epochs any more, however the fold ended."""
        if self._task is not None:
            self._bars.remove(self._task)
            self._task = None

    def close(self) -> None:
        """The search is over."""
        self._bars.close()
