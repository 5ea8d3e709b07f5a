"""The lines a person watches while a network trains."""

import contextlib
import shutil
import sys
import time
from typing import Any

_EVERY = 10.0  # seconds between lines where there is no terminal to rewrite one on


class Progress:
    """Prints loss, mined triplets, images/s and time left: one line rewritten on a terminal, some lines elsewhere.

    Args:
        epochs: how many the run has.
        quiet: print nothing.
    """

    def __init__(self, epochs: int, quiet: bool = False) -> None:
        self.epochs, self.quiet = epochs, quiet
        self._live = sys.stderr.isatty()
        self._printed = 0.0
        self._timed = None

    def start(self, state: Any, steps: int, batch_size: int) -> None:
        """An epoch of so many steps begins at `state`."""
        self._steps, self._batch_size = steps, batch_size

    def update(self, state: Any) -> None:
        """A step was done."""
        now = time.monotonic()
        if self._timed is None:  # the first step compiles: it says nothing about speed
            self._timed = (now, state.images)
            return
        pause = 0.2 if self._live else _EVERY
        if self.quiet or now - self._printed < pause:
            return
        self._printed = now
        speed = (state.images - self._timed[1]) / max(now - self._timed[0], 1e-9)
        left = (self.epochs - state.epoch) * self._steps - state.step
        line = f"epoch {state.epoch + 1}/{self.epochs} step {state.step}/{self._steps}  "
        line += describe({name: value / state.step for name, value in state.sums.items()})
        line += f"  {speed:.1f} images/s  {duration(left * self._batch_size / max(speed, 1e-9))} left"
        self._print(line, rewrite=True)

    def epoch_done(self, state: Any, logs: dict[str, float]) -> None:
        """An epoch is over: one line that stays."""
        if not self.quiet:
            self._print(f"epoch {state.epoch}/{self.epochs} done  {describe(logs)}", rewrite=False)
        self._timed = None

    def close(self) -> None:
        """The run is over."""
        if self._live and not self.quiet:
            print(file=sys.stderr)

    def _print(self, line: str, rewrite: bool) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            line = "\r" + (line[:width] if rewrite else line).ljust(width)
        with contextlib.suppress(OSError):  # nobody reads it any more, which is no reason to stop training
            print(line, end="" if self._live and rewrite else "\n", file=sys.stderr, flush=True)


def describe(logs: dict[str, float]) -> str:
    """Loss, mined triplets and validation in a few words."""
    parts = [f"loss {logs['loss']:.4f}"]
    if "active" in logs:
        parts.append(f"active {logs['active']:.0%}  d+ {logs['positive']:.3f} d- {logs['negative']:.3f}")
    if "valid_mAP" in logs:
        parts.append(f"valid mAP {100 * logs['valid_mAP']:.1f} rank-1 {100 * logs['valid_rank1']:.1f}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as a clock shows them."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
