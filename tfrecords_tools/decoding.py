"""The decoder of images: the one that training uses, and whether it takes a file. Imports TensorFlow."""

from pathlib import Path

import tensorflow as tf

from tfrecords_tools.errors import one_line


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decode one PNG or JPEG, a scalar string tensor, to its own size: `(h, w, 3)` uint8, RGB."""
    # decode_jpeg reads PNG too; with this DCT it equals Pillow, with the default one it is up to 5 grey levels off.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


class Decoder:
    """`decode` in a session that leaves the GPU to others. Threads may share one.

    Pillow lets some damage pass that TensorFlow does not, so a file is known to be whole once both have read it.

    Example:
        >>> Decoder().check(path, path.read_bytes())
    """

    def __init__(self) -> None:
        with tf.Graph().as_default() as graph:
            self._encoded = tf.compat.v1.placeholder(tf.string, ())
            self._shape = tf.shape(decode(self._encoded))
        # Its number of threads stays as it is: all of the process share those, and the first to ask decides for good.
        config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
        self._session = tf.compat.v1.Session(graph=graph, config=config)

    def check(self, path: Path, data: bytes) -> None:
        """Raise ValueError, naming the file, if its bytes cannot be decoded."""
        try:
            self._session.run(self._shape, {self._encoded: data})
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            reason = one_line(getattr(error, "message", error)).partition("[[")[0].strip()
            raise ValueError(
                f"{path}: is damaged so that training could not decode it ({reason}); replace it, or unpack the "
                "archive again"
            ) from None
