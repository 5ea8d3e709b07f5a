"""The index beside a split's records: what each record is and where it lies, so that training can seek. No TensorFlow.

OUT/info.json                 counts and settings of every split, and the schema version
OUT/<split>/index.npz         the arrays of `Index`
OUT/<split>/<split>-00003-of-00016.tfrecord
"""

import hashlib
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.fraction import limit_actions
from tfrecords_tools.info import AGAIN, INFO_NAME, Info, SplitInfo, parse_info
from tfrecords_tools.records import FOOTER, HEADER, checksum_in, unframe
from tfrecords_tools.remote import RemotePath, open_descriptor, path_of
from tfrecords_tools.staging import recover

INDEX_NAME = "index.npz"

# Array of the index -> its type, for the arrays with one value per record.
COLUMNS: dict[str, type[np.generic]] = {
    "shard": np.int32,
    "offset": np.int64,
    "length": np.int64,
    "checksum": np.int64,
    "bbox": np.int64,
    "action": np.int64,
    "person": np.int64,
    "is_query": np.bool_,
    "game": np.int32,
    "camera": np.int64,
    "track": np.int32,
}
_SINCE_2 = ("camera", "track")  # columns that version 1 lacks: everywhere unknown
_LATER = "checksum"  # a column that earlier indexes of either version lack: unknown too
_TOLD = ("bbox", "action", "person", "is_query", "game", "camera", "track", "length", "checksum")  # what a record is
NAMES = ("cameras", "tracks", "people")  # further arrays: names by number, or by position in the column "track"


@dataclass(frozen=True, eq=False)
class Index:
    """What the records of one split are and where they lie; the order is that of the files.

    Args:
        folder: the split's folder.
        shards: its TFRecord files, in order.
        shard: `(M,)` int32, position in `shards` of each record's file.
        offset: `(M,)` int64, where the record's payload begins in that file, in bytes.
        length: `(M,)` int64, the payload's length in bytes.
        checksum: `(M,)` int64, the payload's checksum in its frame, which tells it from a record of another conversion;
            -1 where unknown.
        bbox: `(M,)` int64, index of the thumbnail in its list.
        action: `(M,)` int64; the records of an action stand together, queries first.
        person: `(M,)` int64 identities as in the file names, -1 where they are withheld.
        is_query: `(M,)` bool; false in the training set.
        game: `(M,)` int32, position in `games`.
        camera: `(M,)` int64 number of the camera, -1 where unknown.
        track: `(M,)` int32, position in `tracks`, -1 where unknown.
        games: `(G,)` the championship/season/game folders.
        cameras: names of the cameras by their number, "" for a number that none has; empty where they have no names.
        tracks: `(T,)` names of the tracks.
        people: names of the people by their number, the same way as `cameras`.
        fraction: part of the whole set's actions that the records hold.
        last_action: the last action index of the whole set, whatever the fraction.

    Example:
        >>> with read_index("records/train") as index:
        ...     first = index.read(np.flatnonzero(index.action == 0))
    """

    folder: Path
    shards: tuple[Path, ...]
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    checksum: np.ndarray
    bbox: np.ndarray
    action: np.ndarray
    person: np.ndarray
    is_query: np.ndarray
    game: np.ndarray
    camera: np.ndarray
    track: np.ndarray
    games: np.ndarray
    cameras: np.ndarray
    tracks: np.ndarray
    people: np.ndarray
    fraction: float
    last_action: int
    _paths: tuple[Path, ...] = field(init=False, repr=False)  # of the files, wherever the process goes
    _open: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_paths", tuple(shard.absolute() for shard in self.shards))
        weakref.finalize(self, _close, self._open)

    def __len__(self) -> int:
        return len(self.offset)

    @property
    def known_camera(self) -> np.ndarray | None:
        """The column `camera`, None where no camera is known."""
        return None if np.all(self.camera == -1) else self.camera

    def read(self, rows: Iterable[int]) -> list[bytes]:
        """Read records by their position in the index, in the order asked for.

        Files are opened at the first need and stay open; several threads may read at once.

        Args:
            rows: positions, 0 to `len(index) - 1`, in any order, repeated or not.

        Returns:
            The serialized `tf.train.Example` of each, for `schema.parse`.

        Raises:
            IndexError: for a position outside the index.
            ValueError: naming the file and the record, if the file has vanished, is not what the index describes, or
                is damaged: every checksum is held against what was read.
        """
        return [self._read_one(int(row)) for row in rows]

    def fraction_rows(self, fraction: float) -> np.ndarray:
        """Return the positions of the records in a fraction of the whole training set.

        Args:
            fraction: in (0, 1], of the set the records were made from, by the rule of `fraction.limit_actions`; 1 is
                all there are, also if they were converted from a fraction.

        Raises:
            ConfigError: for a fraction outside (0, 1], of a single action, or larger than the one that was converted.
        """
        limit = limit_actions(self.last_action, fraction)
        if fraction != 1 and limit > limit_actions(self.last_action, self.fraction):
            raise ConfigError(
                f"fraction: {fraction} was asked for, but {self.folder} holds only {self.fraction} of the actions; "
                "run kreid-convert with a larger --fraction, or take 1 for all that is there"
            )
        return np.flatnonzero(self.action < limit)

    def digest(self, rows: ArrayLike | None = None) -> str:
        """Return 64 hex digits that tell these records from others, wherever they lie: by their labels and checksums.

        Args:
            rows: positions of the records, in the order that counts; all by default.
        """
        chosen = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        told = hashlib.sha256()
        for name in _TOLD:
            told.update(np.ascontiguousarray(getattr(self, name)[chosen], "<i8").tobytes())
        return told.hexdigest()

    def name(self, row: int) -> str:
        """Say which record stands at a position, for messages: its file, action and bbox."""
        return f"{self.shards[self.shard[row]]}: action {self.action[row]} bbox {self.bbox[row]}"

    def close(self) -> None:
        """Close the files; a later `read` opens them again."""
        with self._lock:
            _close(self._open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read_one(self, row: int) -> bytes:
        if not 0 <= row < len(self):
            raise IndexError(f"rows: expected positions in 0..{len(self) - 1}, received {row}")
        size, start = HEADER + int(self.length[row]) + FOOTER, int(self.offset[row]) - HEADER
        shard = int(self.shard[row])
        try:
            framed = os.pread(self._handle(shard), size, start)
            payload = unframe(framed)
            if self.checksum[row] not in (-1, checksum_in(framed)):
                raise ValueError("it is another one than the index describes")
            return payload
        except OSError as error:  # the disk fails, or a server has gone
            advice = "" if isinstance(self.folder, RemotePath) else f"; {AGAIN}"
            raise ValueError(f"{self.shards[shard]}: {error.strerror}{advice}") from error
        except ValueError as error:
            raise ValueError(f"{self.name(row)}: the record is damaged, {error}; {AGAIN}") from None

    def _handle(self, shard: int) -> int:
        with self._lock:
            if shard not in self._open:
                self._open[shard] = open_descriptor(self._paths[shard])
            return self._open[shard]


def read_info(out: str | os.PathLike) -> Info:
    """Read the `info.json` of a folder that `kreid-convert` wrote, after `staging.recover`.

    Of what version 1 did not say yet, it says what holds for all of its sets: SoccerNet's, scored inside actions.

    Raises:
        ValueError: if it is missing, unreadable or of another schema version.
    """
    recover(out)
    path = path_of(out) / INFO_NAME
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected a folder that kreid-convert wrote, received {path.parent}")
    return parse_info(path.read_bytes(), path)


def split_folder(data: str | os.PathLike, split: str) -> Path:
    """The folder of a split's records inside what `kreid-convert` wrote; `data` may be that folder itself.

    Raises:
        ValueError: see `staging.recover`, after which it looks.
    """
    recover(data)
    data = path_of(data)
    if (data / INDEX_NAME).exists():
        for own in (data, data.resolve()):  # which have different names where it is "." or a link
            if own.name == split:
                return own
    return data / split


def read_index(folder: str | os.PathLike) -> Index:
    """Read the index of a split and check that its records are all there.

    Args:
        folder: the split's folder, such as `records/train`.

    Raises:
        ValueError: naming what is wrong: no such folder or not one of records, another schema version, an index that
            cannot be read, a shard that is missing or of another size than written, counts unlike those of `info.json`.

    Example:
        >>> index = read_index("records/valid")
        >>> len(index), int(index.is_query.sum())
        (45993, 11638)
    """
    recover(folder)
    folder = path_of(folder)
    if not folder.is_dir():
        above = folder.parent.resolve()
        hint = f"; {above} is one split, give the folder that holds it" if (above / INDEX_NAME).is_file() else ""
        raise ValueError(f"{folder}: no such folder of records; kreid-convert writes it{hint}")
    path = folder / INDEX_NAME
    if not path.is_file():
        inner = sorted(one.parent.name for one in folder.glob(f"*/{INDEX_NAME}"))
        hint = f"; give one of its splits: {', '.join(inner)}" if inner else f"; {AGAIN}"
        raise ValueError(f"{path}: no such file, expected the folder of one split that kreid-convert wrote{hint}")
    info = read_info(folder.resolve().parent)
    try:
        content = read_arrays(path)
    except ValueError as error:
        raise ValueError(f"{error}; {AGAIN}") from error
    try:
        index, sizes = _build(folder, content)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: not a readable index, {type(error).__name__}: {error}; {AGAIN}") from error
    for shard, size in zip(index.shards, sizes, strict=True):
        found = shard.stat().st_size if shard.is_file() else None
        if found != size:
            received = "the file is missing" if found is None else f"the file has {found}"
            raise ValueError(f"{shard}: expected {size} bytes, {received}; restore it or {AGAIN}")
    told = info["splits"].get(folder.resolve().name)
    if told is not None and (unlike := _differences(index, told)):
        raise ValueError(
            f"{folder}: not the records that {INFO_NAME} beside it describes: {', '.join(unlike)}; restore the folder "
            f"that belongs there, or {AGAIN}"
        )
    return index


def _differences(index: Index, told: SplitInfo) -> list[str]:
    """Say what a split's index counts otherwise than `info.json`: the folder of another split or conversion."""
    queries, people = int(index.is_query.sum()), np.unique(index.person)
    found = {
        "images": len(index),
        "queries": queries,
        "gallery": 0 if index.folder.resolve().name == "train" else len(index) - queries,
        "identities": None if -1 in people else len(people),
        "actions": len(np.unique(index.action)),
        "shards": len(index.shards),
        "bytes": sum(shard.stat().st_size for shard in index.shards),
        "cameras": len(np.unique(index.camera[index.camera >= 0])),
        "tracks": len(index.tracks),
    }
    said = dict(told)
    return [f"{name} {value}, not {said.get(name)}" for name, value in found.items() if said.get(name) != value]


def write_index(
    folder: Path,
    shards: dict[str, int],
    columns: Mapping[str, np.ndarray | Sequence[int]],
    games: list[str],
    fraction: float,
    last_action: int,
    names: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the index of a split.

    Args:
        folder: the split's folder.
        shards: name and size in bytes of every TFRecord file, in order.
        columns: the arrays of `COLUMNS`, or lists of their values.
        games: see `Index`.
        fraction: see `Index`.
        last_action: see `Index`.
        names: the arrays of `NAMES`, those that there are.
    """
    arrays: dict[str, ArrayLike] = {
        "shards": np.array(list(shards)),
        "shard_bytes": np.array(list(shards.values()), np.int64),
        "games": np.array(games),
        "fraction": np.float64(fraction),
        "last_action": np.int64(last_action),
    }
    arrays |= {name: np.array((names or {}).get(name, ()), np.str_) for name in NAMES}
    arrays |= {name: np.asarray(columns[name], dtype) for name, dtype in COLUMNS.items()}
    write_arrays(folder / INDEX_NAME, arrays)


def _build(folder: Path, content: dict[str, np.ndarray]) -> tuple[Index, np.ndarray]:
    """Return the index and its shards' sizes; raise any exception if the arrays do not fit together."""
    if "camera" not in content:  # version 1
        unknown = np.full(content["offset"].shape, -1)
        content = content | dict.fromkeys(_SINCE_2, unknown) | dict.fromkeys(NAMES, np.array([], np.str_))
    if _LATER not in content:
        content = content | {_LATER: np.full(content["offset"].shape, -1)}
    columns: dict[str, np.ndarray] = {name: np.asarray(content[name], dtype) for name, dtype in COLUMNS.items()}
    names, sizes, games = content["shards"], content["shard_bytes"], content["games"]
    shapes = {name: array.shape for name, array in columns.items()}
    if len(set(shapes.values())) != 1 or columns["offset"].ndim != 1 or names.shape != sizes.shape:
        raise ValueError(f"arrays of different lengths {shapes}")
    for name, size in (("shard", len(names)), ("game", len(games))):
        if np.any((columns[name] < 0) | (columns[name] >= size)):
            raise ValueError(f"{name} outside 0..{size - 1}")
    if np.any((columns["track"] < -1) | (columns["track"] >= len(content["tracks"]))):
        raise ValueError(f"track outside -1..{len(content['tracks']) - 1}")
    ends = columns["offset"] + columns["length"] + FOOTER
    if np.any((columns["offset"] < HEADER) | (columns["length"] < 0) | (ends > sizes[columns["shard"]])):
        raise ValueError("records outside their files")
    index = Index(
        folder=folder,
        shards=tuple(folder / str(name) for name in names),
        games=games,
        fraction=float(content["fraction"]),
        last_action=int(content["last_action"]),
        **{name: content[name] for name in NAMES},
        **columns,
    )
    return index, sizes


def _close(handles: dict[int, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])
