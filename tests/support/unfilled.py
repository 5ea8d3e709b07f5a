"""Networks built without drawing their weights, for tests that set or only count them: drawing millions takes long."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import pytest


@contextmanager
def unfilled() -> Iterator[None]:
    """Kernels start from zeros. A decorator, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", _zeros)
        yield


def _zeros(self, shape, dtype=None):
    return keras.initializers.Zeros()(shape, dtype)
