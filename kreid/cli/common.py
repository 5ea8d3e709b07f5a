"""What several commands share."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kreid.errors import ConfigError
from tfrecords_tools.console.command import note, parse_path
from tfrecords_tools.console.tensorflow import load_tensorflow as load_tensorflow

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
        self._once = once
        self._said: set[str] = set()

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


def check_run(run: Path) -> None:
    """Complain at once about a folder that is no run."""
    if not (run / "config.yaml").is_file():
        raise ConfigError(f"{run}: not a run folder, it has no config.yaml; give the folder that kreid-train wrote")
