"""What became of a try, and the table of all."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.torture.children import Ended
from tfrecords_tools.tables import markdown

RIGHT, NOTICED, SILENT, TRACEBACK, LOST, HANG = "right", "noticed", "silent", "traceback", "lost", "hang"
FAULTS = (SILENT, TRACEBACK, LOST, HANG)
COLUMNS = {NOTICED: "noticed", SILENT: "silent", TRACEBACK: "tracebacks", LOST: "lost", HANG: "hangs"}


@dataclass(frozen=True)
class Outcome:
    """What became of one try; `note` says what is wrong, for a fault."""

    what: str
    note: str = ""


class Damaged(Exception):
    """Something is not whole."""


def outcome_of(ended: Ended, right: bool) -> Outcome:
    """The outcome of a command that met a fault; `right`: whether its result is the undamaged one's."""
    if broken := fault_of(ended):
        return broken
    if ended.code:
        return Outcome(NOTICED, ended.line)
    return Outcome(RIGHT) if right else Outcome(SILENT, "exit code 0 with another result")


def fault_of(ended: Ended, sent: int | None = None) -> Outcome | None:
    """How a command ended if no command may end so; `sent`: the signal that it was sent."""
    if ended.hung:
        return Outcome(HANG, f"after {ended.seconds:.0f} s: {ended.err[-300:]}")
    if "Traceback (most recent call last)" in ended.err + ended.out:
        return Outcome(TRACEBACK, ended.err[-1500:])
    if ended.code < 0 and ended.code != -(sent or 0):
        return Outcome(TRACEBACK, f"ended by signal {-ended.code}: {ended.err[-500:]}")
    if ended.code > 0 and ended.err.count("error: ") < 1:
        return Outcome(TRACEBACK, f"exit code {ended.code} without an error in a line: {ended.err[-500:]}")
    return None


def count(rows: dict[str, list[Outcome]]) -> dict[str, dict[str, int]]:
    """How many tries of each row, and how many had each outcome."""
    return {
        row: {
            "tries": len(outcomes),
            **{name: sum(one.what == what for one in outcomes) for what, name in COLUMNS.items()},
        }
        for row, outcomes in rows.items()
    }


def table(rows: dict[str, list[Outcome]]) -> str:
    """The table, in Markdown, with a last line of sums."""
    counts = count(rows)
    names = ["tries", *COLUMNS.values()]
    total = {name: sum(line[name] for line in counts.values()) for name in names}
    lines = [[row, *(str(line[name]) for name in names)] for row, line in {**counts, "all": total}.items()]
    return markdown([["kind", *names], *lines], right=range(1, 1 + len(names)))


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes of one try."""
    order = (HANG, TRACEBACK, LOST, SILENT, NOTICED, RIGHT)
    return min(outcomes, key=lambda one: order.index(one.what))
