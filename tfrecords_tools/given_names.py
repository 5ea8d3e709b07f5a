"""What is read off names that people give: an image's frame, which names are one to a reader, which name nobody."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

_DIGITS = 18  # of a number that fits 64 bits; a longer one counts no frames
_NOBODY = {"-1", "-1.0", "-", "--", "?", "unknown", "none", "nan", "null", "n/a"}
_NUMBER = re.compile(r"0*([0-9]+)(?:\.0*)?")  # as tables write whole ones


def frame_of(name: str) -> int | None:
    """Return the last number in an image's name, without its ending; None where there is none.

    Example:
        >>> frame_of("cam1_player07_000123.jpg")
        123
    """
    numbers = re.findall(r"[0-9]+", PurePath(name).stem)
    return int(numbers[-1]) if numbers and len(numbers[-1]) <= _DIGITS else None


def same_form(name: str) -> str:
    """Return a name in Unicode's composed form, in which names of files and of lists are held against each other.

    Some file systems and programs write an accented letter as two characters, which looks the same.

    Example:
        >>> same_form("anne\u0301") == "ann\u00e9"
        True
    """
    return unicodedata.normalize("NFC", name)


def find_alike(names: Iterable[str], case: bool = True) -> tuple[str, str] | None:
    """Return the first two names that are read as one, if any; parts between slashes are held against each other.

    Such differ in Unicode's form, blanks around them, or as one number is written: 7, 07 and 7.0. With `case`, in case
    and any spaces, too.

    Example:
        >>> find_alike(["side", "Main", "main "]), find_alike(["7", "a/07", "a/7.0"])
        (('Main', 'main '), ('a/07', 'a/7.0'))
    """
    seen: dict[str, str] = {}
    for name in names:
        plain = "/".join(_plain(part, case) for part in name.split("/"))
        if plain in seen:
            return seen[plain], name
        seen[plain] = name
    return None


def means_nobody(name: str) -> bool:
    """Say whether a person's name is a program's or a hand's word for nobody known, which would become one person.

    Example:
        >>> means_nobody("-1"), means_nobody("Unknown"), means_nobody("anna")
        (True, True, False)
    """
    return _plain(name, case=True) in _NOBODY


def _plain(part: str, case: bool) -> str:
    """What all spellings of a name have in common."""
    folded = " ".join(unicodedata.normalize("NFKC", part).casefold().split()) if case else same_form(part).strip()
    number = _NUMBER.fullmatch(folded)
    return number[1] if number else folded
