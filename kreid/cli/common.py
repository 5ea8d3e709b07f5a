"""What several commands share."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kreid.errors import ConfigError
from tfrecords_tools.console import tensorflow as console
from tfrecords_tools.console.command import note, parse_path, parse_place, warn

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that kreid-train wrote.", parser=parse_path)]
ConfigFile = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG", help="A YAML file, or one that comes with kreid, by name: two_stream.", parser=parse_path
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in train.epochs=5.")
]
DataFolder = Annotated[Path, typer.Option(metavar="DIR", help="What kreid-convert wrote.", parser=parse_place)]


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


@contextmanager
def logged(once: bool = False) -> Iterator[None]:
    """Show the library's log while the block runs, a line a message; with `once`, no message again."""
    logger, handler = logging.getLogger("kreid"), _ToStderr(once)
    before = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def load_tensorflow() -> None:
    """Import TensorFlow, see `tfrecords_tools.console.tensorflow`, and Keras, whose settings may come from elsewhere.

    Raises:
        ConfigError: where Keras cannot be imported as KERAS_BACKEND and keras.json say, or would compute otherwise.
    """
    where = "Keras's settings (KERAS_BACKEND, keras.json in KERAS_HOME or ~/.keras)"
    try:
        console.load_tensorflow()  # which reads the latter too
        import keras
    except Exception as error:  # they check by assert, and import whatever backend is named
        raise ConfigError(
            f"TensorFlow and Keras cannot be imported ({type(error).__name__} {error}); look at {where}"
        ) from error
    for name, value, accepted in (
        ("floatx", keras.config.floatx(), ("float32", "float64")),
        ("image_data_format", keras.config.image_data_format(), ("channels_last",)),
    ):
        if value not in accepted:
            raise ConfigError(f"{where}: {name}: expected {' or '.join(accepted)}, received {value}")


def check_run(run: Path) -> None:
    """Complain at once about a folder that is no run."""
    if not (run / "config.yaml").is_file():
        raise ConfigError(f"{run}: not a run folder, it has no config.yaml; give the folder that kreid-train wrote")


def run_network(run: Path) -> str | None:
    """The digest of a run's network, see `kreid.runs.folder.network_digest`; None where it has no weights."""
    from kreid.runs.folder import WEIGHTS, network_digest

    return network_digest(run) if (run / WEIGHTS).is_file() else None


def warn_of_another_network(made: Mapping[str, str | bool], network: str | None, run: Path, name: str) -> None:
    """Say that a file of embeddings is of another network than a run has now; its vectors agree with each other."""
    if network and made.get("network", network) != network:
        warn(f"{name}: embeddings of another network than {run} has now")
