"""The training images that a configuration draws from, and their batches."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kreid.config.sections import Data
from kreid.data.augmentation import augment
from kreid.data.images import decode_and_resize
from kreid.data.records import read_fields
from kreid.data.sampling import Sampler, held_out_by
from kreid.errors import ConfigError
from kreid.types import Tensor
from tfrecords_tools import schema
from tfrecords_tools.index import Index, read_index, split_folder

_SIDE = re.compile(rb"_team_(left|right)$")


class TrainingSet:
    """The training images that a configuration draws from, and their dense labels.

    Args:
        data: what `kreid-convert` wrote, with a `train` folder.
        config: the `data` section of a configuration.
        seed: seed of the sampler.
        held_out: actions to leave out, to score on them in cross-validation; people, where all are of one action.
        attributes: whether labels tell roles and jersey numbers too; every record is read for them.

    Attributes:
        rows: `(M,)` positions in the index of the images that are drawn from.
        held_out: positions of the images left out; None where nothing was held out.
        label: `(M, 2)` int32, person and action numbered from 0; with attributes `(M, 4)`, role and jersey number
            behind them, numbered likewise and -1 where the record does not tell.
        num_classes: how many people there are.
        num_roles: how many roles, among those with attributes; 0 without.
        num_jerseys: how many jersey numbers, likewise.
        sampler: the `Sampler` over the kept rows.

    Raises:
        ValueError: where the records are missing, of another version, or without labels.
        ConfigError: a ValueError, where they hold no batch or no triplet under `config`, or not its fraction.

    Example:
        >>> training_set = TrainingSet("records", config.data, seed=1)
    """

    def __init__(
        self,
        data: str | Path,
        config: Data,
        seed: int,
        held_out: Sequence[int] | np.ndarray | None = None,
        attributes: bool = False,
    ) -> None:
        self.config = config
        self.index: Index = read_index(split_folder(data, "train"))
        try:
            self.rows = self.index.fraction_rows(config.fraction)
        except ConfigError as error:
            raise ConfigError(f"data.{error}") from None
        self.held_out: np.ndarray | None = None
        if held_out is not None:
            unit = held_out_by(self.index.person[self.rows], self.index.action[self.rows])
            held = np.isin(unit, held_out)
            self.rows, self.held_out = self.rows[~held], self.rows[held]
        if (self.index.person[self.rows] < 0).any():
            raise ValueError(f"{self.index.folder}: nothing can be trained on records whose labels are withheld")
        person = np.unique(self.index.person[self.rows], return_inverse=True)[1]
        action = np.unique(self.index.action[self.rows], return_inverse=True)[1]
        self.label = np.stack([person, action], axis=1).astype(np.int32)
        self.num_classes = int(person.max()) + 1 if len(person) else 0
        self.num_roles = self.num_jerseys = 0
        if attributes:
            role, jersey = _attributes(self.index, self.rows)
            self.num_roles, self.num_jerseys = int(role.max()) + 1, int(jersey.max()) + 1
            self.label = np.concatenate([self.label, role[:, None], jersey[:, None]], axis=1)
        self.sampler = Sampler(person, action, config.persons, config.views, config.sampler, seed)
        self.seed = seed


def _attributes(index: Index, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Role and jersey number of some records: `(M,)` int32 each, classes from 0 in the order of their names, or -1.

    The side of the pitch, which SoccerNet's roles tell and no image shows, is left off: "Player_team_left" is "Player".
    """
    parts = [(part["role"].tolist(), part["jersey"].tolist()) for part in read_fields(index, rows)]
    roles = [_SIDE.sub(b"", role) for part, _ in parts for role in part]
    jerseys = [jersey for _, part in parts for jersey in part]
    return _numbered(roles), _numbered(jerseys)


def _numbered(values: list[bytes]) -> np.ndarray:
    """Classes from 0 in the order of their names; -1 for an empty one."""
    place = {value: number for number, value in enumerate(sorted({value for value in values if value}))}
    return np.array([place.get(value, -1) for value in values], np.int32)


def training_batches(
    training_set: TrainingSet,
    image_size: tuple[int, int],
    batches: Iterable[np.ndarray],
    first_draw: int = 0,
    worker: tuple[int, int] = (0, 1),
    replica_batch: int | None = None,
    cameras: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Images and labels of planned batches, augmented, ready for the device.

    Args:
        training_set: where the images come from.
        image_size: height and width in pixels.
        batches: row numbers of each global batch, from `training_set.sampler`; a list can be gone through again.
        first_draw: number of images drawn before, so that a resumed run augments as the unbroken one did.
        worker: this worker's number and how many there are; each takes an equal, contiguous part of every batch.
        replica_batch: images of one batch of the dataset; all of the worker's part by default.
        cameras: `(M,)` int32, the network's number for the camera of each of `training_set.rows`, where it asks for it.

    Returns:
        Dataset of `(B, height, width, 3)` float32 RGB 0-255, with cameras `{"image": these, "camera": (B,)}`, and
        `(B, 2)` int32 [person, action], or what else stands in `training_set.label`.
    """
    number, workers = worker
    batch_size = training_set.sampler.batch_size
    part = batch_size // workers
    camera = np.zeros(len(training_set.rows), np.int32) if cameras is None else cameras

    def draws() -> Iterator[tuple]:
        draw = first_draw
        for batch in batches:
            mine = slice(number * part, (number + 1) * part)
            seeds = draw + np.arange(batch_size, dtype=np.int64)
            rows = batch[mine]
            records = np.array(training_set.index.read(training_set.rows[rows]), dtype=object)
            yield records, training_set.label[rows], camera[rows], seeds[mine]
            draw += batch_size

    @tf.autograph.experimental.do_not_convert  # has no Python in it that TensorFlow would have to rewrite
    def load(record: Tensor, label: Tensor, camera: Tensor, draw: Tensor) -> tuple:
        image = decode_and_resize(schema.parse(record)["image"], image_size)
        seed = tf.stack([tf.constant(training_set.seed, tf.int64), draw])
        image.set_shape((*image_size, 3))
        image = augment(image, seed, training_set.config)
        return image if cameras is None else {"image": image, "camera": camera}, label

    signature = (
        tf.TensorSpec((part,), tf.string),
        tf.TensorSpec((part, training_set.label.shape[1]), tf.int32),
        tf.TensorSpec((part,), tf.int32),
        tf.TensorSpec((part,), tf.int64),
    )
    dataset = tf.data.Dataset.from_generator(draws, output_signature=signature).prefetch(2).unbatch()
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.batch(replica_batch or part, drop_remainder=True).prefetch(2)
