"""A client of TensorFlow Serving that can be left alone: it sends again what fails, keeps what it has, and believes no
answer unchecked. Without TensorFlow."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import urllib3

from kreid.errors import ConfigError
from kreid.serving.answers import checked_vectors
from kreid.serving.journal import Journal, digest_of
from kreid.serving.rest import Rest
from kreid.serving.retries import Retries
from kreid.serving.rpc import Rpc
from kreid.serving.under_way import answers_to
from kreid.types import Progress
from tfrecords_tools.errors import one_line
from tfrecords_tools.images import load_image, load_images

_EXPECTED = "expected http://HOST:8501/v1/models/NAME or grpc://HOST:8500/v1/models/NAME"
_MODEL = re.compile(r"/v1/models/[^/]+(/versions/\d+)?/?")
_SAME = 1e-3  # cosine distance of one image's vectors, which half precision and another processor keep
_SHOWN = 3  # images that are named, the rest are counted


@dataclass(frozen=True)
class Settings:
    """How a server is asked.

    Args:
        batch_size: images a request.
        at_once: requests under way at the same time.
        timeout: seconds a request may take.
        patience: seconds for which a request that fails is sent again.
    """

    batch_size: int = 32
    at_once: int = 4
    timeout: float = 60
    patience: float = 300


class _Batch(NamedTuple):
    digests: list[bytes]
    files: list[bytes]


def embed_remotely(
    server: str,
    paths: Sequence[str | Path],
    settings: Settings | None = None,
    journal: Journal | None = None,
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> np.ndarray:
    """Embed image files through a server that runs what `kreid.serving.export` wrote.

    What may pass is sent again, after longer and longer pauses: no connection, a time-out, 429, 500, 502, 503 and 504,
    whose `Retry-After` is kept. What was answered is in the journal as it comes; a journal that is not empty is held
    against the server's model first, by one image.

    Args:
        server: the model's address, `http://HOST:8501/v1/models/NAME` or `grpc://HOST:8500/v1/models/NAME`, and where
            one version is wanted whatever the server rolls to, `/versions/NUMBER` behind it.
        paths: image files; each is checked before it is sent.
        settings: sizes and times.
        journal: where answers are kept; in memory by default.
        progress: called with the images done and their total.
        retries: when to send again; by default as `settings` say.

    Returns:
        `(M, D)` float32: a finite vector of length one for each image.

    Raises:
        ConfigError: for an address of another kind.
        ValueError: where a file is no image, the server cannot be reached, its answer is anything else, or it could not
            read some images, all others of which are in the journal by then.
    """
    server, settings = check_server(server), settings or Settings()
    asking = _Asking(server, settings, journal or Journal(None, server), retries or Retries(settings.patience))
    with closing(asking.port):
        asking.check_model(paths)
        asking.run(paths, progress)
    return asking.gathered(paths)


def check_server(server: str) -> str:
    """Return the address of a model without a slash at its end; ConfigError for what cannot be one."""
    try:
        url = urllib3.util.parse_url(server)
        server.encode("ascii")  # whatever else must be escaped, as in a host's punycode
    except ValueError:  # urllib3's own among them, as for a port that is none
        url = None
    blank = any(character.isspace() or not character.isprintable() for character in server)
    if (
        url is None
        or blank
        or url.auth
        or url.query
        or url.fragment
        or url.scheme not in ("http", "https", "grpc")
        or not url.host
        or not (url.path or "").strip("/")
        or (url.scheme == "grpc" and not _MODEL.fullmatch(url.path or ""))
    ):
        raise ConfigError(f"server {one_line(server)}: {_EXPECTED}")
    return server.rstrip("/")


class _Asking:
    """Images on their way to vectors: what was read, what is under way and what the journal has."""

    def __init__(self, server: str, settings: Settings, journal: Journal, retries: Retries) -> None:
        self._settings, self._journal, self._retries = settings, journal, retries
        rpc = server.startswith("grpc:")
        self.port = Rpc(server, settings.timeout) if rpc else Rest(server, settings.timeout, settings.at_once)
        self._order: list[bytes] = []  # the digest of each image that was read
        self._sent: set[bytes] = set()  # of images that the journal lacked
        self._under_way = 0  # images

    def check_model(self, paths: Sequence[str | Path]) -> None:
        """Hold the journal against the server, by the first image that it has."""
        if not self._journal.vectors:
            return
        for path in paths:
            data = load_image(Path(path)).data
            kept = self._journal.vectors.get(digest_of(data))
            if kept is not None:
                (vector,) = self._ask(_Batch([], [data]))
                if not 1 - float(vector @ kept) < _SAME:
                    raise ValueError(
                        f"{self._journal.path}: its vector of {path} is not what {self.port.address} gives now; "
                        "has another version been rolled out? Give .../versions/NUMBER, or delete the file"
                    )
                return

    def run(self, paths: Sequence[str | Path], progress: Progress | None) -> None:
        """Ask for what the journal lacks, and keep what comes."""
        batches = self._batches(paths)
        for batch, vectors in answers_to(batches, self._ask, self._settings.at_once, self._retries.stop):
            self._under_way -= len(batch.files)
            self._keep(batch, vectors)
            if progress:
                progress(len(self._order) - self._under_way, len(paths))

    def gathered(self, paths: Sequence[str | Path]) -> np.ndarray:
        """Return the vectors of all images, in their order."""
        kept = self._journal.vectors
        lacking = [path for path, digest in zip(paths, self._order, strict=True) if digest not in kept]
        if lacking:
            named = ", ".join(map(str, lacking[:_SHOWN])) + (", ..." if len(lacking) > _SHOWN else "")
            raise ValueError(
                f"server {self.port.address}: could not read {len(lacking):,} of {len(paths):,} images ({named}); are "
                "they larger than the --max-pixels of its export, or is it not a model that kreid-export wrote?"
            )
        return np.stack([kept[digest] for digest in self._order]) if self._order else np.zeros((0, 0), np.float32)

    def _batches(self, paths: Sequence[str | Path]) -> Iterator[_Batch]:
        batch = _Batch([], [])
        for image in load_images(map(Path, paths)):
            if isinstance(image, Exception):
                raise image
            digest = digest_of(image.data)
            self._order.append(digest)
            if digest in self._journal.vectors or digest in self._sent:
                continue
            self._sent.add(digest)
            self._under_way += 1
            batch.digests.append(digest)
            batch.files.append(image.data)
            if len(batch.files) == self._settings.batch_size:
                yield batch
                batch = _Batch([], [])
        if batch.files:
            yield batch

    def _ask(self, batch: _Batch) -> np.ndarray:
        def request() -> np.ndarray:
            return checked_vectors(self.port.ask(batch.files), len(batch.files), self._journal.width)

        try:
            return self._retries.ask(request)
        except ValueError as error:
            raise ValueError(f"server {self.port.address}: {error}") from None

    def _keep(self, batch: _Batch, vectors: np.ndarray) -> None:
        good = vectors.any(axis=1)
        if good.any():
            self._journal.add([batch.digests[row] for row in np.flatnonzero(good)], vectors[good])
