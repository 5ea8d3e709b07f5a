"""What a written network takes: images as they are, or what trackers feed. `docs/exporting.md` has the table."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from kreid.serving.folding import fold
from kreid.types import Tensor


class AnySize(keras.layers.Layer):
    """Resize images of any one size by two matrix products, which every format knows: bilinear, antialiased.

    Pixels are those of `kreid.data.images.resize`, whose own operation only TensorFlow has.

    Args:
        image_size: height and width in pixels.

    Input shape:
        `(N, h, w, 3)`, any `h` and `w`.

    Output shape:
        `(N, height, width, 3)`.
    """

    def __init__(self, image_size: tuple[int, int], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size

    def call(self, images: Tensor) -> Tensor:
        """Resize `images` (N, h, w, 3)."""
        size = tf.shape(images)
        height, width = self.image_size
        channels = images.shape[-1]
        rows = tf.matmul(_weights(height, size[1]), tf.reshape(images, (size[0], size[1], size[2] * channels)))
        rows = tf.reshape(rows, (size[0] * height, size[2], channels))  # (N height, w, 3)
        return tf.reshape(tf.matmul(_weights(width, size[2]), rows), (size[0], height, width, channels))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the batch of `input_shape` in the network's size."""
        return (input_shape[0], *self.image_size, input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "image_size": self.image_size}


def _weights(new: int, old: Tensor) -> Tensor:
    """The (new, old) matrix that resamples one axis: a triangle around each place, as wide as the axis shrinks."""
    scale = tf.cast(old, tf.float32) / new
    reach = tf.maximum(scale, 1.0)
    centres = (tf.range(new, dtype=tf.float32) + 0.5) * scale - 0.5
    places = tf.cast(tf.range(old), tf.float32)
    weights = tf.maximum(0.0, 1.0 - tf.abs(places[None] - centres[:, None]) / reach)  # (new, old)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)


@dataclass(frozen=True)
class Contract:
    """What a written network takes.

    Args:
        name: what `--input` says.
        layout: axes, for people and programs.
        pixels: what a value means.
        size: whether height and width are fixed, to the network's.
    """

    name: str
    layout: str
    pixels: str
    fixed: bool

    def build(self, model: keras.Model) -> keras.Model:
        """Return the network of `model`'s embedding alone, folded, that takes what the contract says as `images`."""
        network = fold(keras.Model(model.input, model.output["embedding"], name=model.name))
        size = model.input_shape[1:3]
        if self.fixed:
            images = keras.Input((3, *size), name="images")
            x = keras.layers.Permute((2, 3, 1), name="to_channels_last")(images)
            x = keras.layers.Rescaling(IMAGENET_STD, IMAGENET_MEAN, name="to_grey_levels")(x)
        else:
            images = keras.Input((None, None, 3), name="images")
            x = AnySize(size, name="any_size")(images)
        return keras.Model(images, {"embedding": network(x)}, name=model.name)

    def feed(self, images: Tensor) -> Tensor:
        """Return what a caller of this contract sends for images (N, h, w, 3), RGB 0-255, of a size that it takes."""
        if not self.fixed:
            return images
        return tf.transpose((tf.cast(images, tf.float32) - IMAGENET_MEAN) / IMAGENET_STD, (0, 3, 1, 2))


CONTRACTS = {
    contract.name: contract
    for contract in (
        Contract("images", "NHWC", "RGB 0-255", fixed=False),
        Contract("tracker", "NCHW", "RGB / 255, less ImageNet's mean, by its standard deviation", fixed=True),
    )
}
