"""Trainings in a process of their own, one after another, so that what they leave in memory ends with it.

TensorFlow never frees a compiled training step: the gradient of the `all_reduce` that Keras's optimisers call is
registered for good, and holds the step's graph, the weights and the optimiser's state (measured: 115 of 120 MB stay). A
search of some hundred trainings would fill any GPU. Besides, what the system ends for its memory's sake is the training
and not the search, which can say so.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from kreid.config.sections import Config
from kreid.errors import ConfigError, DivergedError

log = logging.getLogger("kreid")

# What a training may raise and how it reaches the caller: as the first of these that it is.
_RAISED = {kind.__name__: kind for kind in (ConfigError, DivergedError, ValueError, OSError)}


class _Child(NamedTuple):
    """The process that trains, and the way to it."""

    process: SpawnProcess
    connection: Connection


class TrainingProcess:
    """A process that trains; it is started by the first training and ended with the block.

    Scripts that use it need the guard `if __name__ == "__main__":`, as the process imports them again.

    Example:
        >>> with TrainingProcess() as process:
        ...     process.train(config, "records", "run", resume=False, held_out=[0, 1], on_validation=print)
    """

    def __init__(self) -> None:
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child:
            self._child.process.kill()  # its last state to resume from is whole, whatever it is doing
            self._child.process.join()
            self._child.connection.close()

    def train(
        self,
        config: Config,
        data: str | Path,
        run: Path,
        resume: bool,
        held_out: Sequence[int] | np.ndarray,
        on_validation: Callable[[int, dict[str, float]], None],
    ) -> None:
        """Do what `kreid.train` does, quietly.

        Raises:
            ConfigError: where the configuration cannot be carried out, or needs more memory than the device has.
            DivergedError: where the loss or a gradient is not finite.
            ValueError: what else training raised, or that the process was ended.
            OSError: what training raised.
            RuntimeError: for anything else; the traceback was printed.
        """
        child = self._child or self._start()
        _reach(child.process, child.connection.send, (config, data, run, resume, held_out))
        while True:
            kind, *content = _reach(child.process, child.connection.recv)
            if kind == "done":
                return
            if kind == "log":
                log.log(*content)
            elif kind == "validated":
                on_validation(*content)
            else:
                raise _RAISED[kind](*content)

    def _start(self) -> _Child:
        context = multiprocessing.get_context("spawn")
        connection, other = context.Pipe()
        process = context.Process(target=_work, args=(other,), daemon=True)
        process.start()
        other.close()  # the process's alone: it closes when the process ends
        self._child = _Child(process, connection)
        return self._child


def _reach(process: SpawnProcess, use: Callable[..., Any], *content: object) -> Any:
    """Use the connection; where there is nobody at its other end any more, say why."""
    try:
        return use(*content)
    except (EOFError, ConnectionResetError, BrokenPipeError):
        process.join()
        code = process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            raise ValueError(f"the training process was ended by {name}; is the memory or the disk full?") from None
        raise RuntimeError(f"the training process ended with code {code}; it has printed why") from None


class _Forward(logging.Handler):
    """Sends what is logged to the other side of a connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self._connection.send(("log", record.levelno, record.getMessage()))


def _work(connection: Connection) -> None:
    """Carry out trainings as they come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the other side decides
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_Forward(connection))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_carry_out(connection, *job))


def _carry_out(
    connection: Connection,
    config: Config,
    data: str | Path,
    run: Path,
    resume: bool,
    held_out: Sequence[int] | np.ndarray,
) -> tuple[str, ...]:
    from tfrecords_tools.console.tensorflow import load_tensorflow

    load_tensorflow()
    import keras
    import tensorflow as tf

    from kreid.training.run import train

    def validated(epoch: int, logs: dict[str, float]) -> None:
        connection.send(("validated", epoch, {name: float(value) for name, value in logs.items()}))

    tf.get_logger().setLevel(logging.ERROR)  # it warns of functions compiled anew, one a training
    keras.utils.clear_session()
    try:
        train(config, data, run, resume=resume, quiet=True, on_validation=validated, held_out=held_out)
    except tf.errors.ResourceExhaustedError as error:
        return ConfigError.__name__, f"not enough memory: {error.message}"
    except tuple(_RAISED.values()) as error:
        return next(name for name, kind in _RAISED.items() if isinstance(error, kind)), str(error)
    return ("done",)


def _end_with_parent(parent: BaseProcess) -> None:
    """End this process when the one that started it is gone: another may go on with its trial."""
    parent.join()
    os._exit(1)
