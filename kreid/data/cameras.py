"""Which camera each record is of, by name, and its number among those that a network knows. No TensorFlow.

Records number their cameras as their conversion found them; a network's numbers are positions in its own list of names,
which the run keeps (`model.appearance.camera_names`). So a camera is the same one in any records that name it alike.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kreid.errors import ConfigError, received
from tfrecords_tools.index import Index, read_index

_SHOWN = 8  # names in a message


def cameras_of(index: Index, rows: np.ndarray | None = None) -> np.ndarray:
    """Return `(M,)` names of the cameras of some records, the number itself of a camera without a name.

    Args:
        index: of the records.
        rows: their positions in it; all by default.

    Raises:
        ValueError: a record tells no camera; it names the folder.
    """
    number = index.camera if rows is None else index.camera[rows]
    if unknown := int((number < 0).sum()):
        raise ValueError(
            f"{index.folder}: {unknown:,} of {len(number):,} records tell no camera, which the network asks for "
            "(model.appearance.cameras); give records that do, or a network without cameras"
        )
    known, place = np.unique(number, return_inverse=True)
    return np.array([_name(index, one) for one in known.tolist()], np.str_)[place]


def numbers_among(cameras: Sequence[str] | np.ndarray, names: Sequence[str], where: str | Path) -> np.ndarray:
    """Return `(M,)` int32, the positions of cameras in a network's list of names.

    Args:
        cameras: the name of each image's camera.
        names: the network's.
        where: the images are from, for the message.

    Raises:
        ValueError: one is not in the list; it names the first.
    """
    own, place = np.unique(np.asarray(cameras, np.str_), return_inverse=True)
    numbers = {name: number for number, name in enumerate(names)}
    for number, name in enumerate(own.tolist()):
        if name not in numbers:
            raise ValueError(
                f"{where}: {int((place == number).sum()):,} images are of camera {name!r}, which is none of the "
                f"network's {len(names)} ({_listed(names)}); leave them out, or train with it"
            )
    return np.array([numbers[name] for name in own.tolist()], np.int32)[place]


def numbers_given(cameras: Sequence[str] | np.ndarray, names: Sequence[str], count: int) -> np.ndarray:
    """Return `(M,)` int32, a network's numbers for an argument `cameras`, which names that of each image.

    Args:
        cameras: what was given.
        names: the network's.
        count: M, how many images there are.

    Raises:
        ConfigError: it is no list of so many names.
        ValueError: as `numbers_among`.
    """
    listed = isinstance(cameras, Sequence | np.ndarray) and not isinstance(cameras, str)
    if not listed or len(cameras) != count:
        what = f"{len(cameras)} in {received(cameras)}" if listed else received(cameras)
        raise ConfigError(f"cameras: expected {count} names, one an image, received {what}")
    for name in cameras:
        if not isinstance(name, str):
            raise ConfigError(f"cameras: expected names, such as {names[0]!r}, received {received(name)} among them")
    return numbers_among(cameras, names, "cameras")


def numbers_of(index: Index, names: Sequence[str], rows: np.ndarray | None = None) -> np.ndarray:
    """Return `(M,)` int32, a network's numbers for the cameras of some records.

    Args:
        index: of the records.
        names: the network's.
        rows: their positions in the index; all by default.

    Raises:
        ValueError: as `cameras_of` and `numbers_among`.
    """
    return numbers_among(cameras_of(index, rows), names, index.folder)


def check_cameras(names: Sequence[str] | None, records: str | Path) -> None:
    """Complain of records whose cameras a network does not know, by their index alone.

    Args:
        names: the network's; None for a network without cameras, which takes all records.
        records: a split's folder.

    Raises:
        ValueError: as `cameras_of` and `numbers_among`.
    """
    if names is not None:
        with read_index(records) as index:
            numbers_of(index, names)


def learned_cameras(index: Index, rows: np.ndarray, count: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the cameras that a network is to learn, in the order of its vectors.

    Args:
        index: of the training records.
        rows: those that are trained on.
        count: `model.appearance.cameras`.
        names: `model.appearance.camera_names`; None for the cameras of the training images, by their numbers.

    Raises:
        ConfigError: where there are more or fewer cameras than `count`.
        ValueError: where a record tells no camera, or one that is not among `names`.
    """
    cameras = cameras_of(index, rows)
    if names is not None:
        numbers_among(cameras, names, index.folder)
        return tuple(names)
    found = [_name(index, number) for number in np.unique(index.camera[rows]).tolist()]
    if len(found) != count:
        more = "" if count < len(found) else ", or name them all in model.appearance.camera_names"
        raise ConfigError(
            f"model.appearance.cameras: expected {len(found)}, those of {index.folder} ({_listed(found)}), received "
            f"{count}; set it so{more}"
        )
    return tuple(found)


def _name(index: Index, number: int) -> str:
    return (str(index.cameras[number]) if number < len(index.cameras) else "") or str(number)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
