"""SavedModels for TensorFlow Serving."""

import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from kreid.data.images import decode_and_resize, resize
from kreid.errors import ConfigError
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

    Example:
        >>> export(load_model("saved_models/demo"), "saved_models/demo/serving")
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; give a folder for versions")
    out.mkdir(parents=True, exist_ok=True)
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
    # Written beside and renamed: a server that polls the folder must never see half a version.
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
    try:
        archive.write_out(str(partial), verbose=False)
        partial.chmod(0o755)
        return partial.rename(out / str(_next_version(out)))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _next_version(out: Path) -> int:
    return 1 + max((int(path.name) for path in out.iterdir() if path.name.isdecimal()), default=0)
