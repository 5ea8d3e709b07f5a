"""What was matched: the tracks, their vectors and distances, and the matches among them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np

from kreid.tracks.matching import Matches, overlapping_pairs
from kreid.tracks.scoring import right, score
from kreid.tracks.tracks import Tracks
from tfrecords_tools.tables import aligned


class Pair(TypedDict):
    """A track and the one that it was matched with; the last five are those of `Matches`, a `margin` None for NaN."""

    track: str
    camera: str
    match: str
    match_camera: str
    place: int
    distance: float
    margin: float | None
    mutual: bool
    overlap: int


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """What was matched; shown as what there is to say of it, a line each.

    Args:
        title: heading of the page.
        tracks: what was compared.
        vectors: (T, D) of length one, a track each.
        distance: (T, T), infinite where two are never matched.
        matches: what was found.
        metric: of the distances.
        picture: of a crop's row, encoded, or None where there is none.
    """

    title: str
    tracks: Tracks
    vectors: np.ndarray
    distance: np.ndarray
    matches: Matches
    metric: str
    picture: Callable[[int], bytes | None]

    def __repr__(self) -> str:
        shown = {"mAP": "mAP", "rank1": "rank-1"}
        metrics = self.metrics or {}
        scores = [(name, f"{100 * metrics[key]:.1f}") for key, name in shown.items() if key in metrics]
        return aligned([*self.facts(), *scores], right=[1])

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """Figures of tracks with labels, of `kreid.tracks.scoring.score`; None without labels."""
        return score(self.tracks, self.vectors, self.matches, self.metric)

    def pairs(self) -> list[Pair]:
        """Return the matches as `matches.csv` has them, in its order: one dict a pair."""
        found, tracks = self.matches, self.tracks
        columns = (found.first, found.second, found.place, found.distance, found.margin, found.mutual, found.overlap)
        cameras = [tracks.cameras[place] for place in tracks.camera]
        return [
            Pair(
                track=tracks.names[first],
                camera=cameras[first],
                match=tracks.names[second],
                match_camera=cameras[second],
                place=place,
                distance=distance,
                margin=None if np.isnan(margin) else margin,
                mutual=mutual,
                overlap=overlap,
            )
            for first, second, place, distance, margin, mutual, overlap in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def facts(self) -> list[tuple[str, str]]:
        """Return what there is to say of the tracks and of the matches: what is counted, and the number."""
        tracks, matches = self.tracks, self.matches
        said = [
            ("tracks", len(tracks)),
            ("crops", len(tracks.crops)),
            ("cameras", len(np.unique(tracks.camera))),
            ("pairs that overlap in time on one camera: never matched", overlapping_pairs(tracks)),
            ("matches", len(matches)),
            ("mutual", int(matches.mutual.sum())),
            ("matches that an overlapping track has too: not all right", int((matches.overlap > 0).sum())),
        ]
        agree = right(tracks, matches)
        if (agree >= 0).any():
            said.append((f"right, of {(agree >= 0).sum():,} with labels", int((agree == 1).sum())))
        return [(name, f"{number:,}") for name, number in said]
