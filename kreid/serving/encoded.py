"""Image files inside a served network: a bad one costs its own answer, and nobody else's."""

import tensorflow as tf

from kreid.data.images import decode_and_resize
from kreid.types import Tensor
from tfrecords_tools.formats import SIGNATURES

_AT_ONCE = 4  # images of a request that are decoded at the same time


def decode_files(encoded: Tensor, image_size: tuple[int, int], max_pixels: int) -> tuple[Tensor, Tensor]:
    """Decode and resize image files, each for itself.

    Which files are read is `tfrecords_tools.formats`' rule, PNG and JPEG by content; any other, a damaged one, and one
    of more than `max_pixels` by its head, which is not decoded, is a bad image.

    Args:
        encoded: (N,) strings, the files' bytes.
        image_size: height and width in pixels.
        max_pixels: of an image.

    Returns:
        `(N, height, width, 3)` float32, RGB 0-255, zeros for bad images; and `(N,)` bool, whether an image is good.
    """
    count = tf.shape(encoded)[0]
    nothing = tf.zeros((*image_size, 3))

    def load(number: Tensor, data: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pixels = _pixels(data)
        is_read = (pixels > 0) & (pixels <= max_pixels)
        image = tf.cond(is_read, lambda: decode_and_resize(data, image_size), lambda: nothing)
        return number, tf.ensure_shape(image, nothing.shape), is_read

    # The decoder's error would end the whole request; a dataset alone lets an element's error pass.
    files = tf.data.Dataset.from_tensor_slices((tf.range(count), encoded))
    good = files.map(load, num_parallel_calls=_AT_ONCE).ignore_errors().filter(lambda number, image, is_read: is_read)
    last = tf.data.Dataset.from_tensors((count, nothing, False))  # so that there is a batch where none is good
    numbers, images, _ = good.concatenate(last).batch(tf.cast(count, tf.int64) + 1).get_single_element()
    places = numbers[:, None]
    images = tf.scatter_nd(places, images, tf.stack([count + 1, *nothing.shape]))[:-1]
    is_good = tf.scatter_nd(places, tf.ones_like(numbers), count[None] + 1)[:-1] > 0
    return images, is_good


def _pixels(data: Tensor) -> Tensor:
    """How many pixels an image has by its head, scalar int64; 0 for what is no PNG or JPEG."""

    def begins_as(kind: str) -> Tensor:
        (signature,) = (signature for signature, name in SIGNATURES.items() if name == kind)
        return tf.strings.substr(data, 0, len(signature)) == signature

    def other() -> Tensor:
        return tf.cond(begins_as("JPEG"), lambda: _jpeg_pixels(data), lambda: tf.constant(0, tf.int64))

    return tf.cond(begins_as("PNG"), lambda: _png_pixels(data), other)


def _png_pixels(data: Tensor) -> Tensor:
    """Width and height are big-endian at bytes 16 and 20: PNG specification, 11.2.2."""
    sides = tf.cast(tf.reshape(tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.uint8), (2, 4)), tf.int64)
    return tf.reduce_prod(tf.reduce_sum(sides * tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64), axis=1))


def _jpeg_pixels(data: Tensor) -> Tensor:
    return tf.reduce_prod(tf.cast(tf.image.extract_jpeg_shape(data)[:2], tf.int64))
