"""From images to embeddings with labels: the step between a trained model and everything that is NumPy."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kreid.data import file_batches, first_damaged, record_batches
from kreid.ranking import Embeddings
from tfrecords_tools.index import read_index


def embed(
    model: keras.Model,
    records: str | Path,
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Embeddings:
    """Embed every image of a record folder.

    Args:
        model: a model with an `embedding` output, from `build_model` or `load_model`.
        records: a split's folder, such as `records/test`.
        batch_size: images at a time.
        progress: called with the images done and their total.

    Returns:
        Vectors and labels, in the order of the records; the person is -1 in the challenge split.

    Raises:
        ValueError: where the folder holds no readable records.

    Example:
        >>> embeddings = embed(model, "records/test")
    """
    index = read_index(records)
    batches = record_batches(records, model.input_shape[1:3], batch_size)
    try:
        vectors = _vectors(model, batches, len(index), progress)
    except tf.errors.OpError as error:
        damaged = first_damaged(index, range(len(index))) or f"{records}: {str(error).splitlines()[0]}"
        raise ValueError(f"{damaged}: the record is damaged; run kreid-convert again") from None
    return Embeddings(vectors, index.person, index.action, index.bbox, index.is_query)


def embed_files(
    model: keras.Model,
    paths: Sequence[str | Path],
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Embed image files: `(M, D)` float32, in the order of `paths`.

    Raises:
        ValueError: naming the first file that is missing or no image.
    """
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise ValueError(f"{missing[0]}: no such image file")
    batches = file_batches(paths, model.input_shape[1:3], batch_size)
    try:
        return _vectors(model, batches, len(paths), progress)
    except tf.errors.OpError:
        bad = _first_unreadable(paths)
        raise ValueError(f"{bad}: not a whole PNG or JPEG image; leave it out or get it again") from None


def _first_unreadable(paths: Sequence[str | Path]) -> str | Path:
    for path in paths:
        try:
            tf.io.decode_jpeg(tf.io.read_file(str(path)), channels=3)
        except tf.errors.OpError:
            return path
    return "one of the images"


def extractor(model: keras.Model) -> Callable[[Any], Any]:
    """A compiled function from images `(N, H, W, 3)` to embeddings `(N, D)`."""
    single = keras.Model(model.input, model.output["embedding"])
    if keras.backend.backend() == "tensorflow":
        return tf.function(lambda images: single(images, training=False), reduce_retracing=True)
    return lambda images: single.predict_on_batch(np.asarray(images))


def _vectors(model: keras.Model, batches: Any, total: int, progress: Callable[[int, int], None] | None) -> np.ndarray:
    function = extractor(model)
    vectors, done = np.empty((total, model.output["embedding"].shape[-1]), np.float32), 0
    for images in batches:
        part = np.asarray(function(images))
        vectors[done : done + len(part)] = part
        done += len(part)
        if progress:
            progress(done, total)
    return vectors
