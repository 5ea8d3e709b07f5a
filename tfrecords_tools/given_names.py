"""What is read off names that people give: the frame of an image, and which names are one to a reader."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

_DIGITS = 18  # of a number that fits 64 bits; a longer one counts no frames


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
    """Return the first two names that are read as one: they differ in case, spaces or Unicode's form, if at all.

    Without `case`, those that differ in Unicode's form alone.

    Example:
        >>> find_alike(["side", "Main", "main "])
        ('Main', 'main ')
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        plain = folded if case else same_form(name)
        if plain in seen:
            return seen[plain], name
        seen[plain] = name
    return None
