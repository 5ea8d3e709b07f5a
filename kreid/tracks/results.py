"""What was matched: the tracks, their vectors and distances, and the matches among them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kreid.tracks.matching import Matches, overlapping_pairs
from kreid.tracks.scoring import right
from kreid.tracks.tracks import Tracks


@dataclass(frozen=True, eq=False)
class Results:
    """What was matched.

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
