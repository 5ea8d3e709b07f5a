"""Position embeddings on another grid, as each origin of a Vision Transformer resamples them. NumPy alone.

All of it is separable: a matrix for the rows, one for the columns, from the definitions of PyTorch's `interpolate` with
`align_corners=False`. Place `i` of `new` lies at `(i + 0.5) * old / new - 0.5` of `old`.
"""

from collections.abc import Callable

import numpy as np

# How an origin resamples: open_clip, timm and DINOv2 with registers `bicubic_antialias`; DINOv2 without registers
# `bicubic_offset`; TransReID `bilinear`.
METHODS = ("bicubic_antialias", "bicubic_offset", "bilinear")
OFFSET = 0.1  # DINOv2 asks for (new + 0.1) / old as the scale, and its places lie by that scale


def resample(grid: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Resample a grid of vectors.

    Args:
        grid: (h, w, D).
        size: rows and columns wanted.
        method: of `METHODS`.

    Returns:
        (rows, columns, D), float64.

    Raises:
        ValueError: for an unknown method.

    Example:
        >>> resample(embedding[1:].reshape(14, 14, -1), (16, 8), "bicubic_antialias").shape
        (16, 8, 768)
    """
    rows, columns = (matrix(old, new, method) for old, new in zip(grid.shape[:2], size, strict=True))
    return np.einsum("ih,jw,hwd->ijd", rows, columns, np.asarray(grid, np.float64), optimize=True)


def matrix(old: int, new: int, method: str) -> np.ndarray:
    """Return the (new, old) matrix that resamples one axis; its rows sum to one.

    Args:
        old: places there are.
        new: places wanted.
        method: of `METHODS`.

    Raises:
        ValueError: for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, received {method!r}")
    if method == "bicubic_antialias":
        # Antialiased, torch takes Pillow's kernel (a = -0.5), stretched where the axis shrinks and cut at the borders.
        return _cut_at_the_borders(old, new, lambda x: _cubic(x, -0.5))
    if method == "bicubic_offset":
        return _clamped(old, new, lambda x: _cubic(x, -0.75), reach=2, scale=old / (new + OFFSET))
    return _clamped(old, new, lambda x: np.maximum(0, 1 - np.abs(x)), reach=1, scale=old / new)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys's cubic convolution kernel, which is zero beyond 2."""
    x = np.abs(x)
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def _clamped(old: int, new: int, kernel: Callable[[np.ndarray], np.ndarray], reach: int, scale: float) -> np.ndarray:
    """A place beyond the border counts as the one at the border, and the kernel is never stretched."""
    found = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * scale - 0.5
        places = int(np.floor(centre)) + np.arange(1 - reach, reach + 1)
        np.add.at(found[row], np.clip(places, 0, old - 1), kernel(places - centre))
    return found


def _cut_at_the_borders(old: int, new: int, kernel: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Only places within are weighed, so that they sum to one; the kernel is stretched where the axis shrinks."""
    scale = old / new
    stretch = max(scale, 1.0)
    found = np.zeros((new, old))
    for row in range(new):
        centre, support = (row + 0.5) * scale, 2 * stretch
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), old)
        weights = kernel((np.arange(first, last) + 0.5 - centre) / stretch)
        found[row, first:last] = weights / weights.sum()
    return found
