"""From a thumbnail's file to the bytes a record stores, once it is known to be whole."""

import io
import logging
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import numpy as np
from PIL import Image

from tfrecords_tools.entry import Box
from tfrecords_tools.errors import one_line
from tfrecords_tools.formats import as_rgb, image_kind, orientation, read_whole
from tfrecords_tools.frames import Frames, cut_out
from tfrecords_tools.png import SIGNATURE, plain_png
from tfrecords_tools.video import Videos

# How a record stores its image -> Pillow's format; None keeps the file's own.
IMAGE_FORMATS = {"original": None, "png": "PNG", "jpeg": "JPEG", "uncompressed": "PNG"}
# PNG level 3 is 2.5 times as fast as the default 6, and 5 % larger.
_SAVE_OPTIONS = {"PNG": {"compress_level": 3}, "JPEG": {"quality": 95}}
MAX_PIXELS = 50_000_000  # by default (ours): a frame of 8K video has 33 million
Check = Callable[[Path, bytes], None]  # raises ValueError for a file that will not do
_Lot = list[tuple[Path, Box | None, Image.Image | Exception | None]]  # file, part of it, or that part of a video
_AHEAD = 4  # lots per thread that are read before their turn
_LOT = 8  # images that a thread takes at once: to hand over each alone costs as much as to read it
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image as a record stores it.

    Args:
        data: the encoded image.
        height: of the file's image, in pixels, whatever was made of it.
        width: the same.
        orientation: of the file, as EXIF has it, 1 to 8; it is not applied.
    """

    data: bytes
    height: int
    width: int
    orientation: int = 1


def load_image(
    path: Path,
    resize: tuple[int, int] | None = None,
    image_format: str = "original",
    check: Check | None = None,
    max_pixels: int = MAX_PIXELS,
    pixels: bool = True,
) -> Encoded:
    """Read a thumbnail, check that it is a whole PNG or JPEG, and encode it as wanted.

    Args:
        path: the file.
        resize: (height, width) to store, in pixels; bilinear, antialiased where the image shrinks, as in training. None
            keeps the size.
        image_format: "original" keeps the file's format, and its very bytes where the size is kept; "png" and "jpeg"
            (quality 95) store that format; "uncompressed" stores a PNG whose pixels lie as they are, twice as large as
            a compressed one and read several times as fast.
        check: a decoder that is called with the file and its bytes, and raises ValueError for what it does not take.
            Where a PNG is kept as it is, it alone decodes: of all else its checksums tell.
        max_pixels: a larger image is refused before it is decoded: a small file may hold more than memory does.
        pixels: decode also what is kept as it is. Without, the checksums alone tell of a PNG, see `png`.

    Raises:
        ValueError: naming the file, if it is not a PNG or JPEG (see `formats`), too large, cut short or damaged.
        OSError: if it cannot be read.
    """
    data = _read(path)
    size = None if pixels or resize is not None or image_format not in ("original", "png") else plain_png(data)
    if size is not None and size.height * size.width <= min(max_pixels, MAX_PIXELS):
        return Encoded(data, size.height, size.width)
    try:
        kind = image_kind(data)
        kept = resize is None and (IMAGE_FORMATS[image_format] or kind) == kind and image_format != "uncompressed"
        image = read_whole(data, pixels=not (check and kept and kind == "PNG"), most=max_pixels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if check:
        check(path, data)
    if kept:
        return Encoded(data, image.height, image.width, orientation(image))
    return _encode(as_rgb(image), kind, resize, image_format, orientation(image))


def _read(path: Path) -> bytes:
    """Return a file's bytes: `Path.read_bytes`, without a buffer between."""
    with path.open("rb", buffering=0) as file:
        return file.readall()


def _read_frame(path: Path, max_pixels: int, check: Check | None) -> tuple[str, Image.Image]:
    """Return the kind of a file and its image, all of which has been read."""
    data = _read(path)
    try:
        kind, image = image_kind(data), read_whole(data, most=max_pixels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if check:
        check(path, data)
    return kind, image


def _encode(
    image: Image.Image, kind: str, resize: tuple[int, int] | None, image_format: str, turned: int = 1
) -> Encoded:
    """Encode pixels, RGB, that come from a file of this kind."""
    shape = {"height": image.height, "width": image.width, "orientation": turned}
    wanted = IMAGE_FORMATS[image_format] or kind
    if resize is not None:
        image = image.resize(resize[::-1], Image.Resampling.BILINEAR)
    if image_format == "uncompressed":
        return Encoded(_uncompressed_png(np.asarray(image)), **shape)
    buffer = io.BytesIO()
    image.save(buffer, wanted, **_SAVE_OPTIONS[wanted])
    return Encoded(buffer.getvalue(), **shape)


def _uncompressed_png(pixels: np.ndarray) -> bytes:
    """`(h, w, 3)` uint8 RGB as a PNG (W3C PNG 3, sections 5, 7 and 10) that takes copying to read, no more.

    Rows are neither compressed nor filtered. Pillow's level 0 still filters them, which takes most of the time to undo.
    """
    height, width, _ = pixels.shape
    unfiltered = np.zeros((height, 1), np.uint8)  # each row begins with the number of its filter
    rows = np.concatenate([unfiltered, pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB, not interlaced
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b"")
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def load_images(
    paths: Iterable[Path],
    resize: tuple[int, int] | None = None,
    image_format: str = "original",
    workers: int | None = None,
    check: Check | None = None,
    boxes: Iterable[Box | None] | None = None,
    max_pixels: int = MAX_PIXELS,
    pixels: bool = True,
    numbers: Iterable[int | None] | None = None,
) -> Iterator[Encoded | Exception]:
    """Read many thumbnails in threads, a bounded number ahead of the one that is yielded.

    Args:
        paths: the files.
        resize: as for `load_image`.
        image_format: as for `load_image`; what is cut out is encoded again, in the format of its frame by default.
        workers: threads; by default one per CPU core, at most 16.
        check: as for `load_image`; called in these threads. With `pixels` also with a frame that boxes are cut out of;
            what is stored of it is encoded anew, so that no other decoder meets its file.
        boxes: of each file, what to cut out of it, clipped at its border; None for the whole image, as by default.
        max_pixels: as for `load_image`.
        pixels: as for `load_image`.
        numbers: of each file, the frame that a box is cut out of, where the file is a video; crops are JPEG by default.

    Returns:
        Iterator in the order of `paths`, over what `load_image` returned, or the ValueError or OSError it raised. At
        its end it warns of images that have an EXIF orientation other than 1.
    """
    workers = workers or min(os.cpu_count() or 1, 16)
    pool = ThreadPoolExecutor(workers)
    frames = Frames(lambda path: _read_frame(path, max_pixels, check if pixels else None))
    waiting: deque[tuple[_Lot, Future[list[Encoded | Exception]]]] = deque()
    turned: list[str] = []
    videos = Videos(max_pixels)

    def load(lot: _Lot) -> list[Encoded | Exception]:
        return [outcome(*image) for image in lot]

    def outcome(path: Path, box: Box | None, crop: Image.Image | Exception | None) -> Encoded | Exception:
        try:
            if isinstance(crop, Exception):
                return crop
            if crop is not None:
                return _encode(crop, "JPEG", resize, image_format)
            if box is not None:
                return _cut(frames, path, box, resize, image_format)
            return load_image(path, resize, image_format, check, max_pixels, pixels)
        except (ValueError, OSError) as error:
            return error

    try:
        parts = zip(paths, boxes or repeat(None), numbers or repeat(None), strict=False)
        wanted = ((path, box, _crop(videos, path, box, number)) for path, box, number in parts)
        while lot := list(islice(wanted, _LOT)):
            waiting.append((lot, pool.submit(load, lot)))
            if len(waiting) >= workers * _AHEAD:
                yield from _outcomes(*waiting.popleft(), turned)
        while waiting:
            yield from _outcomes(*waiting.popleft(), turned)
    finally:
        # Without waiting: the garbage collector, which closes what was not gone through, may do so in a thread that
        # holds a lock of Python's own threads, and joining others wants that lock.
        pool.shutdown(wait=False, cancel_futures=True)
        videos.close()
    if turned:
        _LOG.warning(
            "%s an EXIF orientation, which is not applied: a network sees pixels as they are stored; the first: %s",
            "1 image has" if len(turned) == 1 else f"{len(turned):,} images have", one_line(turned[0], 400),
        )  # fmt: skip


def _cut(frames: Frames, path: Path, box: Box, resize: tuple[int, int] | None, image_format: str) -> Encoded:
    kind, frame = frames.read(path)
    return _encode(cut_out(path, frame, box), kind, resize, image_format)


def _crop(videos: Videos, path: Path, box: Box | None, number: int | None) -> Image.Image | Exception | None:
    """Cut a box out of a frame of a video, or say what is wrong; None where the file is none.

    Not in threads: frames are decoded one after another.
    """
    if number is None:
        return None
    try:
        frame = videos.read(path, number)
        return frame if box is None else cut_out(path, frame, box)
    except (ValueError, OSError) as error:
        return error


def _outcomes(lot: _Lot, future: Future[list[Encoded | Exception]], turned: list[str]) -> Iterator[Encoded | Exception]:
    """Yield what was made of files, and name those in `turned` whose pixels are to be turned for showing."""
    for (path, *_), image in zip(lot, future.result(), strict=True):
        if isinstance(image, Encoded) and image.orientation != 1:
            turned.append(f"{path} (orientation {image.orientation})")
        yield image
