"""Whether a PNG is whole, by its own checksums: a tenth of the time that decoding its pixels takes. No TensorFlow.

Every part of a PNG carries its CRC-32, so a byte that was changed, lost or cut off on its way is noticed. Not noticed
is what was written wrong: pixels that do not fit the head, under checksums that fit them.
"""

import struct
import zlib
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">II5B")  # width, height, bits, colour, compression, filter, interlacing
# Colour type -> bits a channel: W3C PNG 3, table 9.
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
# Parts that change neither which pixels are stored nor how they are turned, as EXIF and XMP do.
_PLAIN = frozenset(b"tRNS gAMA cHRM sRGB iCCP sBIT pHYs bKGD tIME tEXt".split())
_PROFILE = b"Raw profile"  # as some programs name EXIF in a text
_TRAILING = 1 << 10  # bytes behind the end that are let pass without a closer look


class Size(NamedTuple):
    """Of an image, in pixels."""

    height: int
    width: int


def plain_png(data: bytes) -> Size | None:
    """Return the size of a PNG whose parts are all known, in their order and with the right checksums.

    Returns:
        None for every other file, which may be whole all the same: it takes a closer look, see `formats.read_whole`.

    Example:
        >>> plain_png(Path("17-3-128x64.png").read_bytes())
        Size(height=128, width=64)
    """
    try:
        (length,) = struct.unpack_from(">I", data, len(SIGNATURE))
        width, height, bits, colour, *methods = _HEAD.unpack_from(data, 16)
    except struct.error:
        return None
    right = length == _HEAD.size and data[12:16] == b"IHDR" and bits in _BITS.get(colour, ()) and height and width
    if not (right and methods in ([0, 0, 0], [0, 0, 1]) and data.startswith(SIGNATURE)):
        return None
    seen = _parts(data)
    pixels = [place for place, kind in enumerate(seen) if kind == b"IDAT"]
    whole = bool(pixels) and seen[-1] == b"IEND" and len(pixels) == pixels[-1] - pixels[0] + 1
    palette = seen.index(b"PLTE") < pixels[0] if whole and b"PLTE" in seen else colour != _PALETTE
    return Size(height, width) if whole and palette and seen.count(b"PLTE") < 2 else None


def _parts(data: bytes) -> list[bytes]:
    """Return the names of a PNG's parts up to the last one that is known and right."""
    seen: list[bytes] = []
    view, start = memoryview(data), len(SIGNATURE)
    while start + 12 <= len(data):
        kind, end = data[start + 4 : start + 8], start + 8 + int.from_bytes(view[start : start + 4])
        known = kind in _PLAIN or kind in (b"IDAT", b"PLTE", b"IEND") or (kind == b"IHDR" and not seen)
        if not known or end + 4 > len(data) or zlib.crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4]):
            break
        if kind == b"tEXt" and data.startswith(_PROFILE, start + 8):
            break
        seen.append(kind)
        start = end + 4
        if kind == b"IEND":
            return seen if len(data) - start <= _TRAILING else []
    return [*seen, b""]
