"""The batches of a run: which images each of them holds, and the images themselves."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

import numpy as np
import tensorflow as tf

from kreid.config.sections import Config
from kreid.data.cameras import numbers_of
from kreid.data.records import UNREADABLE
from kreid.data.training_set import TrainingSet, training_batches
from kreid.training.failures import Failures
from kreid.training.state import State
from kreid.training.updater import Values

_AHEAD = 8  # batches that may be read before they are asked for


class Batches:
    """The batches from where a run stands to its end, in order.

    Args:
        training_set: the images.
        config: the resolved configuration.
        strategy: where to compute; each replica gets its part of a batch.
        state: where the run stands.
        failures: words for images that cannot be read.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        config: Config,
        strategy: tf.distribute.Strategy,
        state: State,
        failures: Failures,
    ) -> None:
        self.training_set, self.config, self.strategy, self.failures = training_set, config, strategy, failures
        names = config.model.appearance.camera_names
        self._cameras = None if names is None else numbers_of(training_set.index, names, training_set.rows)
        # Numbers, not the state, which moves on while another thread draws.
        dataset = partial(self._dataset, state.epoch, state.step, state.images)
        self._parts = iter(strategy.distribute_datasets_from_function(dataset))

    @property
    def size(self) -> int:
        """Images of a batch."""
        return self.training_set.sampler.batch_size

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch (from 0), each as positions among the training set's rows."""
        return list(self._draw(epoch))

    def next(self, plan: list[np.ndarray]) -> tuple[Values, Values]:
        """Images, with their cameras where the network asks for them, and labels, each replica's part on its device.

        Args:
            plan: what is left of the epoch's, this batch first.

        Raises:
            ValueError: where an image cannot be read, naming its record.
        """
        try:
            return next(self._parts)
        except UNREADABLE as error:
            rows = self.training_set.rows[np.concatenate(plan[:_AHEAD])]
            raise self.failures.unreadable(error, self.training_set.index, rows) from None

    def _draw(self, epoch: int) -> Iterator[np.ndarray]:
        return islice(self.training_set.sampler.epoch(epoch), self.config.train.steps_per_epoch)

    def _dataset(self, epoch: int, step: int, images: int, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """This machine's part of all that is left, so many epochs, steps and images being done."""
        return training_batches(
            self.training_set,
            self.config.model.image_size,
            self._from(epoch, step),
            first_draw=images,
            worker=(context.input_pipeline_id, context.num_input_pipelines),
            replica_batch=self.size // self.strategy.num_replicas_in_sync,
            cameras=self._cameras,
        )

    def _from(self, epoch: int, step: int) -> Iterator[np.ndarray]:
        yield from islice(self._draw(epoch), step, None)
        for later in range(epoch + 1, self.config.train.epochs):
            yield from self._draw(later)
