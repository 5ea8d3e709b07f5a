"""Keras layers of the two-stream network, in `keras.ops`: they run on every backend. Imports Keras and NumPy alone.

Example:
    >>> pool = kreid.layers.CompactBilinearPooling(output_dim=64)
    >>> appearance, parts = np.ones((2, 16, 8, 32), "float32"), np.ones((2, 16, 8, 26), "float32")
    >>> tuple(pool([appearance, parts]).shape)
    (2, 64)
"""

from kreid.layers.bilinear import BilinearPooling, CompactBilinearPooling
from kreid.layers.normalization import L2Normalization, l2_normalize
from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ImagePreprocessing

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "BilinearPooling",
    "CompactBilinearPooling",
    "ImagePreprocessing",
    "L2Normalization",
    "l2_normalize",
]
