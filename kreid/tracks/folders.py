"""Tracks as folders: `camera/track/image`, the frame being the last number in the image's name."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kreid.errors import ConfigError
from kreid.tracks.tracks import Labels, Tracks, group
from tfrecords_tools.given_names import find_alike, frame_of


def tracks_of_paths(paths: Sequence[str | Path]) -> Tracks:
    """Return the tracks of image files; crop i is `paths[i]`. Looks at names alone.

    Args:
        paths: the folder above an image is its track, the one above that its camera.

    Raises:
        ConfigError: an image lies outside a track's folder, or two cameras have one name but for how it is written.

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
    frames = (frame_of(file.name) for file in files)
    frame = np.array([-1 if number is None else number for number in frames], np.int64)
    labels = Labels(track, camera, frame, person=np.full(len(track), -1), action=np.zeros_like(track))
    return group(labels, [folder.name for folder in folders], [camera.name for camera in cameras])


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
    cameras = list(cameras)
    alike = find_alike(camera.name for camera in cameras)
    if alike:
        first, second = [camera for camera in cameras if camera.name in alike][:2]
        how = "one name" if alike[0] == alike[1] else "one name but for case, spaces or zeros"
        raise ConfigError(f"two cameras of {how}: {first} and {second}; rename one, or give one of them alone")
