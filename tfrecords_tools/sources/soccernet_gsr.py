"""Sequences of SoccerNet's Game State Reconstruction: boxes with tracks, role, team and jersey number.

    <sequence>/img1/000001.jpg
    <sequence>/Labels-GameState.json      images: image_id, file_name; annotations: image_id, track_id, bbox_image
                                          (x, y, w, h), attributes (role, team, jersey)

Ball and lines of the pitch are passed over. Roles are written as SoccerNet-v3 ReID has them: "Player_team_left".
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfrecords_tools.errors import one_line
from tfrecords_tools.json_text import load_json
from tfrecords_tools.sources.sequences import (
    OPTIONS,
    Footage,
    Sighting,
    find_footage,
    labelled,
    list_footage,
    role_name,
    splits_of,
)
from tfrecords_tools.sources.source import Listing, Options, Source

LABELS = "Labels-GameState.json"


def _labelled(root: Path, video: Path | None = None) -> list[Footage]:
    return labelled(find_footage(root, video), lambda one: (one.folder / LABELS).is_file())


def _missing(root: Path) -> str:
    if not root.is_dir():
        return f"not a folder; expected sequences with img1 and {LABELS}"
    return "" if _labelled(root) else f"no sequence here: no folder with img1 and {LABELS}"


def _splits(root: Path, options: Options) -> list[str]:
    return splits_of(root, _labelled(root, options.video), options)


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    return list_footage(root, _labelled(root, options.video), splits, options, _look)


def _look(one: Footage) -> Iterator[Sighting]:
    path = one.folder / LABELS
    try:
        content = load_json(path.read_bytes())
        frames = {str(image["image_id"]): _frame(image["file_name"]) for image in content["images"]}
        annotations = list(content["annotations"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path}: not the labels of a game state, {type(error).__name__}: {one_line(error)}; expected images and "
            "annotations; unpack the archive again"
        ) from None
    seen: dict[tuple[int, str], int] = {}
    for place, annotation in enumerate(annotations):
        try:
            sighting = _sighting(annotation, frames)
            if sighting is None:
                continue
            key = (sighting.frame, sighting.track)
            if seen.setdefault(key, place) != place:
                raise ValueError(f"track {key[1]} in frame {key[0]} is that of annotation {seen[key]} too")
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(
                f"{path}, annotation {place} (from 0): {type(error).__name__}: {one_line(error)}; expected image_id, "
                "track_id, bbox_image with x, y, w, h, and attributes"
            ) from None
        yield sighting


def _frame(name: str) -> int:
    return int(Path(name).stem)


def _sighting(annotation: Any, frames: dict[str, int]) -> Sighting | None:
    """What an annotation says; None for one of no person."""
    attributes = annotation.get("attributes") or {}
    role = role_name(str(attributes.get("role")), str(attributes.get("team")))
    if role is None or annotation.get("bbox_image") is None:
        return None
    box = tuple(float(annotation["bbox_image"][name]) for name in ("x", "y", "w", "h"))
    if not all(map(math.isfinite, box)):
        raise ValueError(f"the box is {box}")
    track = annotation["track_id"]
    if isinstance(track, bool) or not isinstance(track, int):
        raise ValueError(f"the track is {track!r}, expected a whole number")
    jersey = attributes.get("jersey")
    number = str(jersey) if jersey is not None and str(jersey).strip() else None
    left, top, width, height = box
    return Sighting(frames[str(annotation["image_id"])], str(track), (left, top, width, height), None, role, number)


SOURCE = Source(
    "soccernet-gsr",
    "sequences of SoccerNet's Game State Reconstruction",
    _missing,
    _splits,
    _read,
    OPTIONS,
    lambda root: "" if (root / LABELS).is_file() else f"no {LABELS} here",
)
