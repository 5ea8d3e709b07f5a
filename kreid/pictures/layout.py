"""Laying pictures and words out on a sheet: beside one another, below one another, in as many rows as are needed."""

from collections.abc import Iterable, Sequence
from functools import cache

from PIL import Image, ImageFont

Colour = tuple[int, int, int] | str


def beside(images: Iterable[Image.Image], paper: Colour, gap: int = 8) -> Image.Image:
    """Set pictures in a row, `gap` pixels apart, their tops in a line."""
    images = list(images)
    width = sum(one.width for one in images) + gap * (len(images) - 1)
    canvas, x = Image.new("RGB", (width, max(one.height for one in images)), paper), 0
    for one in images:
        canvas.paste(one, (x, 0))
        x += one.width + gap
    return canvas


def below(images: Iterable[Image.Image], paper: Colour, gap: int = 4) -> Image.Image:
    """Set pictures in a column, `gap` pixels apart, their left sides in a line."""
    images = list(images)
    height = sum(one.height for one in images) + gap * (len(images) - 1)
    canvas, y = Image.new("RGB", (max(one.width for one in images), height), paper), 0
    for one in images:
        canvas.paste(one, (0, y))
        y += one.height + gap
    return canvas


def flow(sizes: Sequence[tuple[int, int]], width: int, gap: int = 10) -> tuple[list[tuple[int, int]], int]:
    """Places of blocks in rows of at most `width` pixels, and the height of all; a wider block has a row of its own.

    Args:
        sizes: width and height of each block, in pixels.
        width: of the rows, unless one block is wider.
        gap: pixels between rows; between neighbours in a row it is twice as wide.
    """
    places, x, y, bottom = [], 0, 0, 0
    for wide, high in sizes:
        if x and x + wide > width:
            x, y = 0, bottom
        places.append((x, y))
        x, bottom = x + wide + 2 * gap, max(bottom, y + high + gap)
    return places, bottom


def fitted(words: str, width: int, size: int) -> str:
    """Cut a text that is wider than `width` pixels in a font of `size`; an ellipsis says so."""
    if font(size).getlength(words) <= width:
        return words
    while words and font(size).getlength(words + "…") > width:
        words = words[:-1]
    return words + "…"


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one font of all pictures, in a size in pixels."""
    return ImageFont.load_default(size)
