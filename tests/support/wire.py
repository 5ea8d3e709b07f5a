"""A writer of `.caffemodel` bytes, field by field, for files that no Caffe at hand could write."""

import struct


def varint(value):
    """Seven bits a byte, least significant first, the top bit set on all but the last."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def floats(field, values):
    return block(field, struct.pack(f"<{len(values)}f", *values))


def doubles(field, values):
    return block(field, struct.pack(f"<{len(values)}d", *values))


def shape(*dims):
    return block(7, block(1, b"".join(map(varint, dims))))


def legacy_shape(*dims):
    return b"".join(number(index + 1, dim) for index, dim in enumerate(dims))


def layer(name, kind, *blobs, extra=b""):
    return block(100, block(1, name.encode()) + block(2, kind.encode()) + extra + b"".join(block(7, b) for b in blobs))


def v1_layer(name, kind, *blobs):
    """The old generation: bottoms and tops (2, 3) stand before the name, the kind is a number."""
    head = block(2, b"data") + block(3, name.encode()) + block(4, name.encode()) + number(5, kind)
    return block(2, head + b"".join(block(6, b) for b in blobs))
