"""The result of a search: a table of its trials, and the best configuration."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfrecords_tools import tables

_ORDER = ("done", "pruned", "running", "failed")


@dataclass(frozen=True)
class Row:
    """One trial.

    Args:
        number: from 0, in the order of their beginning.
        state: `done`, `pruned`, `running` or `failed`.
        values: of the keys that are searched.
        scores: of the folds done, fractions.
        seconds: that the folds took.
        reason: why it failed.
    """

    number: int
    state: str
    values: dict[str, Any]
    scores: Sequence[float]
    seconds: float = 0.0
    reason: str = ""

    @property
    def mean(self) -> float:
        """Mean over the folds done; below every score where there is none."""
        return float(np.mean(self.scores)) if self.scores else -1.0

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the folds done (of a sample, so over n - 1); None where there are not two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None

    @property
    def figures(self) -> list[float | None]:
        """Mean, standard deviation and the score of each fold done; none before the first."""
        return [self.mean, self.deviation, *self.scores] if self.scores else []


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Complete trials first, best first; equal ones by number."""
    return sorted(rows, key=lambda row: (_ORDER.index(row.state), -row.mean, row.number))


def best(rows: Sequence[Row]) -> Row | None:
    """The complete trial of the highest mean; None where none is complete."""
    first = ordered(rows)[:1]
    return first[0] if first and first[0].state == "done" else None


def markdown(rows: Sequence[Row], folds: int, objective: str) -> str:
    """The trials, best first, as a Markdown table that lines up; scores in percent."""
    keys = _keys(rows)
    head = ["trial", f"{objective} %", "sd", *(f"fold {number + 1}" for number in range(folds)), *_short(keys), "state"]
    lines = [head, *(_cells(row, folds, keys) for row in ordered(rows))]
    return tables.markdown(lines, right=range(3 + folds))


def comma_separated(rows: Sequence[Row], folds: int, objective: str) -> str:
    """The trials, best first, as CSV; scores as fractions, keys in full."""
    keys = _keys(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["trial", objective, "sd", *(f"fold_{number + 1}" for number in range(folds))]
    writer.writerow([*head, *keys, "state", "seconds", "reason"])
    for row in ordered(rows):
        figures = _filled(["" if figure is None else figure for figure in row.figures], 2 + folds)
        values = [_text(row.values[key]) if key in row.values else "" for key in keys]
        writer.writerow([row.number, *figures, *values, row.state, round(row.seconds, 1), row.reason])
    return file.getvalue()


def failures(rows: Sequence[Row]) -> list[str]:
    """Why trials failed, a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.state == "failed":
            reasons.setdefault(row.reason, []).append(str(row.number))
    return [f"trial {', '.join(numbers)} failed: {reason}" for reason, numbers in reasons.items()]


def described(values: dict[str, Any]) -> str:
    """The values of a trial in one line: `heads.layers [conv4, conv5], margin 0.31`."""
    return ", ".join(
        f"{short} {_text(values[key], 4)}" for short, key in zip(_short(list(values)), values, strict=True)
    )


def _cells(row: Row, folds: int, keys: list[str]) -> list[str]:
    figures = ["" if figure is None else f"{100 * figure:.1f}" for figure in row.figures]
    values = [_text(row.values[key], 4) if key in row.values else "" for key in keys]
    return [str(row.number), *_filled(figures, 2 + folds), *values, row.state]


def _filled(figures: list, length: int) -> list:
    return [*figures, *[""] * (length - len(figures))]


def _keys(rows: Sequence[Row]) -> list[str]:
    """The keys that any trial has, in the order of the space."""
    return list(dict.fromkeys(key for row in rows for key in row.values))


def _short(keys: Sequence[str]) -> list[str]:
    """Each key's last words, as few as tell it from the others."""
    ends = {key: [".".join(key.split(".")[-count:]) for count in range(1, key.count(".") + 2)] for key in keys}
    taken = [end for several in ends.values() for end in several]
    return [next((end for end in several if taken.count(end) == 1), key) for key, several in ends.items()]


def _text(value: Any, digits: int | None = None) -> str:
    """A value as a person would write it in YAML; floats to so many digits."""
    if isinstance(value, float) and digits:
        return f"{value:.{digits}g}"
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")
