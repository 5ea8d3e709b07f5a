"""How far a command is: bars on a terminal, now and then a line elsewhere. Imports rich."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from tfrecords_tools.console.lines import printable, printed_by, say

EVERY = 10.0  # seconds between two lines where there is no terminal
_REFRESH = 0.1  # seconds between two drawings of the bars
_PERIOD = 3600.0  # seconds over which speed is taken: one epoch of a search may be many minutes


class Bars:
    """What is under way and how far it is, on standard error.

    On a terminal a bar each; elsewhere a line every ten seconds, and one at the end of what took that long: nothing
    that rewrites itself, no control characters. Whatever is said meanwhile (`say`, `note`, `warn`, logs) stands above.
    Nothing is drawn before the first `add`, and nothing by a thread: `update` draws, where enough time has passed.

    Args:
        unit: what is counted, for the speed; "" where it says nothing.
        shown: false for nothing at all.
        stays: leave a bar, or its last line, when it is done.
        every: seconds between lines where there is no terminal; None for none.
        console: by default standard error's.
        clock: seconds from anywhere.

    Example:
        >>> with Bars() as bars:
        ...     task = bars.add("train", total=100)
        ...     for done in range(1, 101):
        ...         bars.update(task, done)
    """

    def __init__(
        self,
        unit: str = "images",
        *,
        shown: bool = True,
        stays: bool = True,
        every: float | None = EVERY,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or _standard_error()
        self._shown, self._stays, self._every, self.clock = shown, stays, every, clock
        self._live = shown and self._console.is_terminal
        self._pace = _Pace(unit)
        self._table = _Table(
            TextColumn("{task.description:9}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            self._pace,
            console=self._console,
            auto_refresh=False,
            speed_estimate_period=_PERIOD,
            transient=not stays,
            redirect_stdout=False,  # it would reach standard error
            get_time=clock,
        )
        self._started = ExitStack()
        self._begun = False
        self._drawn = 0.0
        self._told: float | None = None

    def add(self, what: str, total: int, done: int = 0) -> TaskID:
        """Begin to show how much of `total` is done."""
        task = self._table.add_task(what, total=total, completed=done, figures="", pace=None, new=True, told=False)
        if self._live and not self._begun:
            self._begun = True
            self._started.enter_context(printed_by(self._print_above))
            self._started.callback(self._draw, self._table.stop)
            self._draw(self._table.start)
        elif self._live:
            self._draw(self._table.refresh)
        return task

    def update(self, task: TaskID, done: int, figures: str = "", pace: str | None = None) -> None:
        """Show that so much is done.

        Args:
            task: what `add` gave.
            done: how much, of its total.
            figures: a line of what else is known; under the bar on a terminal.
            pace: in place of speed and time left.
        """
        self._table.update(task, completed=done, figures=figures, pace=pace)
        self._show(task)

    def advance(self, task: TaskID) -> None:
        """Show that one more is done."""
        self._table.advance(task)
        self._show(task)

    def remove(self, task: TaskID) -> None:
        """Show it no longer."""
        self._table.remove_task(task)
        if self._live:
            self._draw(self._table.refresh)

    def close(self) -> None:
        """Leave the terminal to others; do nothing the second time."""
        self._started.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _show(self, number: TaskID) -> None:
        task, now = next(task for task in self._table.tasks if task.id == number), self.clock()
        if self._live:
            if task.fields["new"] or task.finished or now - self._drawn >= _REFRESH:
                task.fields["new"] = False
                self._draw(self._table.refresh)
        elif self._shown and self._every is not None:
            self._tell(task, now, self._every)

    def _tell(self, task: Task, now: float, every: float) -> None:
        if self._told is None:
            self._told = now  # what has only begun says little
        wanted = self._stays and task.fields["told"] if task.finished else now - self._told >= every
        if not wanted:
            return
        self._told, task.fields["told"] = now, True
        how_far = f"{task.description} {task.completed:,}/{task.total:,}"
        say("  ".join(filter(None, (how_far, task.fields["figures"], self._pace.words(task)))))

    def _draw(self, act: Callable[[], None]) -> None:
        """Start, draw or end the bars; give up where the terminal has gone."""
        self._drawn = self.clock()
        try:
            act()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._console.quiet = True

    def _print_above(self, text: str) -> None:
        line = Text(printable(text, self._console.file))  # a text is no markup
        self._draw(lambda: self._console.print(line, soft_wrap=True))


class _Pace(ProgressColumn):
    """How many a second, and how long it will take yet, or took."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the column of one bar."""
        return Text(self.words(task), no_wrap=True)

    def words(self, task: Task) -> str:
        """Return the same as plain text."""
        if task.fields["pace"] is not None:
            return task.fields["pace"]
        speed, words = task.finished_speed or task.speed, []
        if speed and self.unit:
            words.append(f"{speed:,.0f} {self.unit}/s" if speed >= 100 else f"{speed:.1f} {self.unit}/s")
        if task.finished_time is None and task.time_remaining is not None:
            words.append(f"{duration(task.time_remaining)} left")
        elif task.finished_time is not None and task.finished_time >= 1:
            words.append(f"in {duration(task.finished_time)}")
        return "  ".join(words)


class _Table(Progress):
    """Rich's bars, with a line of figures under each that has some."""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield what is drawn."""
        yield self.make_tasks_table(self.tasks)
        for figures in (task.fields["figures"] for task in self.tasks):
            if figures:
                yield Text(f"  {figures}", no_wrap=True, overflow="ellipsis")


@contextmanager
def counted(what: str, unit: str = "images") -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many are done of how many; when it begins to count anew, so does another bar.

    Args:
        what: stands before the numbers.
        unit: what is counted.

    Example:
        >>> with counted("embedding") as progress:
        ...     embeddings = kreid.embed(model, "records/test", progress=progress)
    """
    task, before = None, 0

    def show(done: int, total: int) -> None:
        nonlocal task, before
        if task is None or done <= before:
            task = bars.add(what, total)
        before = done
        bars.update(task, done)

    with Bars(unit) as bars:
        yield show


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as a clock shows them.

    Example:
        >>> duration(3725.4)
        '1:02:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _standard_error() -> Console:
    """The console of standard error; a terminal only where bars can move, whatever FORCE_COLOR says."""
    stream, dumb = sys.stderr, os.environ.get("TERM") in ("dumb", "unknown")
    moves = stream is not None and not stream.closed and stream.isatty() and not dumb
    return Console(
        stderr=True, force_terminal=moves, force_interactive=moves, force_jupyter=False, markup=False, highlight=False
    )
