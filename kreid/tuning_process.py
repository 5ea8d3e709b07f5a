"""Trainings in a process of their own, one after another, so that what they leave in memory ends with it.

TensorFlow never frees a compiled training step: the gradient of the `all_reduce` that Keras's optimisers call is
registered for good, and holds the step's graph, the weights and the optimiser's state (measured: 115 of 120 MB stay). A
search of some hundred trainings would fill any GPU. Besides, a training that the system ends, for its memory's sake for
example, does not end the search.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from kreid.sections import Config

log = logging.getLogger("kreid")


class TrainingProcess:
    """A process that trains; it is started by the first training and ended with the block.

    Scripts that use it need the guard `if __name__ == "__main__":`, as the process imports them again.

    Example:
        >>> with TrainingProcess() as process:
        ...     process.train(config, "records", "run", resume=False, held_out=[0, 1], on_validation=print)
    """

    def __init__(self) -> None:
        self._process: multiprocessing.Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process:
            self._process.kill()  # its last state to resume from is whole, whatever it is doing
            self._process.join()
            self._connection.close()

    def train(
        self,
        config: Config,
        data: str | Path,
        run: Path,
        resume: bool,
        held_out: Sequence[int],
        on_validation: Callable[[int, dict[str, float]], None],
    ) -> None:
        """Do what `kreid.train` does, quietly.

        Raises:
            ValueError: what training raised, that memory does not suffice, or that the process was ended.
            OSError: what training raised.
            RuntimeError: for anything else; the traceback was printed.
        """
        if not self._process:
            self._start()
        self._reach(self._connection.send, (config, data, run, resume, held_out))
        while True:
            kind, *content = self._reach(self._connection.recv)
            if kind == "done":
                return
            if kind == "log":
                log.log(*content)
            elif kind == "validated":
                on_validation(*content)
            else:
                raise {"refused": ValueError, "failed": OSError}[kind](*content)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        other.close()  # the process's alone: it closes when the process ends

    def _reach(self, use: Callable, *content: Any) -> Any:
        """Use the connection; where there is nobody at its other end any more, say why."""
        try:
            return use(*content)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._process.join()
            code = self._process.exitcode
            if code < 0:
                name = signal.Signals(-code).name
                raise ValueError(f"the training process was ended by {name}; did it need too much memory?") from None
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_Forward(connection))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_carry_out(connection, *job))


def _carry_out(connection: Connection, config: Config, data: Any, run: Path, resume: bool, held_out: Any) -> tuple:
    from tfrecords_tools.quiet import load_tensorflow

    load_tensorflow()
    import keras
    import tensorflow as tf

    from kreid.training import train

    def validated(epoch: int, logs: dict[str, float]) -> None:
        connection.send(("validated", epoch, {name: float(value) for name, value in logs.items()}))

    tf.get_logger().setLevel(logging.ERROR)  # it warns of functions compiled anew, one a training
    keras.utils.clear_session()
    try:
        train(config, data, run, resume=resume, quiet=True, on_validation=validated, held_out=held_out)
    except ValueError as error:
        return "refused", str(error)
    except tf.errors.ResourceExhaustedError as error:
        return "refused", f"not enough memory: {error.message}"
    except OSError as error:
        return "failed", str(error)
    return ("done",)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: another may go on with its trial."""
    multiprocessing.parent_process().join()
    os._exit(1)
