"""Train a model of one's own by Keras's `compile` and `fit`, with kreid's layers and losses inside it.

    python examples/train_in_python.py [RECORDS]

RECORDS is what `kreid-convert` wrote; without it a small set is drawn into a temporary folder. The batches are a plain
`tf.data.Dataset`; only the plan of a batch, which people and which actions, is kreid's.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import kreid
from tfrecords_tools import schema, synthetic, writer
from tfrecords_tools.index import read_index

SIZE = (64, 32)  # height and width in pixels


def draw_records(folder: Path, actions: int = 12) -> Path:
    """Draw a set in SoccerNet's form and convert it; returns the folder of records."""
    synthetic.draw(folder / "tree", {"train": actions, "valid": 2, "test": 8}, seed=1)
    writer.convert(folder / "tree", folder / "records")
    return folder / "records"


def build_network(people: int, width: int = 32) -> keras.Model:
    """Two small streams of Keras's own layers, fused by kreid's bilinear pooling; a classifier beside the vector."""
    image = keras.Input((*SIZE, 3), name="image")
    x = kreid.layers.ImagePreprocessing()(image)  # RGB 0-255 to what ImageNet's networks take
    for factor in (1, 2):
        x = keras.layers.Conv2D(factor * width, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    appearance = keras.layers.Conv2D(2 * width, 3, padding="same", activation="relu", name="appearance")(x)
    parts = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="parts")(x)
    pooled = kreid.layers.CompactBilinearPooling(output_dim=256, normalize=False)([appearance, parts])
    logits = keras.layers.Dense(people, use_bias=False, name="logits")(pooled)
    return keras.Model(image, {"embedding": kreid.layers.L2Normalization()(pooled), "logits": logits})


def read_batches(records: Path, persons: int = 4, views: int = 4) -> tuple[tf.data.Dataset, int]:
    """Batches of images and labels [person, action] for `fit`, and how many people there are."""
    index = read_index(records / "train")
    _, person = np.unique(index.person, return_inverse=True)
    sampler = kreid.data.Sampler(person, index.action, persons=persons, views=views, seed=1)
    labels = np.stack([person, index.action], axis=1).astype("int32")

    def rows() -> Iterator[tuple[list[bytes], np.ndarray]]:
        for number in range(1000):  # epochs, each a plan of its own
            for batch in sampler.epoch(number):
                yield index.read(batch), labels[batch]

    def decode(record: tf.Tensor) -> tf.Tensor:
        return kreid.data.decode_and_resize(schema.parse(record)["image"], SIZE)

    def load(batch: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        images = tf.map_fn(decode, batch, fn_output_signature=tf.TensorSpec((*SIZE, 3), tf.float32))
        return images, {"embedding": label, "logits": label}  # each loss takes what it needs

    shapes = (tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, 2), tf.int32))
    dataset = tf.data.Dataset.from_generator(rows, output_signature=shapes)
    return dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2), int(person.max()) + 1


def main(records: Path, epochs: int = 3, steps: int = 20) -> dict:
    """Train, and score on the test split; returns the scores."""
    batches, people = read_batches(records)
    model = build_network(people)
    losses = {"embedding": kreid.losses.TripletLoss(margin=0.3), "logits": kreid.losses.IdentityLoss()}
    model.compile(keras.optimizers.Adam(1e-3), loss=losses, loss_weights={"embedding": 1.0, "logits": 0.5})
    model.fit(batches, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=2)  # the plan shuffles
    return kreid.evaluate(kreid.rank(kreid.embed(model, records / "test")))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(main(Path(sys.argv[1]) if sys.argv[1:] else draw_records(Path(folder))))
