"""Small videos that tests write: every frame tells its number by its grey."""

import struct
from fractions import Fraction

import numpy as np

SIZE = (48, 64)  # height, width
# What a frame's pixels differ by from its grey: darker above and on the left, so that it shows how it is turned.
SLOPE = np.add.outer(np.linspace(-8, 8, SIZE[0]), np.linspace(-4, 4, SIZE[1]))


def grey(number):
    """The grey of a frame."""
    return 16 + 5 * (number % 40)


def write_clip(path, frames=30, times=None, codec="mpeg4", gop=8, options=None):
    """Write so many frames, at these times in 1/25 s, a key frame every `gop`; `options` are the codec's."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = gop
        stream.bit_rate = 4_000_000
        stream.options = options or {}
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(1, frames + 1):
            pixels = np.repeat((grey(number) + SLOPE)[..., None], 3, 2).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number - 1 if times is None else times[number - 1]
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turned(path, degrees):
    """Let an MP4 ask to be turned by so much to the right, as that of a phone; ISO/IEC 14496-12, 8.3.2."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    along, across = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 1 << 16
    struct.pack_into(">9i", data, place, along * one, across * one, 0, -across * one, along * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path
