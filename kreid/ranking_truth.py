"""The labels that a ranking file is scored by, from SoccerNet's JSON or from this project's records; NumPy only."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kreid.ranking_embeddings import Images, read_npz

_NAMES = ("index.npz", "bbox_info.json", "test_bbox_info.json")


def read_groundtruth(path: str | Path) -> Images:
    """Read the labels of a split's query and gallery images.

    Args:
        path: SoccerNet's `bbox_info.json`, the `index.npz` beside converted records, an `Embeddings` file, or a folder
            that holds one of the first two.

    Returns:
        The labels; person is -1 where the file has none.

    Raises:
        ValueError: the file is something else or an entry is wrong; names file and entry.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in _NAMES if (path / name).is_file()]
        if not found:
            raise ValueError(f"{path}: expected {' or '.join(_NAMES)} in this folder")
        path = found[0]
    if path.suffix == ".npz":
        arrays = read_npz(path, ("person", "action", "bbox", "is_query"))
        columns = [arrays[name] for name in ("person", "action", "bbox", "is_query")]
    else:
        columns = _read_bbox_info(path)
    try:
        return Images(*columns)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_bbox_info(path: Path) -> list[np.ndarray]:
    try:
        info = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON: {error!s:.100}") from error
    rows = []
    for subset in ("query", "gallery"):
        entries = info.get(subset) if isinstance(info, dict) else None
        if not isinstance(entries, dict):
            raise ValueError(f'{path}: expected {{"query": {{...}}, "gallery": {{...}}}}, got no object named {subset}')
        rows += [(*_numbers(path, subset, key, entry), subset == "query") for key, entry in entries.items()]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return [table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(bool)]


def _numbers(path: Path, subset: str, key: str, entry: Any) -> tuple[int, int, int]:
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: {subset} {key!r:.40}: expected an object, got {type(entry).__name__}")
    person = entry.get("person_uid")
    numbers = (-1 if person is None else person, entry.get("action_idx"), entry.get("bbox_idx"))
    for name, number in zip(("person_uid", "action_idx", "bbox_idx"), numbers, strict=True):
        if type(number) is not int or not -1 <= number < 2**63:
            raise ValueError(f"{path}: {subset} {key!r:.40}: {name}: expected an integer, got {number!r:.40}")
    if str(numbers[2]) != key:
        raise ValueError(f"{path}: {subset} {key!r:.40}: bbox_idx: expected the entry's key, got {numbers[2]}")
    return numbers
