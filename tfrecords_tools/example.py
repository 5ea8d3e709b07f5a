"""The record of one thumbnail: one table of fields, and the `tf.train.Example` that they make. No TensorFlow.

A conversion writes nothing else of TensorFlow's. With these lines it starts at once, where the import takes seconds,
and a record costs a third of what the message's class asks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tfrecords_tools.entry import Entry


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Args:
        name: its key in the `tf.train.Example` and in what `schema.parse` returns.
        kind: `int` or `str` or `bytes`; text is stored in UTF-8.
        get: takes the field from an entry and the image's bytes; None stands for a withheld or unknown value, stored
            as -1 or "".
        since: the version that the field came with; of a record from before, `parse` returns it as unknown.
    """

    name: str
    kind: type
    get: Callable[[Entry, bytes], int | str | bytes | None]
    since: int = 1


# Changing this table (names, kinds, meaning) asks for a new `index.VERSION`.
FIELDS = (
    Field("image", bytes, lambda entry, image: image),
    Field("bbox", int, lambda entry, image: entry.thumbnail.bbox),
    Field("action", int, lambda entry, image: entry.thumbnail.action),
    Field("person", int, lambda entry, image: entry.thumbnail.person),
    Field("frame", int, lambda entry, image: entry.thumbnail.frame),
    Field("role", str, lambda entry, image: entry.thumbnail.role),
    Field("jersey", str, lambda entry, image: entry.thumbnail.jersey),
    Field("uai", str, lambda entry, image: entry.thumbnail.uai),
    Field("height", int, lambda entry, image: entry.thumbnail.height),
    Field("width", int, lambda entry, image: entry.thumbnail.width),
    Field("subset", str, lambda entry, image: entry.subset),
    Field("split", str, lambda entry, image: entry.split),
    Field("game", str, lambda entry, image: entry.game),
    Field("camera", int, lambda entry, image: entry.camera, since=2),
    Field("track", str, lambda entry, image: entry.track, since=2),
    Field("source", str, lambda entry, image: entry.source, since=2),
)


def serialize(entry: Entry, image: bytes) -> bytes:
    """Return the record of a thumbnail, a serialized `tf.train.Example`; equal input gives equal bytes.

    Args:
        entry: the thumbnail.
        image: the encoded image (PNG or JPEG), kept as it is.

    Example:
        >>> record = serialize(entry, entry.path.read_bytes())

    Reference:
        tensorflow/core/example/feature.proto and example.proto; protobuf.dev, "Encoding". Fields stand by their names,
        as protobuf writes a map when it is asked to be deterministic.
    """
    parts: list[bytes] = []
    for place, field in _BY_NAME:
        value = field.get(entry, image)
        if isinstance(value, bytes):
            parts += _head(place, len(value)), value
        else:
            parts.append(_small(place, value))
    return b"".join((_FEATURES, _varint(sum(map(len, parts))), *parts))


@lru_cache(4096)  # most values are those of the record before: two thirds of the time
def _small(place: int, value: int | str | None) -> bytes:
    """The entry of a number or text."""
    content = _number(value) if FIELDS[place].kind is int else _text(value)  # type: ignore[arg-type]  # as its kind says
    return _head(place, len(content)) + content


def _head(place: int, size: int) -> bytes:
    """What stands before the value of a field, in its entry: what lies around it is told by its length."""
    key = _KEYS[place]
    head = _VALUE + _varint(size)
    head = (_INTEGERS if FIELDS[place].kind is int else _BYTES) + _varint(len(head) + size) + head
    head = _FEATURE + _varint(len(head) + size) + head
    return _ENTRY + _varint(len(key) + len(head) + size) + key + head


def _member(number: int) -> bytes:
    """What begins a member that is bytes or a message: its number and the wire type 2; its length follows."""
    return bytes([number << 3 | 2])


# Example.features, Features.feature (a map), its entry's key and value, the Feature's lists, a list's value.
_FEATURES, _ENTRY, _KEY, _FEATURE, _BYTES, _INTEGERS, _VALUE = (_member(number) for number in (1, 1, 1, 2, 1, 3, 1))
_SHORT = [bytes([number]) for number in range(128)]


def _varint(number: int) -> bytes:
    """A number from 0 up in groups of 7 bits, the lowest first; the eighth says that more follow."""
    if number < 128:
        return _SHORT[number]
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _number(value: int | None) -> bytes:
    """A number as it is packed; negative ones count from 2 ** 64 down."""
    value = -1 if value is None else value
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"value: expected a number of 64 bits, received {value}")
    return _varint(value & (1 << 64) - 1)


def _text(value: str | None) -> bytes:
    # File systems may hold names that are not UTF-8; they keep their bytes.
    return (value or "").encode("utf-8", "surrogateescape")


_KEYS = [_KEY + _varint(len(field.name)) + field.name.encode() for field in FIELDS]
_BY_NAME = sorted(enumerate(FIELDS), key=lambda each: each[1].name)
