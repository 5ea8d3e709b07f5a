"""A client of TensorFlow Serving's REST interface, which believes no answer unchecked; without TensorFlow."""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import numpy as np
import urllib3

from kreid.errors import ConfigError
from tfrecords_tools.errors import one_line
from tfrecords_tools.images import load_images
from tfrecords_tools.json_text import load_json

_EXPECTED = "expected http://HOST:8501/v1/models/NAME"
_MOST = 1 << 20  # bytes of an answer for each image, and as many besides: a vector of 8192 numbers takes 170 kB
_CHUNK = 1 << 16  # bytes read at once
_TOLERANCE = 1e-3  # of a vector's length, which float16 keeps


def embed_remotely(endpoint: str, paths: Sequence[str | Path], batch_size: int = 32, timeout: float = 60) -> np.ndarray:
    """Embed image files through a server that runs what `kreid.serving.export` wrote.

    Args:
        endpoint: the model's address, `http://HOST:8501/v1/models/NAME`.
        paths: image files; each is checked before it is sent.
        batch_size: images a request.
        timeout: seconds a request may take.

    Returns:
        `(M, D)` float32: a finite vector of length one for each image.

    Raises:
        ConfigError: for an address of another kind.
        ValueError: where a file is no image, the server cannot be reached, or its answer is anything else.

    Reference:
        TensorFlow Serving's REST API: `POST <model>:predict`, binary values as `{"b64": ...}`.
    """
    check_endpoint(endpoint)
    address = f"{endpoint.rstrip('/')}:predict"
    parts: list[np.ndarray] = []
    files = _checked(paths)
    with _pool(address) as pool:
        while batch := list(islice(files, batch_size)):
            instances = [{"image_bytes": {"b64": base64.b64encode(data).decode("ascii")}} for data in batch]
            body = json.dumps({"signature_name": "encoded", "instances": instances}).encode()
            try:
                answer = _post(pool, address, body, timeout, (1 + len(batch)) * _MOST)
                parts.append(_vectors(answer, len(batch), parts[0].shape[1] if parts else None))
            except ValueError as error:
                raise ValueError(f"endpoint {address}: {error}") from None
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def check_endpoint(endpoint: str) -> None:
    """Raise ConfigError unless `endpoint` is the address of a model, as far as can be told without asking."""
    try:
        url = urllib3.util.parse_url(endpoint)
        endpoint.encode("ascii")  # whatever else must be escaped, as in a host's punycode
    except ValueError:  # urllib3's own among them, as for a port that is none
        url = None
    blank = any(character.isspace() or not character.isprintable() for character in endpoint)
    if (
        url is None
        or blank
        or url.auth
        or url.query
        or url.fragment
        or url.scheme not in ("http", "https")
        or not url.host
    ):
        raise ConfigError(f"endpoint {one_line(endpoint)}: {_EXPECTED}")


def _checked(paths: Sequence[str | Path]) -> Iterator[bytes]:
    for image in load_images(map(Path, paths)):
        if isinstance(image, Exception):
            raise image
        yield image.data


def _pool(address: str) -> urllib3.PoolManager:
    """A pool of connections, by the proxy that the environment names for such an address."""
    url = urllib3.util.parse_url(address)
    proxy = getproxies().get(url.scheme or "")
    return urllib3.ProxyManager(proxy) if proxy and not proxy_bypass(url.netloc or "") else urllib3.PoolManager()


def _post(pool: urllib3.PoolManager, address: str, body: bytes, timeout: float, most: int) -> bytes:
    """POST a request and return the answer; ValueError, without the address, where there is none that is right."""
    end = time.monotonic() + timeout
    headers = {"Content-Type": "application/json"}
    try:
        reply = pool.request(
            "POST", address, body=body, headers=headers, timeout=timeout, retries=False, preload_content=False
        )
        try:
            answer = _read(reply, most, end)
        finally:
            reply.close()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ValueError(f"no usable answer ({one_line(error)}); is TensorFlow Serving running there?") from None
    if 300 <= reply.status < 400:
        raise ValueError(f"is elsewhere, at {one_line(reply.headers.get('Location'))}; give that address")
    if reply.status != 200:
        raise ValueError(f"answered {reply.status} ({one_line(answer.decode(errors='replace'), 500)})")
    return answer


def _read(reply: urllib3.BaseHTTPResponse, most: int, end: float) -> bytes:
    """Return the body; a server may send without end, or a byte a minute."""
    answer = bytearray()
    while part := reply.read1(_CHUNK):
        answer += part
        if len(answer) > most:
            raise ValueError(f"answered more than the {most:,} bytes that these images can have; is it another server?")
        if time.monotonic() > end:
            raise ValueError("the answer did not end in time; ask for fewer images, or see what the server does")
    return bytes(answer)


def _vectors(answer: bytes, count: int, width: int | None) -> np.ndarray:
    """Return what an answer holds; ValueError, without the address, unless that is `count` vectors of length one."""
    try:
        content = load_json(answer)
        rows = content["predictions"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'expected JSON with "predictions", received {one_line(answer[:80])}') from None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ValueError(f"expected a list of numbers for each image, received {one_line(rows, 80)}; {_MODEL}")
    if len(rows) != count:
        raise ValueError(f"expected {count} vectors, one for each image, received {len(rows)}; {_MODEL}")
    widths = {len(row) for row in rows} | ({width} if width else set())
    if len(widths) > 1 or 0 in widths or not set(map(type, chain(*rows))) <= {int, float}:
        raise ValueError(f"expected vectors of one length of numbers, received lengths {sorted(widths)}; {_MODEL}")
    try:
        vectors = np.array(rows, np.float64)
    except OverflowError:  # an integer of hundreds of digits
        vectors = np.full((count, 1), np.inf)
    lengths = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < _TOLERANCE))  # catches NaN too
    if len(wrong):
        raise ValueError(f"expected vectors of length 1, received one of length {lengths[wrong[0]]:g}; {_MODEL}")
    return vectors.astype(np.float32)


_MODEL = "is that a model that kreid-export wrote?"
