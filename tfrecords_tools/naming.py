"""The file names of SoccerNet-v3 ReID thumbnails: everything a name says, and back."""

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

# Separator "-"; the data set's documentation writes "_", its files do not. At most 18 digits, so that int64 holds them.
_NUMBER = r"([0-9]{1,18})"
_SIZE = r"([0-9]{1,9})x([0-9]{1,9})\.(?i:png)"
_LABELLED = re.compile(rf"{_NUMBER}-{_NUMBER}-{_NUMBER}-{_NUMBER}-([^-/]+)-([0-9A-Za-z]+)-([0-9A-Za-z_]+)-{_SIZE}")
_CHALLENGE = re.compile(rf"{_NUMBER}-{_NUMBER}-{_SIZE}")
# Index and action of many names, a "/" behind each. What a part takes it never gives back: the next begins otherwise.
_START, _END = rf"(?<![^/]){_NUMBER}-{_NUMBER}-", r"[0-9]{1,9}x[0-9]{1,9}\.(?i:png)/"
_PLACES = {
    True: re.compile(rf"{_START}[0-9]{{1,18}}-[0-9]{{1,18}}-[^-/]++-[0-9A-Za-z]++-[0-9A-Za-z_]++-{_END}"),
    False: re.compile(f"{_START}{_END}"),
}


class Thumbnail(NamedTuple):
    """What the file name of one thumbnail says. The challenge set's names withhold the fields that may be None.

    Args:
        bbox: index of the thumbnail in its list (train, or one split's query or gallery), from 0, contiguous.
        action: index of the action in its split; people are looked for only inside their own action.
        person: identity, valid inside one action: the same player has another number in the next. None if withheld.
        frame: index of the video frame the thumbnail was cut from. None if withheld.
        role: class of the person, such as "Player_team_left" or "Main_referee". None if withheld.
        jersey: number on the shirt ("9"), a letter that tells people without one apart ("a"), or None if unknown.
        uai: unique annotation identifier, such as "014r002_00858c3b0003". None if withheld.
        height: of the thumbnail by its name, in pixels.
        width: the same.

    Reference:
        SoccerNet-v3 ReID: `bbox-action-person-frame-class-ID-UAI-HxW.png`, challenge set `bbox-action-HxW.png`.
    """

    bbox: int
    action: int
    person: int | None
    frame: int | None
    role: str | None
    jersey: str | None
    uai: str | None
    height: int
    width: int


def parse_name(name: str) -> Thumbnail:
    """Read a thumbnail's file name, in the labelled or in the challenge form.

    Args:
        name: the file name; folders before it are ignored.

    Raises:
        ValueError: if the name fits neither form.

    Example:
        >>> parse_name("54404-1940-33397-5089-Player_team_right-9-014r002_00858c3b0003-775x449.png").jersey
        '9'
        >>> parse_name("17-3-128x64.png").person is None
        True
    """
    base = name.rpartition("/")[2]
    if match := _LABELLED.fullmatch(base):
        bbox, action, person, frame, role, jersey, uai, height, width = match.groups()
        known = None if jersey == "None" else sys.intern(jersey)
        # A few hundred roles and jerseys serve a quarter of a million names.
        labels = (int(person), int(frame), sys.intern(role), known, uai)
        return Thumbnail(int(bbox), int(action), *labels, int(height), int(width))
    if match := _CHALLENGE.fullmatch(base):
        bbox, action, height, width = map(int, match.groups())
        return Thumbnail(bbox, action, None, None, None, None, None, height, width)
    raise ValueError(
        f"{name}: the file name fits neither form of SoccerNet-v3 ReID, "
        '"bbox-action-person-frame-class-ID-UAI-HxW.png" or (challenge) "bbox-action-HxW.png"; '
        "restore its name or move the file out of the folder"
    )


def parse_places(names: Sequence[str], labelled: bool) -> tuple[list[int], list[int]] | None:
    """Return bbox index and action of many file names at once, several times as fast as `parse_name`.

    Args:
        names: of files, without folders.
        labelled: the form that they have; false for the challenge form.

    Returns:
        The indices and the actions, in order; None if a name has another form: `parse_name` says of each what it is.

    Example:
        >>> parse_places(["17-3-128x64.png", "18-3-99x40.png"], labelled=False)
        ([17, 18], [3, 3])
    """
    found = _PLACES[labelled].findall("/".join((*names, "")))
    if len(found) != len(names):
        return None
    return [int(bbox) for bbox, _ in found], [int(action) for _, action in found]


def format_name(thumbnail: Thumbnail) -> str:
    """Return the file name that says `thumbnail`: the inverse of `parse_name`.

    Args:
        thumbnail: with `person` None for the challenge form, in which all other withheld fields are None too.

    Raises:
        ValueError: if no name can say it, such as a role with the separator "-" in it.

    Example:
        >>> format_name(Thumbnail(17, 3, None, None, None, None, None, 128, 64))
        '17-3-128x64.png'
    """
    one = thumbnail
    middle = f"-{one.person}-{one.frame}-{one.role}-{one.jersey}-{one.uai}" if one.person is not None else ""
    name = f"{one.bbox}-{one.action}{middle}-{one.height}x{one.width}.png"
    try:
        readable = parse_name(name) == thumbnail
    except ValueError:
        readable = False
    if not readable:
        raise ValueError(
            f"thumbnail: no SoccerNet-v3 ReID file name can say {thumbnail}; expected whole numbers from 0, a role "
            'without "-" and "/", and letters, digits and (in the UAI) "_" elsewhere'
        )
    return name
