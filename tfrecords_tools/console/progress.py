"""How a command shows how far it is."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Speed(ProgressColumn):
    """Images, or whatever is counted, a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the column of one bar."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self.unit}/s")


def bars(shown: bool = True, unit: str = "images") -> Progress:
    """Make progress bars on standard error: what, how many are done, how many a second, time left.

    Args:
        shown: false for bars that are kept but not displayed.
        unit: what is counted.

    Example:
        >>> with bars() as shown:
        ...     task = shown.add_task("train", total=100)
    """
    return Progress(
        TextColumn("{task.description:9}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
