"""What a network loses where it leaves: scores of its embeddings as a written file computes them."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kreid.embedding.extract import embed
from kreid.ranking.ordering import figures_of
from kreid.ranking.scores import Metrics, evaluate
from kreid.types import Progress, Tensor


class _Computed(keras.layers.Layer):
    """Embeddings that a function outside Keras computes."""

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], width: int) -> None:
        super().__init__()
        self._run, self._width = run, width

    def call(self, images: Tensor) -> Tensor:
        vectors = tf.numpy_function(lambda rows: np.asarray(self._run(rows), np.float32), [images], tf.float32)
        return tf.ensure_shape(vectors, (None, self._width))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self._width)


def score_exported(
    model: keras.Model,
    run: Callable[[np.ndarray], np.ndarray],
    records: str | Path,
    progress: Progress | None = None,
    protocol: str | None = None,
) -> tuple[Metrics, Metrics]:
    """Score a network and what was written of it on a split.

    Args:
        model: the network.
        run: from images of the network's size, RGB 0-255, to embeddings, as `Written.run`.
        records: a labelled split's folder.
        progress: called with the images done and their total, for each of the two.
        protocol: as in `kreid.ranking.rank`; None (default) for the records' own.

    Returns:
        The figures of `kreid.ranking.evaluate` of the network, and of what was written.
    """
    images = keras.Input(model.input_shape[1:])
    written = keras.Model(images, {"embedding": _Computed(run, model.output["embedding"].shape[-1])(images)})
    before, after = (
        evaluate(figures_of(embed(network, records, progress=progress), protocol=protocol))
        for network in (model, written)
    )
    return before, after
