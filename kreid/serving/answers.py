"""What a server's answer must be: vectors of length one, zeros for an image that it could not read. NumPy only."""

import numpy as np

TOLERANCE = 1e-3  # of a vector's length, which float16 keeps
WHOSE = "is that a model that kreid-export wrote?"


class PassingError(ValueError):
    """A request failed in a way that passes: it is worth sending again.

    Args:
        message: what happened, without the address.
        reached: whether a server of the right kind has answered at all.
        after: seconds that it asks to be left alone for; None where it says nothing.
    """

    def __init__(self, message: str, reached: bool = True, after: float | None = None) -> None:
        super().__init__(message)
        self.reached, self.after = reached, after


def checked_vectors(vectors: np.ndarray, count: int, width: int | None = None) -> np.ndarray:
    """Return the vectors of an answer as float32.

    Args:
        vectors: `(N, D)` real numbers, as they came.
        count: how many were asked for.
        width: how many numbers the vectors before had; None for the first.

    Returns:
        `(N, D)` float32; rows of zeros are images that the server could not read.

    Raises:
        ValueError: without the address, where they are anything else.
    """
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or vectors.shape[-1] == 0:
        raise ValueError(f"expected vectors, received {vectors.dtype} of shape {vectors.shape}; {WHOSE}")
    if len(vectors) != count:
        raise ValueError(f"expected {count} vectors, one for each image, received {len(vectors)}; {WHOSE}")
    if width not in (None, vectors.shape[1]):
        raise ValueError(
            f"expected vectors of {width} numbers, as before, received {vectors.shape[1]}; has the model changed?"
        )
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~((np.abs(lengths - 1) < TOLERANCE) | (lengths == 0)))  # catches NaN too
    if len(wrong):
        raise ValueError(f"expected vectors of length 1, received one of length {lengths[wrong[0]]:g}; {WHOSE}")
    return vectors.astype(np.float32)
