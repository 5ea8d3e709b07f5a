"""Which image files are read, and what their pixels are: one rule for training, embedding, export and pages.

PNG and JPEG, told by content whatever the name is. Of a file with several pictures, a JPEG of a phone (MPO) or an
animated PNG, the first one counts. Pixels are taken as they are stored, as the loaders of the field do: neither an EXIF
orientation nor a colour profile is applied, transparency is dropped, and of 16 bits the high 8 count.
"""

import io

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_PNG_END = b"IEND\xaeB`\x82"  # the last chunk's name and checksum
_TRAILING = 1 << 16  # bytes behind it that are let pass
_ADVICE = "only PNG and JPEG are read; convert it, or leave it out"
# Brands of a HEIF file, which Pillow does not know: ISO/IEC 23008-12, annex B.
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")


def image_kind(data: bytes) -> str:
    """Return "PNG" or "JPEG".

    Raises:
        ValueError: it is neither; says what it is, without a name, as the others of this module do.
    """
    for signature, kind in SIGNATURES.items():
        if data.startswith(signature):
            return kind
    if not data:
        raise ValueError("is empty; get it again, or leave it out")
    other = _other_kind(data)
    raise ValueError(f"is a {other} image; {_ADVICE}" if other else f"is not an image ({data[:12]!r}...); {_ADVICE}")


def open_image(data: bytes) -> Image.Image:
    """Open a PNG or JPEG; its pixels are read when they are asked for.

    Raises:
        ValueError: it is of another kind.
        Exception: of many types, where it is damaged: Pillow's.
    """
    return Image.open(io.BytesIO(data), formats=(image_kind(data),))


def read_whole(data: bytes, pixels: bool = True, most: int | None = None) -> Image.Image:
    """Open a PNG or JPEG and read all of it, checksums and pixels.

    Args:
        data: the file.
        pixels: decode them; without, a PNG's checksums alone tell whether it is whole, and nothing does for a JPEG.
        most: an image of more pixels is refused by its head, before it is decoded; by default by Pillow's limit alone.

    Raises:
        ValueError: it is of another kind, too large, cut short or damaged.
    """
    kind = image_kind(data)
    try:
        head = open_image(data)
    except Exception as error:
        raise ValueError(_not_whole(error)) from error
    if most is not None and head.width * head.height > most:
        raise ValueError(
            f"has {head.width} x {head.height} pixels, more than the {most:,} that are let pass; make it smaller, cut "
            "it or leave it out (kreid-convert takes more by --max-pixels)"
        )
    try:
        # Decoding alone overlooks damage behind the last row of pixels; verify() reads the checksums of a PNG but not
        # its pixels, and leaves the image unusable.
        head.verify()
        image = open_image(data)
        if pixels:
            image.load()
        # Pillow overlooks a PNG that lacks its last bytes, TensorFlow refuses it.
        if kind == "PNG" and _PNG_END not in data[-_TRAILING:]:
            raise ValueError("the end is missing")
    except Exception as error:
        # Pillow's decoders raise many types for damaged files: OSError, SyntaxError, ValueError, struct.error, ...
        raise ValueError(_not_whole(error)) from error
    return image


def _not_whole(error: Exception) -> str:
    said = "its header is damaged" if isinstance(error, UnidentifiedImageError) else error  # which names an object
    return f"is not a whole PNG or JPEG image ({said}); replace it, or unpack the archive again"


def as_rgb(image: Image.Image) -> Image.Image:
    """Return the pixels that a network gets, RGB, and nothing else: no orientation, colour profile or comment."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "CMYK":
        # Pillow reads every file as Adobe writes it, with light in place of ink, and rounds to the nearest.
        inks = np.asarray(image).astype(np.uint16)
        light = 255 - inks if "adobe" in image.info else inks
        image = Image.fromarray((light[..., :3] * light[..., 3:] // 255).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # which Pillow advises, as it warns of doing both at once
    rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 (as it is stored) to 8; 1 where it says none, or nonsense."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # such as SyntaxError and struct.error: the pixels are whole all the same
        return 1
    return value if value in range(1, 9) else 1


def _other_kind(data: bytes) -> str | None:
    """Return the name of another format of images, None for what is no image."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
        return "HEIC"
    try:
        return Image.open(io.BytesIO(data)).format
    except Exception:  # whatever the many decoders make of it
        return None
