"""Tracks as folders: `camera/track/image`, the frame being the last number in the image's name."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np

from kreid.errors import ConfigError
from kreid.tracks.tracks import Labels, Tracks, group

_DIGITS = 18  # of a number that fits 64 bits; a longer one counts no frames


def tracks_of_paths(paths: Sequence[str | Path]) -> Tracks:
    """Return the tracks of image files; crop i is `paths[i]`. Looks at names alone.

    Args:
        paths: the folder above an image is its track, the one above that its camera.

    Raises:
        ConfigError: an image lies outside a track's folder, or two cameras have one name, or one in other cases.

    Example:
        >>> tracks = tracks_of_paths(["left/7/f001.png", "left/7/f002.png", "right/b/f001.png"])
        >>> tracks.names, tracks.cameras, tracks.last.tolist()
        (['7', 'b'], ['left', 'right'], [2, 1])
    """
    files = [Path(path).absolute() for path in paths]
    folders = sorted({file.parent for file in files})
    cameras = list(dict.fromkeys(folder.parent for folder in folders))
    _check_depth(cameras, files, paths)
    _check_names(cameras)
    places = {camera: place for place, camera in enumerate(cameras)}
    numbers = {folder: number for number, folder in enumerate(folders)}
    track = np.array([numbers[file.parent] for file in files], np.int64)
    camera = np.array([places[file.parent.parent] for file in files], np.int64)
    frame = np.array([frame_of(file.name) for file in files], np.int64)
    labels = Labels(track, camera, frame, person=np.full(len(track), -1), action=np.zeros_like(track))
    return group(labels, [folder.name for folder in folders], [camera.name for camera in cameras])


def frame_of(name: str) -> int:
    """Return the last number in an image's name, without its ending; -1 where there is none.

    Example:
        >>> frame_of("cam1_player07_000123.jpg")
        123
    """
    numbers = re.findall(r"[0-9]+", PurePath(name).stem)
    return int(numbers[-1]) if numbers and len(numbers[-1]) <= _DIGITS else -1


def _check_depth(cameras: Sequence[Path], files: Sequence[Path], paths: Sequence[str | Path]) -> None:
    """Images that lie above the others have the wrong folders for track and camera, which lie above a camera too."""
    outside = {above for camera in cameras for above in camera.parents} & set(cameras)
    outside |= {camera for camera in cameras if not camera.name}
    for file, path in zip(files, paths, strict=True):
        if file.parent.parent in outside:
            raise ConfigError(
                f"{path}: outside a track's folder; expected all images as CAMERA/TRACK/IMAGE, move it or leave it out"
            )


def _check_names(cameras: Iterable[Path]) -> None:
    seen: dict[str, Path] = {}
    for camera in cameras:
        other = seen.setdefault(camera.name.casefold(), camera)
        if other != camera:
            how = "one name" if other.name == camera.name else "one name in other cases"
            raise ConfigError(f"two cameras of {how}: {other} and {camera}; rename one, or give one of them alone")
