"""Which tracks show one person: the nearest on every other camera, or pairs in which each track stands once.

NumPy and SciPy only. Memory is bounded by a matrix of tracks by tracks, 8 bytes a pair and a few more; crops are pooled
before. Time is bounded by the pairs of tracks times the length of a vector and, where tracks are assigned one to one,
by the cube of a camera's tracks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import inf
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from kreid.ranking.distances import pairwise
from kreid.tracks.tracks import Tracks

_ROWS = 256  # of the matrix, computed at once


@dataclass(frozen=True, eq=False)
class Matches:
    """P pairs of tracks, each array of P values.

    Args:
        first: int64, a track.
        second: int64, the track that it was matched with.
        place: int64, from 1: the nearest on that camera, the second nearest; 1 where tracks were assigned one to one.
        distance: float64.
        margin: float64, how much further the best other track on that camera is, below 0 where it is nearer; NaN where
            there is no other. Of tracks assigned one to one the lesser one of both sides'.
        mutual: bool, whether each is the nearest of the other.
        overlap: int64, how many tracks that overlap the first one in time on its camera have the same match as their
            nearest: they cannot all be right.
    """

    first: np.ndarray
    second: np.ndarray
    place: np.ndarray
    distance: np.ndarray
    margin: np.ndarray
    mutual: np.ndarray
    overlap: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


class _Pairs(NamedTuple):
    """Places in a block of distances: rows, columns, and which of a row's nearest each is, from 1."""

    row: np.ndarray
    column: np.ndarray
    place: np.ndarray


def distances(vectors: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """Return the distance between every two tracks: (T, T) float64, symmetric to the bit, 0 between equal vectors.

    Args:
        vectors: (T, D).
        metric: see `kreid.ranking.distances.pairwise`.
    """
    found = np.empty((len(vectors), len(vectors)))
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        found[rows, start:] = pairwise(vectors[rows], vectors[start:], metric)
        found[start:, rows] = found[rows, start:].T
    return found


def never_matched(tracks: Tracks, within_camera: bool = False, across_actions: bool = False) -> np.ndarray:
    """Return (T, T) bool: which pairs are not compared.

    Args:
        tracks: the tracks.
        within_camera: compare those of one camera too, unless they overlap in time; otherwise those of different
            cameras alone.
        across_actions: compare those of different actions too.
    """
    every = np.arange(len(tracks))
    never = (tracks.action[:, None] != tracks.action) & (not across_actions)
    if within_camera:
        never |= tracks.overlap(every, every)
    else:
        never |= tracks.camera[:, None] == tracks.camera
    never[every, every] = True
    return never


def overlapping_pairs(tracks: Tracks) -> int:
    """Return how many pairs of tracks overlap in time on one camera, and so cannot be one person."""
    return sum(int(tracks.overlap(members, members).sum()) // 2 for members in tracks.by_camera())


def match(tracks: Tracks, distance: np.ndarray, one_to_one: bool = False, top: int = 1, most: float = inf) -> Matches:
    """Match the tracks of every camera with those of every other, and of the same one where these were compared.

    Args:
        tracks: the tracks.
        distance: (T, T), infinite where `never_matched`.
        one_to_one: assign them: of two cameras each track stands in one pair at most, and in one camera it has at most
            one that follows it in time and one that it follows. See `assign`.
        top: how many matches to find for a track on each camera; without `one_to_one`.
        most: no match beyond this distance.

    Returns:
        The pairs by first track, then by the camera of the second, nearest first; both ways round unless `one_to_one`.
    """
    found = [_matched(tracks, distance, *sides, one_to_one, top, most) for sides in _sides(tracks, one_to_one)]
    empty = np.zeros(0, np.int64)
    columns = {
        column.name: np.concatenate([getattr(part, column.name) for part in found] or [empty])
        for column in fields(Matches)
    }
    order = np.lexsort((columns["place"], tracks.camera[columns["second"]], columns["first"]))
    columns = {name: values[order] for name, values in columns.items()}
    return Matches(**(columns | {"overlap": _contested(tracks, columns)}))


def assign(block: np.ndarray, most: float = inf) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the pairs in which every row and every column stands at most once.

    Args:
        block: (n, m) distances, infinite where two are never matched.
        most: no pair beyond this distance. Of all ways to pair, the one of the least sum is taken, where what stays
            alone counts for `most`; without a limit, as many as possible are paired.
    """
    allowed = np.isfinite(block) & (block <= most)
    if not allowed.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    alone = most if most < inf else min(block.shape) * block[allowed].max() + 1
    row, column = linear_sum_assignment(np.where(allowed, block, alone))
    kept = allowed[row, column]
    return row[kept].astype(np.int64), column[kept].astype(np.int64)


def _sides(tracks: Tracks, one_to_one: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the tracks of two cameras that are to be matched, or of the same one twice."""
    cameras = tracks.by_camera()
    for place, members in enumerate(cameras):
        for others in cameras[place:] if one_to_one else cameras:
            yield members, others


def _matched(
    tracks: Tracks,
    distance: np.ndarray,
    members: np.ndarray,
    others: np.ndarray,
    one_to_one: bool,
    top: int,
    most: float,
) -> Matches:
    block = distance[np.ix_(members, others)]
    if one_to_one and members is others:
        block[~tracks.follows(members, others)] = inf
    if one_to_one:
        row, column = assign(block, most)
        pairs = _Pairs(row, column, np.ones(len(row), np.int64))
        margin = np.fmin(_margin(block, pairs.row, pairs.column), _margin(block.T, pairs.column, pairs.row))
    else:
        pairs = _nearest(block, top, most)
        margin = _margin(block, pairs.row, pairs.column)
    found = block[pairs.row, pairs.column]
    mutual = (found == block.min(axis=1)[pairs.row]) & (found == block.min(axis=0)[pairs.column])
    first, second = members[pairs.row], others[pairs.column]
    return Matches(first, second, pairs.place, found, margin, mutual, np.zeros(len(first), np.int64))


def _nearest(block: np.ndarray, top: int, most: float) -> _Pairs:
    order = np.argsort(block, axis=1, kind="stable")[:, :top]
    near = np.take_along_axis(block, order, axis=1)
    row, place = np.nonzero(np.isfinite(near) & (near <= most))
    return _Pairs(row, order[row, place], place + 1)


def _margin(block: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return how much further the best other column of each row is; NaN where there is none."""
    if block.shape[1] < 2:
        return np.full(len(row), np.nan)
    two = np.partition(block, 1, axis=1)[:, :2]
    other = np.where(block.argmin(axis=1)[row] == column, two[row, 1], two[row, 0])
    return np.where(np.isfinite(other), other, np.nan) - block[row, column]


def _contested(tracks: Tracks, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return `Matches.overlap`."""
    overlap = np.zeros(len(columns["first"]), np.int64)
    order = np.argsort(columns["second"], kind="stable")
    ends = np.flatnonzero(np.diff(columns["second"][order])) + 1
    for pairs in np.split(order, ends):
        nearest = columns["first"][pairs[columns["place"][pairs] == 1]]
        overlap[pairs] = tracks.overlap(columns["first"][pairs], nearest).sum(axis=1)
    return overlap
