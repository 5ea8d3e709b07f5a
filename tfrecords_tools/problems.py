"""The list of bad images that a conversion skipped, `problems.csv` beside the records. No TensorFlow."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tfrecords_tools.errors import one_line

PROBLEMS_NAME = "problems.csv"


class Problem(NamedTuple):
    """A bad image: where it came from, the subset it is missing from, and what is wrong with it."""

    source: str
    subset: str
    problem: str


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write the list, UTF-8, a line each."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Problem._fields)
        writer.writerows((source, subset, one_line(problem, 400)) for source, subset, problem in problems)
