"""What several commands share."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kreid.errors import ConfigError
from tfrecords_tools.console import UsageError, note, parse_path
from tfrecords_tools.quiet import load_tensorflow as load_tensorflow

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that kreid-train wrote.", parser=parse_path)]
ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/two_stream.yaml.", parser=parse_path)
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in train.epochs=5.")
]
DataFolder = Annotated[Path, typer.Option(metavar="DIR", help="What kreid-convert wrote.", parser=parse_path)]


class Metric(StrEnum):
    """Distances between embeddings."""

    euclidean = "euclidean"
    cosine = "cosine"


class _ToStderr(logging.Handler):
    def __init__(self, once: bool) -> None:
        super().__init__()
        self._once, self._said = once, set()

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        message = prefix + record.getMessage()
        if not (self._once and message in self._said):
            note(message)
        self._said.add(message)


def log_to_stderr(once: bool = False) -> None:
    """Show the library's log, a line a message; with `once`, no message again."""
    logger = logging.getLogger("kreid")
    logger.setLevel(logging.INFO)
    logger.addHandler(_ToStderr(once))
    logger.propagate = False


@contextmanager
def configurations() -> Iterator[None]:
    """Turn a ConfigError inside the block, which a library raises late, into a UsageError: exit code 2."""
    try:
        yield
    except ConfigError as error:
        raise UsageError(str(error)) from None


def check_run(run: Path) -> None:
    """Complain at once about a folder that is no run."""
    if not (run / "config.yaml").is_file():
        raise UsageError(f"{run}: not a run folder, it has no config.yaml; give the folder that kreid-train wrote")


def check_data(data: Path) -> None:
    """Complain at once about a folder of records that is not there."""
    if not data.is_dir():
        raise UsageError(f"--data {data}: no such folder; give the one that kreid-convert wrote")


def check_split(data: Path, split: str, scored: bool = True) -> Path:
    """Return the folder of a split's records; complain at once where it is not there, or holds no queries.

    Args:
        data: what kreid-convert wrote.
        split: its name.
        scored: whether labels are needed, which the challenge split withholds; decides what the advice names.
    """
    choices = "valid or test" if scored else "valid, test or challenge"
    if split == "train":
        raise UsageError(f"--split train: the training set has no queries; choose {choices}")
    check_data(data)
    if not split or Path(split).name != split:
        raise UsageError(f"--split {split!r}: expected {choices}")
    folder = data if data.name == split and (data / "index.npz").exists() else data / split
    if not folder.is_dir():
        found = sorted(path.parent.name for path in data.glob("*/index.npz"))
        raise UsageError(f"--data {data}: no split {split!r}; found {', '.join(found) or 'no records'}")
    return folder


def check_labels(records: Path) -> None:
    """Complain at once, not after hours of a network's work, about records whose labels are withheld or wrong."""
    import numpy as np

    from kreid.ranking_embeddings import check_labelled
    from kreid.ranking_truth import read_groundtruth

    images = read_groundtruth(records)
    check_labelled(images, np.arange(len(images)))


def image_files(paths: list[Path]) -> list[Path]:
    """The image files among `paths`, those of folders sorted by name."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
            if not found:
                raise ValueError(f"{path}: no PNG or JPEG file in this folder")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise ValueError(f"{path}: no such file or folder")
    return files


class Counter:
    """Rewrites `what done/total` on a terminal.

    Args:
        what: opens the line.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if sys.stderr.isatty():
            print(f"\r{self.what} {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
