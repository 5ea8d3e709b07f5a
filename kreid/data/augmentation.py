"""Random changes of training images: flip, colour, crop, erasing; each a function of the image's seed alone.

Whatever the order of work, the number of workers or a resumed run: image number n of a run is changed by what the seed
`[seed of the run, n]` draws. Each kind of change has its own stream of random numbers, so switching one on leaves the
draws of the others as they were.

Plain tensor operations on one image at a time, for `tf.data.Dataset.map`: the layers of Keras draw from a state of
their own, which no resumed run could find again, and are slower on the CPU.
"""

import numpy as np
import tensorflow as tf

from kreid.config.sections import Data
from kreid.layers.preprocessing import IMAGENET_MEAN
from kreid.types import Tensor

_CROP, _COLOUR, _ERASE = 1, 2, 3  # streams of random numbers; the flip draws from the seed itself
# RGB -> luma and two axes of colour, as NTSC television has it; the rows of the colours sum to 0, so grey stays grey.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
_RGB = np.linalg.inv(_YIQ)


def augment(image: Tensor, seed: Tensor, config: Data) -> Tensor:
    """Change one training image at random.

    Args:
        image: `(height, width, 3)` float32 tensor of static shape, RGB 0-255.
        seed: `(2,)` int64 tensor; the same seed gives the same pixels.
        config: the `data` section of a configuration, which says what is done and how strongly.

    Returns:
        Tensor like `image`, values in 0-255. What a crop or an erasure leaves open has ImageNet's mean colour.

    Example:
        >>> augment(image, tf.constant([1, 0], tf.int64), Data(crop_padding=10, erase=0.5))
    """
    if config.flip:
        flipped = tf.random.stateless_uniform((), seed) < config.flip
        image = tf.cond(flipped, lambda: tf.image.flip_left_right(image), lambda: image)
    if config.brightness or config.contrast or config.saturation or config.hue:
        image = _jitter(image, _uniform(seed, _COLOUR, 4), config)
    if config.crop_padding:
        image = _crop(image, _uniform(seed, _CROP, 2), config.crop_padding)
    if config.erase:
        image = _erase(image, _uniform(seed, _ERASE, 5), config)
    return image


def _uniform(seed: Tensor, stream: int, count: int) -> list[Tensor]:
    """Draw `count` numbers in [0, 1) from one of the streams of a seed."""
    return tf.unstack(tf.random.stateless_uniform((count,), tf.random.fold_in(seed, tf.constant(stream, tf.int64))))


def _jitter(image: Tensor, draw: list[Tensor], config: Data) -> Tensor:
    """Turn and scale the colours about grey, then contrast about the mean grey, then brightness: one linear map."""
    strength = (config.brightness, config.contrast, config.saturation)
    brightness, contrast, saturation = (1 + most * (2 * one - 1) for most, one in zip(strength, draw[:3], strict=True))
    angle = 2 * np.pi * config.hue * (2 * draw[3] - 1)
    cos, sin = saturation * tf.cos(angle), saturation * tf.sin(angle)
    turned = tf.stack([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    matrix = brightness * contrast * (_RGB @ turned @ _YIQ)
    pixels = tf.reshape(image, (-1, 3))
    grey = tf.tensordot(tf.reduce_mean(pixels, axis=0), _YIQ[0], 1)
    pixels = tf.matmul(pixels, matrix, transpose_b=True) + brightness * (1 - contrast) * grey
    return tf.clip_by_value(tf.reshape(pixels, image.shape), 0.0, 255.0)


def _crop(image: Tensor, draw: list[Tensor], padding: int) -> Tensor:
    """Cut the image's size out of the image with a border of `padding` pixels around it, in other words shift it."""
    height, width, _ = image.shape
    down, right = (_below(one, 2 * padding + 1) - padding for one in draw)
    top, left = tf.maximum(-down, 0), tf.maximum(-right, 0)
    kept = _as_matrix(image)[top : top + height - tf.abs(down), 3 * left : 3 * (left + width - tf.abs(right))]
    return _paste(kept, _fill(height, width), tf.maximum(down, 0), tf.maximum(right, 0), image.shape)


def _erase(image: Tensor, draw: list[Tensor], config: Data) -> Tensor:
    """Fill a rectangle, with the probability `config.erase`; every rectangle that is drawn fits (see `Data`)."""
    height, width, _ = image.shape
    smallest, largest = config.erase_area
    share = smallest + (largest - smallest) * draw[1]
    # Height / width at which a rectangle of this area is as wide as the image, and at which it is as high.
    widest, highest = share * height / width, height / (share * width)
    low = tf.minimum(tf.maximum(config.erase_aspect, widest), highest)
    high = tf.maximum(tf.minimum(1 / config.erase_aspect, highest), widest)
    aspect = low * (high / low) ** draw[2]
    rows = _rounded(tf.sqrt(share * height * width * aspect), height)
    columns = _rounded(tf.sqrt(share * height * width / aspect), width)
    top, left = _below(draw[3], height - rows + 1), _below(draw[4], width - columns + 1)

    def erased() -> Tensor:
        return _paste(_fill(height, width)[:rows, : 3 * columns], _as_matrix(image), top, left, image.shape)

    return tf.cond(draw[0] < config.erase, erased, lambda: image)


def _as_matrix(image: Tensor) -> Tensor:
    # Pieces of a matrix are copied row by row, several times as fast as pieces of a (height, width, 3) tensor.
    return tf.reshape(image, (image.shape[0], -1))  # (height, 3 * width)


def _fill(height: int, width: int) -> Tensor:
    """A matrix of ImageNet's mean colour, which a pretrained network sees as zero."""
    return tf.constant(np.tile(IMAGENET_MEAN, (height, width)), tf.float32)


def _paste(piece: Tensor, matrix: Tensor, top: Tensor, left: Tensor, shape: tuple) -> Tensor:
    """The image of `shape` whose `_as_matrix` is `matrix`, with `piece` in its place from pixel (top, left) on."""
    bottom = top + tf.shape(piece)[0]
    beside = matrix[top:bottom]
    band = tf.concat([beside[:, : 3 * left], piece, beside[:, 3 * left + tf.shape(piece)[1] :]], axis=1)
    return tf.reshape(tf.concat([matrix[:top], band, matrix[bottom:]], axis=0), shape)


def _below(draw: Tensor, count: Tensor) -> Tensor:
    """An integer in 0..count - 1 out of a number in [0, 1)."""
    return tf.cast(draw * tf.cast(count, tf.float32), tf.int32)


def _rounded(pixels: Tensor, largest: int) -> Tensor:
    return tf.clip_by_value(tf.cast(tf.round(pixels), tf.int32), 1, largest)
