"""What matching writes into a folder: matches.csv, distances.npz, matches.html, and metrics.json where labels exist."""

import csv
import io
from pathlib import Path

import numpy as np

from kreid.errors import check_kind, check_path
from kreid.files.atomic import atomic_file, write_json
from kreid.tracks.page import matches_page
from kreid.tracks.results import Pair, Results
from tfrecords_tools.addresses import local_path
from tfrecords_tools.arrays import write_arrays

FILES = MATCHES, DISTANCES, PAGE, METRICS = "matches.csv", "distances.npz", "matches.html", "metrics.json"


def write_matches(results: Results, folder: str | Path) -> None:
    """Write everything, each file whole or not at all; without labels, a file of figures that is there goes.

    Args:
        results: what was matched, of `kreid.match`.
        folder: where to. `matches.csv` has a pair a line, with the columns of `Matches`; `margin` is empty where there
            is no other track. `distances.npz` has `distance` (T, T) float32, infinite where two tracks are never
            matched, and of every track `vector`, `track`, `camera`, `action`, `person`, `first`, `last` (frames) and
            `crops`, how many.

    Raises:
        ConfigError: they are no results, or the folder is none of this machine.
    """
    check_kind("results", results, Results)
    check_path("folder", folder, "the folder to write into")
    folder = local_path(folder)
    with atomic_file(folder / MATCHES) as file:
        file.write(_table(results).encode("utf-8", "surrogateescape"))  # a name that is not UTF-8 keeps its bytes
    with atomic_file(folder / DISTANCES) as file:
        write_arrays(file, _arrays(results))
    with atomic_file(folder / PAGE) as file:
        for piece in matches_page(results):
            file.write(piece.encode("utf-8"))
    if results.metrics is None:
        (folder / METRICS).unlink(missing_ok=True)
    else:
        write_json(folder / METRICS, results.metrics)


def _table(results: Results) -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(Pair.__annotations__))
    table.writeheader()
    table.writerows({**pair, "mutual": str(pair["mutual"]).lower()} for pair in results.pairs())
    return text.getvalue()


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
