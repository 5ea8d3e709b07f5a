"""What matching is worth where people are known: a track is scored as an image is; NumPy only."""

from typing import Any

import numpy as np

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import figures_of
from kreid.ranking.protocols import matchable
from kreid.ranking.scores import evaluate
from kreid.tracks.matching import Matches
from kreid.tracks.tracks import Tracks
from tfrecords_tools.sources.assembly import NOBODY  # a distractor: other people, nobody knows who is whom of them

PROTOCOL = "cross_camera"


def right(tracks: Tracks, matches: Matches) -> np.ndarray:
    """Return (P,) int64: 1 for a match of one person, 0 for one of two, -1 where that is unknown, as across actions."""
    one, two = tracks.person[matches.first], tracks.person[matches.second]
    known = tracks.action[matches.first] == tracks.action[matches.second]
    known &= (one >= 0) & (two >= 0) & ((one != NOBODY) | (two != NOBODY))
    return np.where(known, (one == two).astype(np.int64), -1)


def score(tracks: Tracks, vectors: np.ndarray, matches: Matches, metric: str) -> dict[str, Any] | None:
    """Return the figures of tracks with labels; None where no two can be held against each other.

    Args:
        tracks: every one whose person is known is a query, held against the tracks of the other cameras, and against
            those of its own that show others; those whose person is unknown are left out.
        vectors: (T, D).
        matches: what was found.
        metric: of the distances.

    Returns:
        `protocol`, what `kreid.ranking.evaluate` gives where a track's person is on another camera; `matches`,
        `labelled_matches` and `right_matches`, the part of the latter that are of one person.
    """
    agree = right(tracks, matches)
    labelled = int((agree >= 0).sum())
    figures = _ranked(tracks, vectors, metric)
    if not labelled and not figures:
        return None
    share = float((agree == 1).sum() / labelled) if labelled else None
    return figures | {"matches": len(matches), "labelled_matches": labelled, "right_matches": share}


def _ranked(tracks: Tracks, vectors: np.ndarray, metric: str) -> dict[str, Any]:
    """Score every track as a query; the same ones are the gallery, for the protocol leaves out a query's own camera."""
    query = np.flatnonzero(tracks.person > NOBODY)
    rows = np.concatenate([query, np.arange(len(tracks))])
    embeddings = Embeddings(
        vectors[rows],
        tracks.person[rows],
        tracks.action[rows],
        bbox=rows,
        is_query=np.arange(len(rows)) < len(query),
        camera=tracks.camera[rows],
    )
    if not matchable(embeddings.images, PROTOCOL).any():
        return {}
    return {"protocol": PROTOCOL, **evaluate(figures_of(embeddings, metric, PROTOCOL))}
