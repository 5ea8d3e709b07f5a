"""Sequences in the form of the MOTChallenge; SoccerNet-Tracking and SportsMOT have it too.

    <sequence>/img1/000001.jpg        the frames
    <sequence>/gt/gt.txt              frame, track, left, top, width, height, and further columns:
                                      MOT16 and later: counts (0 or 1), class (1: a pedestrian), visibility
                                      others: confidence, -1, -1, -1 (or none of them)
    <sequence>/seqinfo.ini            names the folder of frames, where it has another name
    <sequence>/gameinfo.ini           SoccerNet-Tracking: each track's role, team and jersey, and which is the ball

MOT17 has each sequence three times, once a detector (-DPM, -FRCNN, -SDP), with the same frames and people: the first is
taken. A tracker's file has the same form. Edges are taken as they are written, from 0, as SoccerNet and SportsMOT have
them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.sources.gameinfo import read_gameinfo
from tfrecords_tools.sources.rows import Row
from tfrecords_tools.sources.sequences import (
    OPTIONS,
    Footage,
    Sighting,
    find_footage,
    labelled,
    list_footage,
    splits_of,
)
from tfrecords_tools.sources.source import Listing, Options, Source

TRUTH = "gt/gt.txt"
_COLUMNS = ("frame", "track", "left", "top", "width", "height", "counts", "class", "visibility")
_PLACES = {name: place for place, name in enumerate(_COLUMNS)}
_DETECTOR = re.compile(r"(?<=MOT17-[0-9]{2})-(DPM|FRCNN|SDP)$")
_PEOPLE = (1, -1)  # classes: a pedestrian, and none told
NO_TRACK = "boxes of no track (-1) left out"
NO_PERSON = "boxes of the ball left out"
MARKED = "boxes marked as not counting (0) left out"
OTHER_CLASS = "boxes of another class than pedestrian (1) left out"


def _missing(root: Path) -> str:
    if not root.is_dir():
        return "not a folder; expected sequences with img1 and gt/gt.txt"
    return "" if find_footage(root) else "no sequence here: no folder with img1 and gt/gt.txt"


def _splits(root: Path, options: Options) -> list[str]:
    return splits_of(root, _labelled(root, options), options)


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    return list_footage(root, _labelled(root, options), splits, options, partial(_look, options=options))


def _boxes_file(one: Footage, options: Options) -> Path:
    """The file of a sequence's boxes: the truth, or a tracker's."""
    if options.tracks is None:
        return one.folder / TRUTH
    if options.tracks.is_dir():
        return options.tracks / f"{one.folder.resolve().name}.txt"
    return options.tracks if options.tracks.is_file() else one.folder / options.tracks


def _labelled(root: Path, options: Options) -> list[Footage]:
    """The sequences that have boxes."""
    footage = find_footage(root, options.video)
    found = labelled(footage, lambda one: _boxes_file(one, options).is_file())
    if not found:
        place = _boxes_file(footage[0], options) if footage else root / TRUTH
        raise ValueError(f"{place}: no such file, and no other sequence has one; see --tracks")
    if options.tracks is not None and options.tracks.is_file() and len(found) > 1:
        raise ConfigError(f"--tracks: {options.tracks} is one file for {len(found)} sequences; give a folder of files")
    return list({_DETECTOR.sub("", one.name): one for one in reversed(found)}.values())[::-1]


def _look(one: Footage, options: Options) -> Iterator[Sighting]:
    path = _boxes_file(one, options)
    truth = options.tracks is None
    known = read_gameinfo(one.folder) if truth else {}
    seen: dict[tuple[int, str], int] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        cells = [cell.strip() for cell in text.split(",")]
        row = Row(path, line, _PLACES, cells)
        if len(cells) < 6:
            raise row.error(f"expected {', '.join(_COLUMNS[:6])}, received {text!r}")
        sighting = _sighting(row, len(cells))
        left_out = NO_TRACK if sighting.track == "-1" else _passed_over(row, len(cells)) if truth else ""
        if left_out:
            yield replace(sighting, left_out=left_out)
            continue
        key = (sighting.frame, sighting.track)
        if (first := seen.setdefault(key, line)) != line:
            raise row.error(f"track {key[1]} in frame {key[0]} stands in line {first} too; remove one of the two")
        tracklet = known.get(sighting.track)
        if tracklet is None:
            yield sighting
        elif tracklet.role is None:
            yield replace(sighting, left_out=NO_PERSON)
        else:
            yield replace(sighting, role=tracklet.role, jersey=tracklet.jersey)


def _sighting(row: Row, cells: int) -> Sighting:
    """What a line says; a detection of no track has the track -1."""
    frame, track = row.number("frame"), row.number("track")
    if frame != int(frame) or frame < 0 or track != int(track) or track < -1:
        raise row.error(f"expected whole numbers as frame and track, received {row['frame']!r} and {row['track']!r}")
    left, top, width, height = (row.number(name) for name in _COLUMNS[2:6])
    visibility = row.number("visibility") if cells == 9 else None  # of ten columns, the last three are a place in space
    known = visibility if visibility is not None and visibility >= 0 else None
    return Sighting(int(frame), str(int(track)), (left, top, width, height), known)


def _passed_over(row: Row, cells: int) -> str:
    """Why a line of the truth does not count: it is marked so, or shows no pedestrian; "" for one that does."""
    counts = row.number("counts") if cells > 6 else 1
    kind = row.number("class") if cells == 9 else 1
    return MARKED if counts == 0 else "" if kind in _PEOPLE else OTHER_CLASS


SOURCE = Source(
    "mot",
    "sequences in the form of the MOTChallenge",
    _missing,
    _splits,
    _read,
    (*OPTIONS, "tracks", "min_visibility"),
    lambda root: "" if root.is_dir() else "not a folder; expected one with gt/gt.txt, or any and --tracks",
)
