"""What a run writes for people to look at: log.csv, TensorBoard's event files, summary.json."""

import contextlib
import csv
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kreid import runs
from kreid.config.sections import Config
from kreid.data.file_errors import as_os_error
from kreid.files.atomic import atomic_path, write_json
from kreid.training.state import Logs, State


class RunLog:
    """Writes figures, pictures and histograms of a run.

    Args:
        out: the run folder.
        config: the resolved configuration.
        active: write at all; false on all machines but one.
    """

    def __init__(self, out: Path, config: Config, active: bool = True) -> None:
        self.out, self.config, self.active = out, config, active
        folder = str(out / runs.TENSORBOARD)
        self._writer = tf.summary.create_file_writer(folder) if active else tf.summary.create_noop_writer()

    def step(self, number: int, logs: Logs) -> None:
        """Figures of the batch `number`, counted from 1, where `train.log_steps` asks for them."""
        every = self.config.train.log_steps
        if every and number % every == 0:
            self._scalars({f"batch/{name}": value for name, value in logs.items()}, number)

    def epoch(self, row: Logs, logs: Logs, model: keras.Model, picture: np.ndarray | None) -> None:
        """An epoch is over.

        Args:
            row: its line of log.csv; `epoch` counts from 1.
            logs: more figures, for TensorBoard only: those that another run would not repeat.
            model: for histograms of its weights, where `train.histograms` asks for them.
            picture: best gallery images of some queries, `(height, width, 3)` uint8.
        """
        if not self.active:
            return
        append_row(self.out / runs.LOG, row)
        number = int(row["epoch"])
        self._scalars({**row, **logs}, number)
        with self._events(number):
            if picture is not None:
                tf.summary.image("ranked gallery", picture[None])
            if self.config.train.histograms:
                for variable in model.trainable_variables:
                    tf.summary.histogram(variable.path, np.asarray(variable))
            self._writer.flush()

    def close(self) -> None:
        """Write what TensorBoard has not been given yet, if that still can be done."""
        with contextlib.suppress(tf.errors.OpError):
            self._writer.close()

    def summary(self, state: State, devices: int, model: keras.Model) -> None:
        """Write summary.json, the whole run in some figures, with versions and the configuration.

        Args:
            state: at the end of the run.
            devices: how many took part.
            model: whose parameters are counted.
        """
        if not self.active:
            return
        best = {} if state.best_epoch is None else {"valid_mAP": state.best, "best_epoch": state.best_epoch}
        summary = {
            "epochs": state.epoch,
            "images_seen": state.images,
            **best,
            "seconds": round(state.seconds, 1),
            "images_per_second": round(state.images / state.busy, 1),
            "devices": devices,
            "training_set": state.data,
            "parameters": int(model.count_params()),
            "versions": versions(),
            "config": json.loads(self.config.model_dump_json()),
        }
        write_json(self.out / runs.SUMMARY, summary)

    def _scalars(self, values: Logs, step: int) -> None:
        with self._events(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    @contextlib.contextmanager
    def _events(self, step: int) -> Iterator[None]:
        """Write events of a step; where that fails, as any other file."""
        try:
            with self._writer.as_default(step=step):
                yield
        except tf.errors.OpError as error:
            raise as_os_error(error, self.out / runs.TENSORBOARD) from None


def append_row(path: Path, row: Logs) -> None:
    """Add a row to a CSV file; columns that come later (validation) widen the whole file."""
    before = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
    kept = [old for old in before if int(old["epoch"]) < row["epoch"]]  # a resumed run writes its epochs again
    rows: list[Mapping[str, str | float]] = [*kept, row]
    columns = list(dict.fromkeys(name for line in rows for name in line))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def versions() -> dict[str, str]:
    """Of what decides a run's figures."""
    packages = {name: importlib.metadata.version(name) for name in ("kreid", "tensorflow", "keras", "numpy")}
    return {"python": platform.python_version(), **packages}
