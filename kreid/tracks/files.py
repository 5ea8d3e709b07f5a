"""What matching writes into a folder: matches.csv, distances.npz, matches.html, and metrics.json where labels exist."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kreid.files.atomic import atomic_file, write_json
from kreid.tracks.page import matches_page
from kreid.tracks.results import Results
from tfrecords_tools.arrays import write_arrays

FILES = MATCHES, DISTANCES, PAGE, METRICS = "matches.csv", "distances.npz", "matches.html", "metrics.json"
_COLUMNS = ("track", "camera", "match", "match_camera", "place", "distance", "margin", "mutual", "overlap")


def write_matches(results: Results, metrics: dict[str, Any] | None, folder: str | Path) -> None:
    """Write everything, each file whole or not at all.

    Args:
        results: what was matched.
        metrics: of `kreid.tracks.scoring.score`; None removes the file that an earlier run has left.
        folder: where to. `matches.csv` has a pair a line, with the columns of `Matches`; `margin` is empty where there
            is no other track. `distances.npz` has `distance` (T, T) float32, infinite where two tracks are never
            matched, and of every track `vector`, `track`, `camera`, `action`, `person`, `first`, `last` (frames) and
            `crops`, how many.
    """
    folder = Path(folder)
    with atomic_file(folder / MATCHES) as file:
        for line in _lines(results):
            file.write(line.encode("utf-8", "surrogateescape"))  # a name that is not UTF-8 keeps its bytes
    with atomic_file(folder / DISTANCES) as file:
        write_arrays(file, _arrays(results))
    with atomic_file(folder / PAGE) as file:
        for piece in matches_page(results):
            file.write(piece.encode("utf-8"))
    if metrics is None:
        (folder / METRICS).unlink(missing_ok=True)
    else:
        write_json(folder / METRICS, metrics)


def _lines(results: Results) -> Iterator[str]:
    yield ",".join(_COLUMNS) + "\r\n"
    found = results.matches
    columns = (found.first, found.second, found.place, found.distance, found.margin, found.mutual, found.overlap)
    for first, second, place, distance, margin, mutual, overlap in zip(*(a.tolist() for a in columns), strict=True):
        names = [name for track in (first, second) for name in _named(results, track)]
        text = io.StringIO(newline="")
        shown = "" if np.isnan(margin) else margin
        csv.writer(text).writerow([*names, place, distance, shown, str(mutual).lower(), overlap])
        yield text.getvalue()


def _named(results: Results, track: int) -> tuple[str, str]:
    return results.tracks.names[track], results.tracks.cameras[results.tracks.camera[track]]


def _arrays(results: Results) -> dict[str, np.ndarray]:
    tracks = results.tracks
    return {
        "distance": results.distance.astype(np.float32),
        "vector": results.vectors.astype(np.float32),
        "track": np.array(tracks.names, np.str_),
        "camera": np.array([tracks.cameras[camera] for camera in tracks.camera], np.str_),
        "action": tracks.action,
        "person": tracks.person,
        "first": tracks.first,
        "last": tracks.last,
        "crops": tracks.sizes,
    }
