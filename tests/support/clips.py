"""Small videos that tests write: every frame tells its number by its grey."""

from fractions import Fraction

import numpy as np

SIZE = (48, 64)  # height, width


def grey(number):
    """The grey of a frame."""
    return 16 + 5 * (number % 40)


def write_clip(path, frames=30, times=None, codec="mpeg4", gop=8):
    """Write so many frames, at these times in 1/25 s, a key frame every `gop`."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = gop
        stream.bit_rate = 4_000_000
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(1, frames + 1):
            pixels = np.full((*SIZE, 3), grey(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number - 1 if times is None else times[number - 1]
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
