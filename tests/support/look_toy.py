"""A two-stream model small enough to work out by hand: colours are appearance, blue is what the nose fires at."""

import keras
import numpy as np
from keras import layers

from kreid.layers.bilinear import BilinearPooling, CompactBilinearPooling
from kreid.layers.normalization import L2Normalization
from kreid.models.openpose import BODY_25_PARTS

NOSE = BODY_25_PARTS.index("nose")
KNEE = BODY_25_PARTS.index("left knee")


def toy(size=(2, 2), pool=1, fusion=None):
    """Appearance: (red, green); part maps: nose = blue, left knee = red, all others 0; `pool` pixels a cell."""
    shape = (*size, 3)

    def stream(name, output, kernel):
        image = keras.Input(shape)
        x = layers.AveragePooling2D(pool)(image) if pool > 1 else image
        conv = layers.Conv2D(kernel.shape[1], 1, use_bias=False)
        model = keras.Model(image, {output: conv(x)}, name=name)
        conv.set_weights([kernel[None, None]])
        return model

    part = np.zeros((3, len(BODY_25_PARTS)), "float32")
    part[2, NOSE] = part[0, KNEE] = 1
    image = keras.Input(shape, name="image")
    appearance = stream("appearance", "conv1", np.eye(3, 2, dtype="float32"))(image)["conv1"]
    parts = stream("part", "confidence_1", part)(image)["confidence_1"]
    fused = (fusion or BilinearPooling(normalize=False, name="fusion"))([appearance, parts])
    return keras.Model(image, {"embedding": L2Normalization(name="embedding")(fused)})


def sketch(**options):
    """A compact fusion for `toy`, short enough that pairs collide."""
    return CompactBilinearPooling(16, normalize=False, name="fusion", **options)
