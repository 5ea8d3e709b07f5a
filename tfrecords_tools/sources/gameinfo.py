"""What SoccerNet-Tracking's `gameinfo.ini` says of a sequence's tracks; in `gt/gt.txt` the ball looks like a person.

[Sequence]
trackletID_1= player team left;10
trackletID_2= goalkeepers team right;x
trackletID_3= referee;main
trackletID_4= ball;1
"""

import re
from pathlib import Path
from typing import NamedTuple

from tfrecords_tools.sources.sequences import read_ini, role_name

NAME = "gameinfo.ini"
_KEY = re.compile(r"trackletid_0*([0-9]+)")
_WHO = re.compile(r"(player|goalkeeper)s? team (left|right)|(referee|other)s?")


class Tracklet(NamedTuple):
    """Who a track is: a role with the team, None where no person is, and the number on the shirt if it is one."""

    role: str | None
    jersey: str | None


def read_gameinfo(folder: Path) -> dict[str, Tracklet]:
    """Return what is told of a sequence's tracks, by their numbers; {} where no file tells.

    Args:
        folder: of the sequence.

    Raises:
        ValueError: the file is none, or tells of a track what SoccerNet does not.
    """
    path = folder / NAME
    found = {}
    for key, text in read_ini(path).items():
        track = _KEY.fullmatch(key)
        if track is not None:
            found[track[1]] = _tracklet(path, key, text)
    return found


def _tracklet(path: Path, key: str, text: str) -> Tracklet:
    what, _, detail = (part.strip() for part in text.lower().partition(";"))
    if what == "ball":
        return Tracklet(None, None)
    who = _WHO.fullmatch(" ".join(what.split()))
    if who is None:
        raise ValueError(
            f"{path}: {key}: expected player or goalkeeper with its team, referee, other or ball, received {text!r}; "
            "mend it, or remove the file, and every track is taken for a person"
        )
    number = detail if who[1] and detail.isascii() and detail.isdigit() else None
    return Tracklet(role_name(who[1] or who[3], who[2] or ""), number)
