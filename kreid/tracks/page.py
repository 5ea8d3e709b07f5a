"""A page that shows what was matched: each track as a strip of crops, beside those of its matches; no script at all."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from kreid.pages.markup import BUDGET, brief, fill, fill_page, plain, within
from kreid.pictures.shown import Picture, pictures
from kreid.tracks.results import Results
from kreid.tracks.scoring import right

_HEIGHT = 96  # pixels
_STRIP = 5  # crops of a track that are shown, spread over its time
_OVERLAP = "a track at the same time on the same camera has this match too"


class _Strip(NamedTuple):
    """A track as `track.html` shows it."""

    name: str
    about: str
    pictures: list[Picture | str]


class _Match(NamedTuple):
    """A match as `track.html` shows it; `right` is 1, 0 or, where labels are unknown, -1."""

    strip: _Strip
    distance: str
    remarks: list[str]
    right: int


def matches_page(results: Results, budget: int = BUDGET) -> Iterator[str]:
    """Yield the page, piece by piece: the tracks with matches, the one with the nearest match first.

    Args:
        results: what was matched.
        budget: bytes that pictures may take; tracks beyond are left out, and the page says so.
    """
    groups = _by_track(results)
    cards = within(_cards(results, groups), budget)
    return fill_page(
        "tracks.html",
        ("page.css", "search.css", "tracks.css"),
        (),
        title=plain(results.title),
        facts=results.facts(),
        metric=results.metric,
        notes=_notes(results, len(cards), len(groups)),
        cards=cards,
    )


class _Strips:
    """The strips of tracks, with pictures that are shrunk once."""

    def __init__(self, results: Results) -> None:
        self._tracks = results.tracks
        self._picture = pictures(results.picture, _HEIGHT, 4096)

    def of(self, track: int) -> _Strip:
        """Return a track's strip."""
        tracks, crops = self._tracks, self._tracks.of(track)
        shown = crops[np.linspace(0, len(crops) - 1, min(len(crops), _STRIP)).round().astype(int)]
        about = "1 crop" if len(crops) == 1 else f"{len(crops):,} crops"
        first, last = tracks.first[track], tracks.last[track]
        if first >= 0:
            about += f" · frame {first}" if first == last else f" · frames {first}–{last}"
        return _Strip(plain(tracks.describe(track)), about, [self._picture(int(row)) for row in shown])


def _cards(results: Results, groups: Iterable[np.ndarray]) -> Iterator[Markup]:
    strips, agree = _Strips(results), right(results.tracks, results.matches)
    for pairs in groups:
        first = int(results.matches.first[pairs[0]])
        found = [_match(results, strips, pair, int(agree[pair])) for pair in pairs.tolist()]
        yield fill("track.html", track=strips.of(first), found=found)


def _by_track(results: Results) -> list[np.ndarray]:
    """Return the matches of each track, by camera and place; the tracks by their nearest match."""
    matches = results.matches
    if not len(matches):
        return []
    starts = np.flatnonzero(np.diff(matches.first, prepend=-1))
    order = np.argsort(np.minimum.reduceat(matches.distance, starts), kind="stable")
    groups = np.split(np.arange(len(matches)), starts[1:])
    return [groups[place] for place in order]


def _match(results: Results, strips: _Strips, pair: int, agree: int) -> _Match:
    matches = results.matches
    margin = matches.margin[pair]
    remarks = [] if np.isnan(margin) else [f"margin {brief(margin)}".replace("-", "−")]
    remarks += ["mutual"] if matches.mutual[pair] else []
    remarks += [_OVERLAP] if matches.overlap[pair] else []
    return _Match(strips.of(int(matches.second[pair])), brief(matches.distance[pair]), remarks, agree)


def _notes(results: Results, shown: int, total: int) -> list[str]:
    notes = []
    alone = len(results.tracks) - len(np.unique([results.matches.first, results.matches.second]))
    if alone:
        notes.append(f"Without a match: {alone:,} of {len(results.tracks):,} tracks.")
    if shown < total:
        notes.append(
            f"To keep this file small, it shows the first {shown:,} of {total:,} tracks with matches; matches.csv has "
            "them all."
        )
    return notes
