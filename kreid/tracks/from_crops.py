"""From crops of tracks to their matches, in one call: `kreid.match`, and what the command does step by step."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kreid.errors import ConfigError, check_function, check_path, received
from kreid.search.crops import crops_of_embeddings
from kreid.search.sources import crop_source
from kreid.tracks import crops as tracked_crops
from kreid.tracks.folders import tracks_of_paths
from kreid.tracks.identities import identify
from kreid.tracks.matching import distances, never_matched
from kreid.tracks.matching import match as match_tracks
from kreid.tracks.pooling import pool as pooled
from kreid.tracks.results import Results
from kreid.tracks.rules import Rules
from kreid.tracks.tracks import Tracks
from kreid.types import Progress
from tfrecords_tools.addresses import local_path
from tfrecords_tools.remote import path_of

if TYPE_CHECKING:
    import keras


def match(
    model: "keras.Model | None",
    crops: str | Path | Sequence[str | Path],
    identities: str | Path | None = None,
    *,
    pool: str = "mean",
    metric: str = "euclidean",
    one_to_one: bool = False,
    within_camera: bool = False,
    across_actions: bool = False,
    most: float | None = None,
    top: int | None = None,
    title: str = "Matches",
    progress: Progress | None = None,
) -> Results:
    """Match tracks: which of another camera, or of another time, show the same player.

    Tracks that overlap in time on one camera cannot be one person: they are counted, and never matched.

    Args:
        model: a model with an `embedding` output, from `build_model` or `load_model`; None for a file of embeddings,
            which has its vectors.
        crops: a folder of images CAMERA/TRACK/IMAGE, the frame being the last number in an image's name, or a list of
            such folders and images; a `.npz` that `kreid-embed` wrote of them; or a folder of records that tell tracks,
            such as `records/test`.
        identities: who is who among folders of crops, to score the matches: a CSV file whose first line is
            camera,track,person. Records know it.
        pool: one vector of a track's: "mean" (default), or "weighted", in which large and typical crops count for more.
        metric: distance between tracks, see `kreid.rank`.
        one_to_one: give each track one match at most on every camera, and no two the same one.
        within_camera: match tracks of one camera too, at other times: who comes back.
        across_actions: match tracks of different actions too, such as sequences of one match.
        most: no match beyond this distance; None (default) for no limit.
        top: how many matches to find for a track on each camera, 1 by default; not beside `one_to_one`.
        title: heading of the page that `kreid.tracks.write_matches` writes.
        progress: called with the images done and their total.

    Returns:
        Tracks, their vectors and distances, and the matches: shown as what there is to say of them, the matches
        themselves as `pairs()`.

    Raises:
        ConfigError: crops are not as above, or no two of their tracks can be matched; an argument makes no sense.
        ValueError: a file is damaged or no image, or a vector is not finite; names it.

    Example:
        >>> found = kreid.match(model, "footage", one_to_one=True)
        >>> found
        tracks  2
        crops   4
        cameras 2
        ...
        >>> first = found.pairs()[0]
        >>> first["camera"], first["track"], first["match_camera"], first["match"]
        ('left', '7', 'right', 'b')
        >>> kreid.tracks.write_matches(found, "matches")
    """
    rules = Rules(pool, metric, one_to_one, within_camera, across_actions, most, top)
    paths = [crops] if isinstance(crops, str | PathLike) else crops
    if isinstance(paths, bytes) or not isinstance(paths, Sequence | np.ndarray):
        raise ConfigError(f"crops: expected a folder, or a list of folders and images, received {received(crops)}")
    if not len(paths):
        raise ConfigError("crops: expected a folder, or a list of folders and images, received none")
    for number, path in enumerate(paths):
        check_path(f"crops: number {number}", path, "a folder or an image")
    if identities is not None:
        check_path("identities", identities, "a CSV file with the columns camera, track, person")
    if not isinstance(title, str):
        raise ConfigError(f"title: expected a text, received {received(title)}")
    if progress is not None:
        check_function("progress", progress, "the images done and their total")
    source = crop_source("crops", [path_of(path) for path in paths])
    return matched(tracked(source, rules, lambda _: model, identities, progress), rules, title)


def tracked(
    source: list[Path] | Path,
    rules: Rules,
    load: "Callable[[Tracks], keras.Model | None]",
    identities: str | Path | None = None,
    progress: Progress | None = None,
) -> tracked_crops.TrackedCrops:
    """Return the crops with their tracks; what is wrong with these is told before the network is asked for.

    Args:
        source: of `kreid.search.sources.crop_source`.
        rules: which the tracks are held against.
        load: called with the tracks for the network, where there is something to embed.
        identities: see `match`.
        progress: see `match`.

    Raises:
        ConfigError: see `match`.
        ValueError: see `match`.
    """
    if isinstance(source, Path) and source.is_dir():
        return _of_records(source, rules, load, identities, progress)
    if isinstance(source, Path):
        found = tracked_crops.crops_of_embeddings(crops_of_embeddings(source, queries=False), source)
        rules.check(found.tracks)
        return replace(found, tracks=_identified(found.tracks, identities))
    # A folder and one inside it may both be given.
    files = list({file.absolute(): file for file in source}.values())
    tracks = tracks_of_paths(files)
    rules.check(tracks)
    tracks = _identified(tracks, identities)
    return tracked_crops.crops_of_files(load(tracks), files, tracks, progress)


def matched(found: tracked_crops.TrackedCrops, rules: Rules, title: str) -> Results:
    """Return what matching finds among crops, whose vectors are asked for here.

    Args:
        found: of `tracked`.
        rules: what may be matched.
        title: see `match`.

    Raises:
        ValueError: a vector is not finite, or an image is damaged.
    """
    tracks = found.tracks
    vectors = pooled(tracks, found.vectors, rules.pool, found.areas)
    distance = distances(vectors, rules.metric)
    distance[never_matched(tracks, rules.within_camera, rules.across_actions)] = inf
    most = inf if rules.most is None else rules.most
    matches = match_tracks(tracks, distance, rules.one_to_one, rules.top or 1, most)
    return Results(title, tracks, vectors, distance, matches, rules.metric, found.picture)


def _of_records(
    folder: Path,
    rules: Rules,
    load: "Callable[[Tracks], keras.Model | None]",
    identities: str | Path | None,
    progress: Progress | None,
) -> tracked_crops.TrackedCrops:
    if identities is not None:
        raise ConfigError(
            f"{identities}: tells who is who among folders of crops; records know it, from kreid-convert --identities; "
            "leave it out"
        )
    tracks = tracked_crops.tracks_of_records(folder)
    rules.check(tracks, timed=False)
    found = tracked_crops.crops_of_records(load(tracks), folder, progress)
    rules.check(found.tracks)
    return found


def _identified(tracks: Tracks, identities: str | Path | None) -> Tracks:
    return tracks if identities is None else identify(tracks, local_path(identities))
