"""Thumbnails for pages: shrunk, and joined into one WebP image where many stand together, smaller than single files."""

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from tfrecords_tools.formats import as_rgb, open_image

_WIDEST, _HIGHEST = 4096, 16383  # pixels: a strip continues below, a WebP image ends


class Sheet(NamedTuple):
    """The thumbnails of one action: a WebP image, and where in it each one is: x, y, width, height in pixels."""

    webp: bytes
    boxes: list[tuple[int, int, int, int]]


def join(images: Sequence[bytes], height: int, names: Sequence[str]) -> Sheet:
    """Decode, shrink and join thumbnails; small ones stay as they are.

    Args:
        images: encoded images.
        height: the tallest a thumbnail becomes, in pixels; the widest is twice that.
        names: what to call each image in a message.

    Raises:
        ValueError: an image cannot be decoded (it is named), or there are several thousand.
    """
    small = [shrink(image, height, name) for image, name in zip(images, names, strict=True)]
    boxes, x, y, right = [], 0, 0, 1
    for one in small:
        if x + one.width > _WIDEST:
            x, y = 0, y + height
        boxes.append((x, y, one.width, one.height))
        x += one.width + one.width % 2  # even, for the chroma of two neighbours is one pixel
        right = max(right, x)
    if y + height > _HIGHEST:
        raise ValueError(f"{names[0]} and {len(names) - 1:,} more: too many pictures in one action for a page")
    strip = Image.new("RGB", (right, y + height))
    for one, box in zip(small, boxes, strict=True):
        strip.paste(one, box[:2])
    return Sheet(webp(strip), boxes)


def webp(image: Image.Image) -> bytes:
    """Encode a picture for a page."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=70, method=2)  # method 4, the default, takes twice the time for 4 % less
    return file.getvalue()


def shrink(image: bytes, height: int, name: str) -> Image.Image:
    """Decode a PNG or JPEG to RGB, at most `height` tall and twice that wide; ValueError with `name` if that fails.

    Shown are the pixels that the network gets, as `as_rgb` makes them; no EXIF data goes along that might turn them.
    """
    try:
        with open_image(image) as file:
            scale = min(1, height / file.height, 2 * height / file.width)
            size = (max(1, round(file.width * scale)), max(1, round(file.height * scale)))
            return as_rgb(file).resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: expected an image, {type(error).__name__}: {error!s:.100}") from error
