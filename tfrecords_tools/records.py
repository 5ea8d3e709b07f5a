"""TFRecord files: records in their frames of lengths and checksums, written and read. No TensorFlow."""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from google_crc32c import extend
from google_crc32c import value as crc32c

# A record's frame: length (uint64), its checksum (4 bytes), payload, checksum of the payload (4 bytes).
HEADER = 12
FOOTER = 4
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


def frame(payload: bytes) -> bytes:
    """Return a record as it stands in a file.

    Reference:
        tensorflow/core/lib/io/record_writer.h: lengths and checksums are little-endian, checksums masked CRC-32C.
    """
    length = _LENGTH.pack(len(payload))
    return b"".join((length, _CHECKSUM.pack(checksum(length)), payload, _CHECKSUM.pack(checksum(payload))))


def unframe(framed: bytes) -> bytes:
    """Return the payload of one record, from its frame as `frame` makes it, once its checksums are right.

    Raises:
        ValueError: saying what does not fit: the length (it is another record, or none), or the payload.
    """
    length, payload = framed[: _LENGTH.size], framed[HEADER:-FOOTER]
    if len(framed) < HEADER + FOOTER or _LENGTH.unpack(length)[0] != len(payload):
        raise ValueError("no record of the expected length begins here")
    if _CHECKSUM.unpack_from(framed, len(length))[0] != checksum(length):
        raise ValueError("the checksum of its length differs")
    if _CHECKSUM.unpack_from(framed, len(framed) - FOOTER)[0] != checksum(payload):
        raise ValueError("its checksum differs")
    return payload


def read_frames(data: bytes) -> Iterator[bytes]:
    """Yield the payloads of all records of a file, of which these are the bytes.

    Raises:
        ValueError: see `unframe`; also where the file ends within a record.
    """
    place = 0
    while place < len(data):
        if len(data) - place < HEADER:
            raise ValueError("the file ends within it")
        end = place + HEADER + _LENGTH.unpack_from(data, place)[0] + FOOTER
        yield unframe(data[place:end])
        place = end


def checksum(data: bytes) -> int:
    """The CRC-32C of bytes as frames have it: turned and shifted, as that of bytes that hold their own says little."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def checksum_in(framed: bytes) -> int:
    """The checksum of the payload that stands in a frame, which `unframe` has held against it."""
    return int(_CHECKSUM.unpack_from(framed, len(framed) - FOOTER)[0])


class RecordFile:
    """An uncompressed TFRecord file being written.

    Args:
        path: the file, which must not exist.

    Attributes:
        size: bytes written so far.
        checksum: their CRC-32C.

    Raises:
        OSError: from any method, naming the file, if it cannot be written (a full disk, for example).

    Example:
        >>> with RecordFile(Path("train-00000-of-00001.tfrecord")) as file:
        ...     offset = file.write(record)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.checksum = 0
        self._file = path.open("xb", buffering=1 << 20)

    def write(self, record: bytes) -> int:
        """Append a record and return where its payload begins, in bytes from the start of the file."""
        try:
            framed = frame(record)
            self.size += self._file.write(framed)
            self.checksum = extend(self.checksum, framed)
        except OSError as error:
            error.filename = str(self.path)
            raise
        return self.size - FOOTER - len(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:
            if error is None:
                failure.filename = str(self.path)
                raise
