"""Crops with their tracks: from files in folders, from embeddings of such files, and from records."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kreid.errors import ConfigError
from kreid.search.crops import Crops, read_file
from kreid.tracks.folders import tracks_of_paths
from kreid.tracks.tracks import Labels, Tracks, group
from kreid.types import Progress
from tfrecords_tools.formats import open_image
from tfrecords_tools.index import Index, read_index

if TYPE_CHECKING:
    import keras

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrackedCrops:
    """The crops of tracks.

    Args:
        tracks: the tracks.
        vectors: called with rows of crops, returns their embeddings.
        areas: called with rows of crops, returns their pixels, 0 where unknown.
        picture: of a crop's row, encoded, or None where there is none.
        made: of a file of embeddings, see `kreid.search.Crops`.
    """

    tracks: Tracks
    vectors: Callable[[np.ndarray], np.ndarray]
    areas: Callable[[np.ndarray], np.ndarray]
    picture: Callable[[int], bytes | None]
    made: Mapping[str, str | bool] = field(default_factory=dict)


def crops_of_files(
    model: "keras.Model", files: Sequence[Path], tracks: Tracks, progress: Progress | None = None
) -> TrackedCrops:
    """Return the crops of image files, which are embedded when they are asked for.

    Args:
        model: with an `embedding` output; one that learned cameras is given those of the tracks.
        files: the images.
        tracks: theirs, of `tracks_of_paths`.
        progress: called with the images done and their total.
    """
    from kreid.embedding.extract import embed_files

    names = np.array(tracks.cameras, np.str_)
    camera = np.zeros(len(files), np.int64)
    camera[tracks.crops] = np.repeat(tracks.camera, tracks.sizes)

    def vectors(rows: np.ndarray, progress: Progress | None) -> np.ndarray:
        chosen = [files[row] for row in rows]
        return embed_files(model, chosen, progress=progress, cameras=names[camera[rows]].tolist())

    return _of_files(files, tracks, in_all(vectors, len(tracks.crops), progress))


def crops_of_embeddings(crops: Crops, name: str | Path) -> TrackedCrops:
    """Return the crops of a file of embeddings, with their tracks by the paths that it holds.

    Args:
        crops: of `kreid.search.crops.crops_of_embeddings`.
        name: of the file, for messages.

    Raises:
        ValueError: the file holds no paths.
    """
    if crops.paths is None:
        raise ValueError(
            f"{name}: holds no paths of image files, which tell the tracks; embed the folders of crops by kreid-embed"
        )
    files = [Path(str(path)) for path in crops.paths]
    found = _of_files(files, tracks_of_paths(files), lambda rows: np.asarray(crops.vectors)[rows])
    return replace(found, made=crops.made)


def tracks_of_records(folder: str | Path) -> Tracks:
    """Return the tracks of a folder of records by its index alone, which tells no frames.

    Raises:
        ConfigError: the records tell no tracks.
    """
    with read_index(folder) as index:
        return _tracks_of(index, np.full(len(index), -1))


def crops_of_records(model: "keras.Model", folder: str | Path, progress: Progress | None = None) -> TrackedCrops:
    """Return the crops of a folder of records, queries and gallery alike, which are embedded when they are asked for.

    Args:
        model: with an `embedding` output.
        folder: of one split, such as `records/test`.
        progress: called with the images done and their total.

    Raises:
        ConfigError: the records tell no tracks.
        ValueError: a record is damaged.
    """
    from kreid.data.records import read_fields
    from kreid.embedding.extract import embed
    from tfrecords_tools.schema import parse

    index = read_index(folder)
    frame, area = np.full(len(index), -1), np.zeros(len(index), np.int64)
    rows, done = np.flatnonzero(index.track >= 0), 0
    for fields in read_fields(index, rows):
        part = rows[done : done + len(fields["frame"])]
        frame[part], area[part] = fields["frame"], fields["height"] * fields["width"]
        done += len(part)
    tracks = _tracks_of(index, frame)

    def vectors(rows: np.ndarray, progress: Progress | None) -> np.ndarray:
        return embed(model, folder, progress=progress, rows=rows).vectors

    return TrackedCrops(
        tracks,
        in_all(vectors, len(tracks.crops), progress),
        area.__getitem__,
        lambda row: parse(index.read([row])[0])["image"].numpy(),
    )


def _tracks_of(index: Index, frame: np.ndarray) -> Tracks:
    tracked = index.track >= 0
    if not tracked.any():
        raise ConfigError(
            f"{index.folder}: its records tell no tracks; convert a source that does, such as folders of tracks or mot"
        )
    cameras = [index.cameras[number] if number < len(index.cameras) else "" for number in range(index.camera.max() + 1)]
    named = [str(name) or f"camera {number}" for number, name in enumerate(cameras)]
    number = np.zeros(len(index.tracks), np.int64)  # of the camera of each track
    number[index.track[tracked]] = index.camera[tracked]
    # Sources put the camera before a track's name, to tell tracks of one name apart.
    pairs = zip(index.tracks, number.tolist(), strict=True)
    names = [str(name).removeprefix(f"{named[place]}/" if place >= 0 else "") for name, place in pairs]
    return group(Labels(index.track, index.camera, frame, index.person, index.action), names, named)


def in_all(
    vectors: Callable[[np.ndarray, Progress | None], np.ndarray], total: int, progress: Progress | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return `vectors` without its second argument, whose progress adds up over calls to `total`."""
    done = 0

    def further(rows: np.ndarray) -> np.ndarray:
        nonlocal done
        before = done
        found = vectors(rows, progress and (lambda part, _: progress(before + part, total)))
        done += len(rows)
        return found

    return further


def _of_files(files: Sequence[Path], tracks: Tracks, vectors: Callable[[np.ndarray], np.ndarray]) -> TrackedCrops:
    def areas(rows: np.ndarray) -> np.ndarray:
        return np.array([_area(files[row]) for row in rows], np.int64)

    return TrackedCrops(tracks, vectors, areas, lambda row: read_file(files[row]))


def _area(path: Path) -> int:
    """Return a file's pixels, as its first bytes tell them; 0, and a warning, where it is not there any more."""
    data = read_file(path)
    if data is None:
        _LOG.warning(
            "the files of some crops cannot be read any more: in their tracks the size of crops does not count"
        )
        return 0
    with open_image(data) as image:
        return image.width * image.height
