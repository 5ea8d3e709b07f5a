"""One file of a network for programs without TensorFlow, held against the trained network before it has its name."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kreid.errors import ConfigError
from kreid.serving.contracts import CONTRACTS, Contract
from kreid.serving.formats import FILES
from kreid.serving.written import Crops, Written, check_distance
from tfrecords_tools.errors import one_line
from tfrecords_tools.locks import LOCK_NAME, lock_folder

_STAGING = ".partial-export"


def export_file(
    model: keras.Model,
    out: str | Path,
    format: str,
    contract: str = "images",
    precision: str = "float32",
    calibration: np.ndarray | None = None,
    about: Mapping[str, Any] | None = None,
) -> Written:
    """Write a network as ONNX, LiteRT or OpenVINO, and hold what the file computes against the network itself.

    Args:
        model: a model with an `embedding` output.
        out: the file; one of that name is replaced. OpenVINO puts another one beside it, `.bin`.
        format: a key of `kreid.serving.formats.FILES`.
        contract: what the file takes, a key of `CONTRACTS`.
        precision: of `PRECISIONS`.
        calibration: images of the network's size, RGB 0-255, for the ranges of int8; the drawn crops by default.
        about: what the run says of itself, `kreid.runs.about.describe_run`; into the file, where the format has room.

    Raises:
        ConfigError: for a format whose package is missing or broken, or that does not know the precision, for another
            ending, and for a model without an embedding.
        ValueError: where the format cannot hold the network, or computes something else; nothing is written then.
        OSError: where the file cannot be written.

    Example:
        >>> export_file(load_model("saved_models/osnet"), "osnet.onnx", "onnx", contract="tracker").distance
    """
    line, takes, path = FILES[format], CONTRACTS[contract], Path(out)
    line.check(precision)
    line.check_name(path)
    crops = Crops.draw(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _staged(path.parent) as folder:
        partial = folder / f"network{line.suffix}"
        try:
            seen = np.asarray(takes.feed(crops.resized if calibration is None else calibration))
            line.load().write(takes.build(model), partial, precision, seen, _texts(model, takes, about or {}))
            run = line.load().read(partial)
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        except ImportError as error:  # it is there, and lacks a library of the system or another package
            names = ", ".join(line.packages)
            raise ConfigError(
                f"format {format}: of {names} one cannot be loaded ({one_line(error)}); install it again"
            ) from error
        except Exception as error:  # of many types: converters say in their own ways what they do not know
            raise ValueError(f"format {format}: cannot hold this network ({one_line(error)})") from error
        distance = crops.distance(lambda images: run(np.asarray(takes.feed(images))), any_size=not takes.fixed)
        check_distance(distance, f"format {format}", precision)
        _publish(folder, partial, path)
    return Written(path, distance, lambda images: run(np.asarray(takes.feed(images))))


def _texts(model: keras.Model, takes: Contract, about: Mapping[str, Any]) -> dict[str, str]:
    """What the file says of itself, a line each."""
    height, width = model.input_shape[1:3]
    texts = {
        "name": about.get("name", model.name),
        "size": f"{height}x{width}",
        "contract": f"{takes.name}: {takes.layout}, {takes.pixels}",
        "weights": about.get("weights"),
        "training_data": (about.get("summary") or {}).get("training_set"),
    }
    return {name: text if isinstance(text, str) else json.dumps(text) for name, text in texts.items() if text}


@contextmanager
def _staged(place: Path) -> Iterator[Path]:
    """Give a hidden folder beside a file to be written.

    One process at a time is at work in a place, the next one waits; hence whatever is half-written is of a process that
    is dead, and removed.
    """
    staging = place / _STAGING
    try:
        with lock_folder(staging, "kreid-export", wait=True) as locked:
            for left in staging.iterdir() if locked else ():  # else they may be of one who is at work
                if left.name != LOCK_NAME:
                    shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=staging) as folder:
                yield Path(folder)
    finally:
        with suppress(OSError):  # the next one is waiting there
            staging.rmdir()


def _publish(folder: Path, partial: Path, path: Path) -> None:
    """Give the files their names; OpenVINO's graph, which a reader opens first, comes last.

    Where one of two cannot have its name, the former two have theirs.
    """
    for written in folder.iterdir():
        with written.open("rb") as file:
            os.fsync(file.fileno())
    others = [written for written in folder.iterdir() if written != partial]
    names = {path.with_suffix(written.suffix): written for written in (*others, partial)}
    former: dict[Path, Path] = {}
    try:
        for name in reversed(names) if others else ():  # an older graph would be read with the new weights
            if name.is_file():
                former[name] = name.replace(folder / f"former{name.suffix}")
        for name, written in names.items():
            written.chmod(0o644)
            written.replace(name)
    except OSError:
        for name in reversed(former):
            former[name].replace(name)
        raise
