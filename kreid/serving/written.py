"""What was written of a network, held against the network itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from kreid.data.images import resize
from kreid.errors import ConfigError
from kreid.serving.crops import draw_crops
from tfrecords_tools.errors import one_line

Run = Callable[[np.ndarray], np.ndarray]
LIMIT = 1e-4  # of the cosine distance, in float32
COARSE = 0.25  # of less precise files, whose distance is for their user to judge: beyond it no embedding is left
_ALONE = 8  # crops that are sent in their own size, where any is taken


@dataclass(frozen=True)
class Written:
    """A file or a folder that was written.

    Args:
        path: where it is.
        distance: largest cosine distance of an embedding of 32 drawn crops from the network's.
        run: from images of the network's size, RGB 0-255, to embeddings, as what was written computes them.
    """

    path: Path
    distance: float
    run: Run


@dataclass(frozen=True)
class Crops:
    """Drawn players and what the network makes of them.

    Args:
        own: crops, each in its own size.
        resized: the same in the network's size, `(N, height, width, 3)` float32.
        embeddings: `(N, D)`, the network's.
    """

    own: list[np.ndarray]
    resized: np.ndarray
    embeddings: np.ndarray

    @classmethod
    def draw(cls, model: keras.Model) -> "Crops":
        """Draw them, and embed them by a model with an `embedding` output.

        Raises:
            ConfigError: for a model without one.
        """
        outputs = getattr(model, "output", None)
        if not isinstance(outputs, Mapping) or "embedding" not in outputs:
            raise ConfigError(
                "model: expected a functional one whose outputs are a dict with `embedding`, as of build_model and "
                f"load_model, received a {type(model).__name__} of {one_line(outputs)}"
            )
        own = draw_crops()
        resized = np.stack([np.asarray(resize(crop, model.input_shape[1:3])) for crop in own])
        return cls(own, resized, np.asarray(model(resized, training=False)["embedding"]))

    def distance(self, run: Run, any_size: bool) -> float:
        """Return the largest cosine distance of what `run` computes.

        It is asked in batches of 1, 7 and the others, and first for single crops in their own size, with `any_size`.

        Raises:
            ValueError: for embeddings of another shape, or that are not finite.
        """
        alone = _ALONE if any_size else 0
        batches = [crop[None].astype(np.float32) for crop in self.own[:alone]]
        batches += np.split(self.resized[alone:], [1, 8])
        found = np.concatenate([run(batch) for batch in batches])
        if found.shape != self.embeddings.shape:
            expected = f"expected {self.embeddings.shape}; nothing is kept of it"
            raise ValueError(f"what was written gives embeddings {found.shape}, {expected}")
        if bad := int((~np.isfinite(found).all(axis=1)).sum()):
            raise ValueError(
                f"what was written gives embeddings that are not finite, of {bad} of {len(found)} crops; nothing is "
                "kept of it. float16 knows no number beyond 65,504: write this network in float32"
            )
        return float(cosine_distance(found, self.embeddings).max())


def cosine_distance(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return `1 - cos` row by row, exact near 0: of unit vectors it is half their squared difference.

    A row of zeros has no direction; its half is 0.5 from any vector, which no limit lets pass.
    """
    one, other = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for rows in (found.astype(np.float64), expected.astype(np.float64))
    )
    return ((one - other) ** 2).sum(axis=1) / 2


def check_distance(distance: float, what: str, precision: str = "float32") -> None:
    """Complain where what was written is further from the network than the precision's roundings.

    Raises:
        ValueError: opening with `what`.
    """
    limit = LIMIT if precision == "float32" else COARSE
    if not distance <= limit:
        raise ValueError(
            f"{what}: computes other embeddings than the network, {distance:.1e} in cosine distance where {limit:g} is "
            "let pass; nothing is kept of it"
        )
