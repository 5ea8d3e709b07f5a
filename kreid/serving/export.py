"""SavedModels for TensorFlow Serving."""

from pathlib import Path

import keras
import tensorflow as tf

from kreid.data.file_errors import as_os_error
from kreid.data.images import decode_and_resize, resize
from kreid.serving.versions import check_versions, write_version
from kreid.types import Tensor


def export(model: keras.Model, out: str | Path) -> Path:
    """Write a SavedModel that takes image files or pixels and gives embeddings.

    Two signatures, both with the output `embedding` `(N, D)`, vectors of length one:
    `serving_default` and `encoded`: `image_bytes`, `(N,)` strings, PNG or JPEG files of any size;
    `pixels`: `image`, `(N, h, w, 3)` float32, RGB 0-255, of any one size.
    Decoding and resizing are those of training and evaluation.

    Args:
        model: a model with an `embedding` output.
        out: a folder of versions; the model goes into the next number, `out/1` at first.

    Returns:
        The version's folder.

    Raises:
        ConfigError: where there can be no versions, or TensorFlow could not load them from there.
        OSError: where it cannot be written; nothing half-written stays.

    Example:
        >>> export(load_model("saved_models/demo"), "saved_models/demo/serving")
    """
    out = check_versions(out)
    image_size = model.input_shape[1:3]
    single = keras.Model(model.input, model.output["embedding"])

    def encoded(image_bytes: Tensor) -> dict[str, Tensor]:
        images = tf.map_fn(
            lambda one: decode_and_resize(one, image_size),
            image_bytes,
            fn_output_signature=tf.TensorSpec((*image_size, 3), tf.float32),
        )
        return {"embedding": single(images, training=False)}

    def pixels(image: Tensor) -> dict[str, Tensor]:
        return {"embedding": single(resize(image, image_size), training=False)}

    # ExportArchive, because a SavedModel of the model itself or of a tf.Module does not load in TensorFlow Serving.
    archive = keras.export.ExportArchive()
    archive.track(single)
    archive.add_endpoint("encoded", encoded, [tf.TensorSpec((None,), tf.string, name="image_bytes")])
    archive.add_endpoint("pixels", pixels, [tf.TensorSpec((None, None, None, 3), tf.float32, name="image")])
    return write_version(out, lambda folder: _write(archive, folder, out))


def _write(archive: keras.export.ExportArchive, folder: Path, out: Path) -> None:
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        raise as_os_error(error, out) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from None  # the hidden folder's name says nothing
