"""Crops as pages show them: each shrunk once, or why there is no picture of it."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from kreid.pictures.thumbnails import shrink, webp


class Picture(NamedTuple):
    """A WebP image and its size in pixels."""

    webp: bytes
    width: int
    height: int


def pictures(read: Callable[[int], bytes | None], height: int, kept: int) -> Callable[[int], Picture | str]:
    """Return a function from a row to its picture, or to why there is none, which keeps the last ones.

    Args:
        read: gives the encoded image of a row, None where there is none.
        height: the tallest a picture becomes, in pixels.
        kept: how many are kept.
    """

    @lru_cache(maxsize=kept)
    def picture(row: int) -> Picture | str:
        encoded = read(row)
        if encoded is None:
            return "no picture"
        try:
            small = shrink(encoded, height, f"crop {row}")
        except ValueError:  # such as a file that another one has replaced since it was embedded
            return "no readable picture"
        return Picture(webp(small), small.width, small.height)

    return picture
