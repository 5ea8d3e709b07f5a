"""From a file into a model, and into a file of Keras's own."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kreid.files.atomic import atomic_file
from kreid.weights.assignment import Names, Report, assign
from kreid.weights.files import identify, read
from kreid.weights.memory import to_bytes

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)


def load(
    model: "keras.Model",
    path: str | os.PathLike,
    *,
    names: Names | None = None,
    prefix: str = "",
    strict: bool = True,
) -> Report:
    """Read a file of weights into a model; the log names the file, if it is a published one, and what was loaded.

    Args:
        model: built.
        path: as for `read`.
        names: as for `assign`.
        prefix: as for `assign`.
        strict: as for `assign`.

    Returns:
        As `assign`.

    Raises:
        ValueError: as `read` and `assign`, naming the file; the model is unchanged then.

    Example:
        >>> report = load(build_backbone("openpose_coco"), "pose_iter_440000.caffemodel")
    """
    tensors = read(path)
    known = identify(path)
    try:
        report = assign(model, tensors, names=names, prefix=prefix, strict=strict)
    except ValueError as error:
        raise ValueError(f"{path}{f' ({known})' if known else ''}: {error}") from None
    log.info("%s: %s", path, known or "not one of the known files")
    log.info("%s: %s", path, report)
    return report


def convert(
    path: str | os.PathLike,
    model: "keras.Model",
    out: str | os.PathLike,
    *,
    names: Names | None = None,
    prefix: str = "",
    strict: bool = True,
) -> Report:
    """Write any file of weights as Keras's `.weights.h5` for a model, which `model.load_weights` and `read` take.

    Args:
        path: of the file to convert, as for `read`.
        model: the network the weights are for; they stay loaded in it.
        out: path of the new file, ending in `.weights.h5`.
        names: as for `assign`.
        prefix: as for `assign`.
        strict: as for `assign`.

    Returns:
        As `assign`.

    Raises:
        ValueError: as `load`, or for another ending of `out`; nothing is written then.
        OSError: where `out` cannot be written; what stood there stays.

    Example:
        >>> report = convert("body_pose_model.pth", build_backbone("openpose_coco"), "coco.weights.h5")
    """
    if not Path(out).name.endswith(".weights.h5"):
        raise ValueError(f"out: expected a name ending in .weights.h5, received {out}")
    report = load(model, path, names=names, prefix=prefix, strict=strict)
    with atomic_file(Path(out)) as file:
        file.write(to_bytes(model))
    return report
