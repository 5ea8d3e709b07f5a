"""What a server has answered so far, on disk: a failure at image 90,000 of 100,000 loses nothing.

A line of JSON, `{"kreid_journal": 1, "server": ..., "width": D}`, then for each image the SHA-256 of its file (32
bytes), its vector (D little-endian float32) and the CRC-32 of both (4 bytes, little-endian). Records are found by the
file's digest, so that an image may be moved meanwhile, and one that was changed is asked for again. NumPy only.
"""

import hashlib
import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kreid.errors import ConfigError
from tfrecords_tools.errors import one_line
from tfrecords_tools.json_text import load_json

_SCHEMA = 1
_BEGINS = b'{"kreid_journal"'
_DIGEST, _CHECK = 32, 4  # bytes
_LOG = logging.getLogger(__name__)


def digest_of(data: bytes) -> bytes:
    """The SHA-256 of an image file."""
    return hashlib.sha256(data).digest()


class Journal:
    """Vectors by the digest of their image, in memory and in a file that grows with every answer.

    Args:
        path: the file; it is made with the first answer. None to keep nothing on disk.
        server: whose answers.
        resume: go on with a file that is there, rather than to refuse it.

    Raises:
        ConfigError: there is a file and `resume` is not asked for, or it holds another server's answers.
        ValueError: it is no journal.
    """

    def __init__(self, path: str | Path | None, server: str, resume: bool = False) -> None:
        self.path, self.server = path and Path(path), server
        self.vectors: dict[bytes, np.ndarray] = {}
        self.width: int | None = None
        if self.path and self.path.exists():
            if not resume:
                raise ConfigError(f"{self.path}: holds answers of an earlier call; give --resume, or delete it")
            self._read(self.path)

    def add(self, digests: Sequence[bytes], vectors: np.ndarray) -> None:
        """Keep the vectors `(N, D)` of N images; ValueError unless they are as long as those before."""
        begins = self.width is None
        if self.width not in (None, vectors.shape[1]):
            raise ValueError(
                f"server {self.server}: answered vectors of {self.width} numbers, and now of {vectors.shape[1]}; has "
                "another version been rolled out?"
            )
        self.width = vectors.shape[1]
        self.vectors.update(zip(digests, vectors, strict=True))
        if self.path:
            bodies = [digest + row.astype("<f4").tobytes() for digest, row in zip(digests, vectors, strict=True)]
            data = b"".join(body + _check(body) for body in bodies)
            self._append(self.path, (self._head() + data) if begins else data)

    def remove(self) -> None:
        """Delete the file, once the vectors are written elsewhere."""
        if self.path:
            self.path.unlink(missing_ok=True)

    def _head(self) -> bytes:
        head = {"kreid_journal": _SCHEMA, "server": self.server, "width": self.width}
        return json.dumps(head).encode() + b"\n"

    def _append(self, path: Path, data: bytes) -> None:
        try:
            with path.open("ab") as file:
                file.write(data)
        except OSError as error:
            error.filename = str(path)  # which a full disk does not say
            raise

    def _read(self, path: Path) -> None:
        head, end, data = path.read_bytes().partition(b"\n")
        if not end and head[: len(_BEGINS)] == _BEGINS[: len(head)]:  # cut short within its first line
            path.unlink()
            return
        said = _parsed(path, head)
        if said["server"] != self.server:
            begun = one_line(said["server"])
            raise ConfigError(f"{path}: holds answers of {begun}; give that --server, or delete the file")
        self.width = int(said["width"])
        size = _DIGEST + 4 * self.width + _CHECK
        records = [data[start : start + size] for start in range(0, len(data), size)]
        whole = [record for record in records if len(record) == size and _check(record[:-_CHECK]) == record[-_CHECK:]]
        self.vectors = {record[:_DIGEST]: np.frombuffer(record[_DIGEST:-_CHECK], "<f4") for record in whole}
        if damaged := len(records) - len(whole):
            _LOG.warning("%s: %d of %d answers are damaged; they are asked for again", path, damaged, len(records))
        if len(data) % size:  # cut short by a kill or a full disk
            with path.open("r+b") as file:
                file.truncate(len(head) + 1 + len(data) // size * size)


def _check(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECK, "little")


def _parsed(path: Path, head: bytes) -> dict[str, Any]:
    try:
        said = load_json(head)
        if said["kreid_journal"] == _SCHEMA and type(said["width"]) is int and said["width"] > 0 and "server" in said:
            return said
    except (ValueError, LookupError, TypeError):
        pass
    raise ValueError(f"{path}: not a journal of kreid-embed, it begins with {one_line(head[:60])}; move it away")
