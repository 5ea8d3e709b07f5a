"""From image files to pixels: one decode-and-resize for training, evaluation and serving."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from kreid.types import Tensor
from tfrecords_tools.decoding import Decoder, decode
from tfrecords_tools.images import load_image, load_images

_decoder = cache(Decoder)


def decode_and_resize(encoded: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Decode one PNG or JPEG and resize it to the network's input.

    Args:
        encoded: scalar string tensor, the file's bytes. Grey and transparent images become RGB; an EXIF orientation is
            not applied.
        image_size: height and width in pixels.

    Returns:
        `(height, width, 3)` float32 tensor, RGB 0-255; bilinear, antialiased where the image shrinks, which is within
        one grey level of Pillow's.
    """
    return resize(decode(encoded), image_size)


def read_image(path: str | Path) -> np.ndarray:
    """Read and decode an image file to its own size: `(h, w, 3)` uint8, RGB, as `tfrecords_tools.formats` says.

    Raises:
        ValueError: naming the file, where it is missing, or no whole PNG or JPEG.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such image file")
    return decode(load_image(Path(path), check=_decoder().check).data).numpy()


def check_images(paths: Sequence[str | Path]) -> None:
    """Read image files, in threads, to know that they can be: ValueError or OSError for the first that cannot."""
    for image in load_images(map(Path, paths), check=_decoder().check):
        if isinstance(image, Exception):
            raise image


def resize(pixels: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Resize one image or a batch, `(h, w, 3)` or `(N, h, w, 3)`, to `image_size`, as `decode_and_resize` does."""
    pixels = tf.cast(pixels, tf.float32)
    # Where nothing shrinks, as with most real crops, both give the same pixels, and the filter takes six times as long.
    shrinks = tf.reduce_any(tf.shape(pixels)[-3:-1] > image_size)
    return tf.cond(
        shrinks,
        lambda: tf.image.resize(pixels, image_size, method="bilinear", antialias=True),
        lambda: tf.image.resize(pixels, image_size, method="bilinear"),
    )


def file_batches(paths: Sequence[str | Path], image_size: tuple[int, int], batch_size: int = 64) -> tf.data.Dataset:
    """Images of files in the order given: `(B, height, width, 3)` float32 RGB 0-255.

    Every file is checked before TensorFlow decodes it, which reads other formats in other shapes, and says more about a
    damaged one than its error; a PNG by its checksums, where they tell, so that it is decoded once. A bad one ends the
    batches with `tf.errors.OpError`; `check_images` names it.
    """

    def checked() -> Iterator[bytes]:
        for image in load_images(map(Path, paths), pixels=False):
            if isinstance(image, Exception):
                raise image
            yield image.data

    return encoded_batches(checked, image_size, batch_size)


def encoded_batches(
    images: Callable[[], Iterable[bytes]], image_size: tuple[int, int], batch_size: int = 64
) -> tf.data.Dataset:
    """Images given by the bytes of PNG or JPEG files, in their order: `(B, height, width, 3)` float32 RGB 0-255."""
    dataset = tf.data.Dataset.from_generator(images, output_signature=tf.TensorSpec((), tf.string))
    dataset = dataset.map(
        lambda encoded: decode_and_resize(encoded, image_size),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return dataset.batch(batch_size).prefetch(2)
