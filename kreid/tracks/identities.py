"""Who is who among tracks, as a table of `kreid-convert --identities` tells; NumPy only."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from kreid.errors import ConfigError
from kreid.tracks.tracks import Tracks
from tfrecords_tools.sources.assembly import NOBODY, check_alike, number_names
from tfrecords_tools.sources.rows import read_identities, track_key, warn_of_absent

_LOG = logging.getLogger(__name__)


def identify(tracks: Tracks, path: Path) -> Tracks:
    """Return tracks with the people of a table, numbered by their names; -1 where it does not tell a track's.

    Args:
        tracks: of one action.
        path: a CSV file with the columns camera, track, person; a person of "" is nobody in particular.

    Raises:
        ConfigError: the table tells no track's person.
        ValueError: it is no such table; names file and line. Two people have one name in two of Unicode's forms.

    Example:
        >>> identify(tracks_of_paths(["left/7/1.png", "right/b/1.png"]), Path("tracks.csv")).person.tolist()
        [1, 1]
    """
    joined = read_identities(path)
    keys = [
        track_key(tracks.cameras[camera], name)
        for camera, name in zip(tracks.camera.tolist(), tracks.names, strict=True)
    ]
    names = [joined.get(key) for key in keys]
    unknown = [number for number, name in enumerate(names) if name is None]
    if len(unknown) == len(names):
        raise ConfigError(
            f"{path}: joins none of the {len(names):,} tracks to a person; its camera and track are names of folders, "
            f"such as {','.join(keys[0]) if keys else 'left,7'}"
        )
    warn_of_absent(path, joined, set(keys))
    if unknown:
        _LOG.warning(
            "%s: tells no person of %d of %d tracks, which are matched but not scored, the first: %s",
            path, len(unknown), len(names), tracks.describe(unknown[0]),
        )  # fmt: skip
    check_alike("people", (name or "" for name in names), case=False)
    numbers, _ = number_names(name or "" for name in names)
    person = [-1 if name is None else numbers.get(name, NOBODY) for name in names]
    return replace(tracks, person=np.array(person, np.int64))
