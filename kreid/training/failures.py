"""What is said of a training that fails: why, what to do about it, and the state to go on from."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from kreid import runs
from kreid.data.records import first_damaged, read_fields
from kreid.errors import ConfigError, DivergedError
from kreid.runs import checkpoints
from kreid.training.state import State
from tfrecords_tools.index import Index
from tfrecords_tools.naming import Thumbnail, format_name

log = logging.getLogger(__name__)

_NAMED = 8  # images of a bad batch that a message names


class Failures:
    """The messages of a run that fails; each ends with the last good state.

    Args:
        out: the run folder.
        several: whether other machines take part, so that one of them may be lost.
    """

    def __init__(self, out: Path, several: bool) -> None:
        self.out, self.several = out, several

    def last_good(self) -> str:
        """The state to go on from, if there is one."""
        state = checkpoints.newest(self.out / runs.CHECKPOINTS)
        return f"the last good state is {state}, to go on from ({runs.RESUME})" if state else "there is no state yet"

    def diverged(self, state: State, loss: float, index: Index, rows: np.ndarray) -> DivergedError:
        """A loss, or else a gradient, that is not finite.

        Args:
            state: before the step.
            loss: of the batch.
            index: of the training images.
            rows: positions of the batch's images in it; the first ones are named.
        """
        what = "gradient is not finite" if np.isfinite(loss) else f"loss is {loss}"
        return DivergedError(
            f"the {what} at epoch {state.epoch + 1} step {state.step + 1} (batch: "
            f"{', '.join(file_names(index, rows[:_NAMED]))}, ...); lower train.learning_rate or set train.clip_norm; "
            f"{self.last_good()}"
        )

    def unreadable(self, error: Exception, index: Index, rows: np.ndarray) -> Exception:
        """Images that could not be read; `error` itself where that was another worker's trouble.

        Args:
            error: what TensorFlow says, which names no record.
            index: of the training images.
            rows: positions of those that were being read.
        """
        reason = first_damaged(index, rows)
        if not reason and self.several:
            return error
        return ValueError(f"{reason or first_line(error)}; {self.last_good()}")

    @contextlib.contextmanager
    def interrupted(self) -> Iterator[None]:
        """Say where the run can go on from, where a signal ends the block."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            log.warning("stopped; %s", self.last_good())
            raise

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Say what to do about a full disk, a full GPU or a lost machine.

        Raises:
            ConfigError: where a batch is too large for the device.
            ValueError: for the others.
        """
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)  # HDF5 adds much of its own
            raise ValueError(f"{error.filename or self.out}: {reason}; {self.last_good()}") from None
        except tf.errors.ResourceExhaustedError as error:
            raise ConfigError(
                f"a batch does not fit in the device's memory ({first_line(error)}); lower data.persons and raise "
                "train.accumulate, set train.remat (Transformers) or train.precision=mixed_bfloat16; kreid-batch "
                f"--cost says what a step needs; {self.last_good()}"
            ) from None
        except tf.errors.OpError:
            if not self.several:
                raise
            raise ValueError(f"another worker was lost; {self.last_good()}") from None


def first_line(error: Exception) -> str:
    """What TensorFlow says, without its notes."""
    return str(error).splitlines()[0].rpartition("}} ")[2][:200]


def file_names(index: Index, rows: np.ndarray) -> list[str]:
    """The files that these records were made from."""
    names = []
    for part in read_fields(index, rows):
        for row in range(len(part["bbox"])):
            said = {key: part[key][row].item() for key in ("bbox", "action", "person", "frame", "height", "width")}
            said |= {key: part[key][row].decode() for key in ("role", "jersey", "uai")}
            names.append(format_name(Thumbnail(**{**said, "jersey": said["jersey"] or None})))
    return names
