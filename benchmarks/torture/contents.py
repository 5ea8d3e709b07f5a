"""What stands in a folder, as values to compare: arrays, records and figures, without times."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.torture.outcomes import Damaged
from kreid import runs
from kreid.runs import checkpoints
from kreid.runs.weights import read_weights
from tfrecords_tools.arrays import read_arrays
from tfrecords_tools.index import read_index, read_info

SPLITS = ("train", "valid", "test", "challenge")
_TIMES = {"seconds", "images_per_second", "busy"}  # of figures that no two runs share
Content = Any  # compared by ==; None where nothing stands


def records(out: Path) -> Content:
    """The records of every split that `info.json` knows; what a reader of them finds."""
    try:
        if not (out / "info.json").exists():
            return _nothing(out)
        info = read_info(out)
        found = {}
        for split in info["splits"]:
            with read_index(out / split) as index:
                found[split] = _digest(b"".join(index.read(range(len(index)))))
    except (ValueError, OSError) as error:
        raise Damaged(f"{out}: {error}") from error
    strays = [split for split in SPLITS if (out / split).exists() and split not in found]
    if strays:
        raise Damaged(f"{out}: {strays} stand there, info.json does not know them")
    return info["splits"], found


def _nothing(out: Path) -> None:
    """No records; those on their way are completed first."""
    try:
        read_info(out)
    except (ValueError, OSError):
        splits = [split for split in SPLITS if (out / split).exists()]
        if splits:
            raise Damaged(f"{out}: {splits} stand there without info.json") from None
        return None
    return records(out)


def arrays(path: Path) -> Content:
    """The arrays of a `.npz` file."""
    if not path.exists():
        return None
    try:
        return {name: _array(array) for name, array in read_arrays(path).items()}
    except ValueError as error:
        raise Damaged(str(error)) from error


def figures(path: Path) -> Content:
    """A JSON file, without what it says of time."""
    if not path.exists():
        return None
    try:
        return _timeless(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise Damaged(f"{path}: {error}") from error


def page(path: Path) -> Content:
    """Whether there is a page, which is whole."""
    if not path.exists():
        return None
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise Damaged(f"{path}: has no end")
    return True


def weights(path: Path) -> Content:
    """The arrays of a file of Keras weights."""
    if not path.exists():
        return None
    try:
        return _weights(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Damaged(f"{path}: {error}") from error


def run_weights(run: Path) -> Content:
    """The weights of a run, held against their digest."""
    if not (run / runs.WEIGHTS).exists():
        return None
    try:
        return _weights(read_weights(run))
    except (OSError, ValueError) as error:
        raise Damaged(str(error)) from error


def run(folder: Path) -> Content:
    """All that a training leaves which another one would leave too."""
    if not (folder / runs.CONFIG).exists():
        return None
    newest = checkpoints.newest(folder / runs.CHECKPOINTS)  # a kill may leave an older one than `train.keep` allows
    state = {name: array for name, array in arrays(newest).items() if name != "progress"} if newest else {}
    log = folder / runs.LOG
    rows = list(csv.DictReader(log.read_text(encoding="utf-8").splitlines())) if log.exists() else None
    config = (folder / runs.CONFIG).read_text(encoding="utf-8")
    return {
        "config": config,
        "weights": run_weights(folder),
        "state": (newest and newest.name, state),
        "log": rows,
        "summary": figures(folder / runs.SUMMARY),
    }


def versions(serving: Path) -> Content:
    """The numbers of the exported versions, every one of which has the same files."""
    found = sorted(path for path in serving.glob("*") if path.name.isdecimal())
    files = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) for folder in found]
    for folder, names in zip(found, files, strict=True):
        if "saved_model.pb" not in names or not any(name.startswith("variables/variables.data") for name in names):
            raise Damaged(f"{folder}: half a version, {names}")
    if any(names != files[0] for names in files):
        raise Damaged(f"{serving}: versions of different files, {files}")
    return [path.name for path in found]


def differences(found: Content, expected: Content) -> str:
    """Where two contents differ, in short."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
        return "; ".join(f"{key}: {differences(found.get(key), expected.get(key))}" for key in keys[:3])
    return f"found {str(found)[:120]}, expected {str(expected)[:120]}"


def _weights(content: bytes) -> Content:
    found = {}
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(
            lambda name, item: found.update({name: _array(item[()])}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def _array(array: np.ndarray) -> tuple[str, tuple[int, ...], str]:
    array = np.asarray(array)
    return str(array.dtype), array.shape, _digest(np.ascontiguousarray(array).tobytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in _TIMES}
    return [_timeless(item) for item in value] if isinstance(value, list) else value
