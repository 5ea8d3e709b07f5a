"""What a person watches while a network trains."""

from typing import TYPE_CHECKING

from rich.progress import TaskID

from tfrecords_tools.console.lines import say
from tfrecords_tools.console.progress import Bars, duration

if TYPE_CHECKING:
    from kreid.training.state import State


class Progress:
    """Shows loss, mined triplets, images/s and time left: a bar on a terminal, some lines elsewhere.

    Args:
        epochs: how many the run has.
        quiet: show nothing.
        bars: where to; standard error by default.
    """

    def __init__(self, epochs: int, quiet: bool = False, bars: Bars | None = None) -> None:
        self.epochs, self.quiet = epochs, quiet
        self._bars = bars or Bars(shown=not quiet, stays=False)
        self._task: TaskID | None = None
        self._timed: tuple[float, int] | None = None

    def start(self, state: "State", steps: int, batch_size: int) -> None:
        """An epoch of so many steps begins at `state`."""
        self._steps, self._batch_size = steps, batch_size
        self._task = self._bars.add(f"epoch {state.epoch + 1}/{self.epochs} step", steps, state.step)

    def update(self, state: "State") -> None:
        """A step was done."""
        now = self._bars.clock()
        if self._timed is None or self._task is None:  # the first step compiles: it says nothing about speed
            self._timed = (now, state.images)
            return
        speed = (state.images - self._timed[1]) / max(now - self._timed[0], 1e-9)
        left = (self.epochs - state.epoch) * self._steps - state.step  # of the whole run
        pace = f"{speed:.1f} images/s  {duration(left * self._batch_size / max(speed, 1e-9))} left"
        means = {name: value / state.step for name, value in state.sums.items()}
        self._bars.update(self._task, state.step, describe(means), pace)

    def epoch_done(self, state: "State", logs: dict[str, float]) -> None:
        """An epoch is over: one line that stays."""
        if self._task is not None:  # a resumed run may have had an epoch to finish, and none of its steps
            self._bars.remove(self._task)
        if not self.quiet:
            say(f"epoch {state.epoch}/{self.epochs} done  {describe(logs)}")
        self._task = self._timed = None

    def close(self) -> None:
        """The run is over."""
        self._bars.close()


def describe(logs: dict[str, float]) -> str:
    """Loss, mined triplets and validation in a few words."""
    parts = [f"loss {logs['loss']:.4f}"]
    if "active" in logs:
        parts.append(f"active {logs['active']:.0%}  d+ {logs['positive']:.3f} d- {logs['negative']:.3f}")
    if "valid_mAP" in logs:
        parts.append(f"valid mAP {100 * logs['valid_mAP']:.1f} rank-1 {100 * logs['valid_rank1']:.1f}")
    return "  ".join(parts)
