"""Encoded images of every kind that PNG and JPEG have, and of formats that are not read."""

import io
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image

SIZE = (16, 24)  # width, height


def smooth(seed=0):
    """A smooth picture, so that JPEG keeps it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 4, 3), np.uint8)
    return Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC)


def encode(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_of_16_bits(channels, colour_type, seed=0):
    """A PNG of 16 bits a channel, most of which Pillow cannot write: W3C PNG 3, sections 5 and 11."""
    pixels = np.random.default_rng(seed).integers(0, 1 << 16, (SIZE[1], SIZE[0] * channels), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *SIZE, 16, colour_type, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    body = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def turned(orientation, image_format="JPEG"):
    """A picture whose EXIF data ask for it to be turned."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encode(smooth(), image_format, exif=exif)


def _transparent():
    pixels = np.dstack([np.asarray(smooth()), np.asarray(smooth(1).convert("L"))])
    return Image.fromarray(pixels)


def _printed():
    return Image.merge("CMYK", [*smooth().split(), smooth(1).convert("L")])


_OTHER = [smooth(1)]
READ = {
    **{f"PNG {mode}": encode(smooth().convert(mode), "PNG") for mode in ("1", "L", "P", "RGB")},
    **{f"PNG {mode}": encode(_transparent().convert(mode), "PNG") for mode in ("LA", "RGBA")},
    "PNG P, 2 bits": encode(smooth().quantize(4), "PNG", bits=2),
    "PNG P, transparent": encode(smooth().convert("P"), "PNG", transparency=b"\x00\x80" * 8),
    "PNG RGB, a colour transparent": encode(smooth(), "PNG", transparency=(1, 2, 3)),
    "PNG grey of 16 bits": png_of_16_bits(1, 0),
    "PNG grey and alpha of 16 bits": png_of_16_bits(2, 4),
    "PNG RGB of 16 bits": png_of_16_bits(3, 2),
    "PNG RGBA of 16 bits": png_of_16_bits(4, 6),
    "PNG animated": encode(smooth(), "PNG", save_all=True, append_images=_OTHER),
    "PNG animated, its own picture apart": encode(
        smooth(), "PNG", save_all=True, default_image=True, append_images=_OTHER
    ),
    "JPEG L": encode(smooth().convert("L"), "JPEG"),
    "JPEG RGB": encode(smooth(), "JPEG"),
    "JPEG CMYK": encode(_printed(), "JPEG"),
    "JPEG CMYK without Adobe's marker": encode(_printed(), "JPEG").replace(b"Adobe", b"Other"),
    "JPEG progressive": encode(smooth(), "JPEG", progressive=True),
    "JPEG with a second picture (MPO)": encode(smooth(), "MPO", save_all=True, append_images=_OTHER),
    **{f"JPEG, orientation {number}": turned(number) for number in range(1, 9)},
    "PNG, orientation 6": turned(6, "PNG"),
}
REFUSED = {
    "WEBP": encode(smooth(), "WEBP"),
    "GIF": encode(smooth(), "GIF"),
    "BMP": encode(smooth(), "BMP"),
    "TIFF": encode(smooth(), "TIFF"),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40),
}
NO_IMAGE = {"a page": b"<!DOCTYPE html><html></html>", "text": b"a,b,c\n1,2,3\n"}
