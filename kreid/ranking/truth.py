"""The labels that a ranking file is scored by, from SoccerNet's files or from this project's records; NumPy only."""

from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from kreid.errors import check_path
from kreid.ranking.embeddings import Images, protocol_in
from kreid.ranking.protocols import PROTOCOLS
from tfrecords_tools.addresses import as_path
from tfrecords_tools.arrays import read_arrays
from tfrecords_tools.info import AGAIN, INFO_NAME, parse_info, protocol_of_split
from tfrecords_tools.json_text import load_json
from tfrecords_tools.sources.soccernet import scan

_INDEX = "index.npz"  # of records
_NAMES = (_INDEX, "bbox_info.json", "test_bbox_info.json")
_SUBSETS = ("query", "gallery")
_LABELS = ("person", "action", "bbox", "is_query")
_NUMBERS = ("action_idx", "bbox_idx")


def read_groundtruth(path: str | Path) -> Images:
    """Read the labels of a split's query and gallery images.

    Args:
        path: SoccerNet's `bbox_info.json`, the `index.npz` beside converted records, an `Embeddings` file, or a split's
            folder: of records, or of SoccerNet's tree, whose file names say the labels where it has no such list.

    Returns:
        The labels; person is -1 where they are withheld, camera None where the file tells none. Their protocol is the
        one that the records' `info.json` or the `Embeddings` file names, else "action".

    Raises:
        ValueError: the file or folder is something else or an entry is wrong; names it and the entry.
    """
    check_path("path", path, "a file or folder of labels")
    path = as_path(path)
    if path.is_dir():
        found = [path / name for name in _NAMES if (path / name).is_file()]
        if not found and all((path / subset).is_dir() for subset in _SUBSETS):
            return _scan(path)
        path = found[0] if found else _refuse(path)
    arrays = read_arrays(path, _LABELS) if path.suffix == ".npz" else _read_bbox_info(path)
    camera = arrays.get("camera")
    if camera is not None and np.all(camera == -1):  # as records have it that tell none
        camera = None
    of_records = path.name == _INDEX and "vectors" not in arrays
    if of_records and camera is None and not (path.resolve().parent.parent / INFO_NAME).is_file():
        of_records = False  # an index that was copied alone; without cameras there is one way to score it
    named = protocol_of_records(path.parent) if of_records else None
    try:
        protocol = named or protocol_in(arrays, path)
        person, action, bbox, is_query = (arrays[name] for name in _LABELS)
        images = Images(person, action, bbox, is_query, camera=camera, protocol=protocol)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not images.is_query.any():
        raise ValueError(f"{path}: no queries, as in the training set; give the labels of valid, test or challenge")
    return images


def protocol_of_records(folder: Path) -> str:
    """Return what a split of records is ranked and scored by where nothing else is asked for.

    Raises:
        ValueError: `info.json` beside the folder is missing or unreadable, or names a protocol that is none of
            `PROTOCOLS`.
    """
    folder = folder.resolve()
    told = folder.parent / INFO_NAME
    if not told.is_file():
        raise ValueError(f"{told}: no such file, which says how {folder.name} is scored; copy it along, or {AGAIN}")
    named = protocol_of_split(parse_info(told.read_bytes(), told), folder.name, told)
    if named not in PROTOCOLS:
        raise ValueError(
            f"{told}: protocol of {folder.name}: expected one of {', '.join(PROTOCOLS)}, "
            f"received {named!r:.40}; {AGAIN}"
        )
    return named


def _refuse(folder: Path) -> NoReturn:
    splits = {one.parent for name in _NAMES for part in ("*", "reid/*") for one in folder.glob(f"{part}/{name}")}
    hint = f"; give one split: {', '.join(map(str, sorted(splits)))}" if splits else ""
    raise ValueError(f"{folder}: expected {' or '.join(_NAMES)} in this folder{hint}")


def _scan(folder: Path) -> Images:
    entries = scan(folder.parent, folder.name)
    names = [entry.thumbnail for entry in entries]
    return Images(
        person=np.array([-1 if name.person is None else name.person for name in names]),
        action=np.array([name.action for name in names]),
        bbox=np.array([name.bbox for name in names]),
        is_query=np.array([entry.subset == "query" for entry in entries]),
    )


def parse_json(data: bytes) -> tuple[Any, list[str]]:
    """Return what a JSON text holds, and the keys that stand twice in an object, of which the last one counts.

    Raises:
        ValueError: it is not JSON, in UTF-8, or nested too deeply.
    """
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    repeated.append(key)
                seen.add(key)
        return members

    try:
        return load_json(data, object_pairs_hook=collect), repeated
    except ValueError as error:
        raise ValueError(f"{error!s:.100}") from error


def _read_bbox_info(path: Path) -> dict[str, np.ndarray]:
    try:
        info, repeated = parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON: {error}") from error
    if repeated:
        raise ValueError(f"{path}: keys that stand twice: {len(repeated):,} (first: {repeated[0]!r:.40})")
    rows = []
    for subset in _SUBSETS:
        entries = info.get(subset) if isinstance(info, dict) else None
        if not isinstance(entries, dict):
            raise ValueError(
                f'{path}: expected {{"query": {{...}}, "gallery": {{...}}}}, received no object named {subset}'
            )
        rows += [(*_numbers(path, subset, key, entry), subset == "query") for key, entry in entries.items()]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return dict(zip(_LABELS, (table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(bool)), strict=True))


def _numbers(path: Path, subset: str, key: str, entry: Any) -> tuple[int, int, int]:
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: {subset} {key!r:.40}: expected an object, received {type(entry).__name__}")
    person = entry.get("person_uid")
    values = {"person_uid": -1 if person is None else person} | {name: entry.get(name) for name in _NUMBERS}
    for name, number in values.items():
        if type(number) is not int or not -1 <= number < 2**63:
            raise ValueError(f"{path}: {subset} {key!r:.40}: {name}: expected an integer, received {number!r:.40}")
    person, action, bbox = values.values()
    if str(bbox) != key:
        raise ValueError(f"{path}: {subset} {key!r:.40}: bbox_idx: expected the entry's key, received {bbox}")
    return person, action, bbox
