"""Types that several rooms share. Imports nothing."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict

Tensor: TypeAlias = Any
"""An array of whichever backend Keras runs on, NumPy's included, or a symbolic one of a functional model.

`Any` to a type checker, because neither Keras nor TensorFlow says its types; to a reader, that a name is a tensor.
"""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many are done and how many there are in all."""


class PaperRow(TypedDict, total=False):
    """Another system's figures, as fractions, to stand beside a run's; any of them may be missing."""

    system: str
    mAP: float
    rank1: float
    rank5: float
