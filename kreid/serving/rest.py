"""TensorFlow Serving's REST interface; without TensorFlow."""

import base64
import json
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from itertools import chain
from urllib.request import getproxies, proxy_bypass

import numpy as np
import urllib3

from kreid.serving.answers import WHOSE, PassingError
from tfrecords_tools.errors import one_line
from tfrecords_tools.json_text import load_json

_MOST = 1 << 20  # bytes of an answer for each image, and as many besides: a vector of 8192 numbers takes 170 kB
_CHUNK = 1 << 16  # bytes read at once
_PASSING = (429, 500, 502, 503, 504)


class Rest:
    """Asks a model's `:predict`, from any number of threads.

    Args:
        server: `http://HOST:8501/v1/models/NAME`, or `https`, perhaps with `/versions/NUMBER`.
        timeout: seconds a request may take.
        at_once: connections that are kept.

    Reference:
        TensorFlow Serving's REST API: `POST <model>:predict`, binary values as `{"b64": ...}`.
    """

    def __init__(self, server: str, timeout: float, at_once: int = 1) -> None:
        self.address, self._timeout = f"{server}:predict", timeout
        self._pool = _pool(self.address, at_once)

    def ask(self, files: Sequence[bytes]) -> np.ndarray:
        """Return the vectors `(N, D)` of image files, float64, unchecked.

        Raises:
            PassingError: without the address, where another try may help.
            ValueError: where it may not.
        """
        instances = [{"image_bytes": {"b64": base64.b64encode(data).decode("ascii")}} for data in files]
        body = json.dumps({"signature_name": "encoded", "instances": instances}).encode()
        return _rows(self._post(body, (1 + len(files)) * _MOST))

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _post(self, body: bytes, most: int) -> bytes:
        end = time.monotonic() + self._timeout
        headers = {"Content-Type": "application/json"}
        reached = False
        try:
            reply = self._pool.request(
                "POST", self.address, body=body, headers=headers, timeout=self._timeout, retries=False,
                preload_content=False,
            )  # fmt: skip
            reached = True
            try:
                answer = _read(reply, most, end)
            finally:
                reply.close()
        except urllib3.exceptions.DecodeError as error:
            raise ValueError(
                f"gave no usable answer ({one_line(error)}); is TensorFlow Serving running there?"
            ) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            message = f"gave no usable answer ({one_line(error)}); is TensorFlow Serving running there?"
            raise PassingError(message, reached) from None
        if 300 <= reply.status < 400:
            raise ValueError(f"is elsewhere, at {one_line(reply.headers.get('Location'))}; give that address")
        if reply.status != 200:
            told = f"answered {reply.status} ({one_line(answer.decode(errors='replace'), 500)})"
            if reply.status in _PASSING:
                raise PassingError(told, after=_pause(reply.headers.get("Retry-After")))
            raise ValueError(told)
        return answer


def _pool(address: str, at_once: int) -> urllib3.PoolManager:
    """A pool of connections, by the proxy that the environment names for such an address."""
    url = urllib3.util.parse_url(address)
    proxy = getproxies().get(url.scheme or "")
    if proxy and not proxy_bypass(url.netloc or ""):
        return urllib3.ProxyManager(proxy, maxsize=at_once)
    return urllib3.PoolManager(maxsize=at_once)


def _read(reply: urllib3.BaseHTTPResponse, most: int, end: float) -> bytes:
    """Return the body; a server may send without end, or a byte a minute."""
    answer = bytearray()
    while part := reply.read1(_CHUNK):
        answer += part
        if len(answer) > most:
            raise ValueError(f"answered more than the {most:,} bytes that these images can have; is it another server?")
        if time.monotonic() > end:
            raise PassingError("did not end its answer in time; ask for fewer images, or see what it does")
    return bytes(answer)


def _pause(value: str | None) -> float | None:
    """Return the seconds of a `Retry-After`, which is a number or a date (RFC 9110, 10.2.3); None for nonsense."""
    try:
        if value is None or value.strip().isdecimal():
            return None if value is None else float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _rows(answer: bytes) -> np.ndarray:
    try:
        rows = load_json(answer)["predictions"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f'expected JSON with "predictions", received {one_line(answer[:80])}') from None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ValueError(f"expected a list of numbers for each image, received {one_line(rows, 80)}; {WHOSE}")
    widths = {len(row) for row in rows}
    if len(widths) > 1 or 0 in widths or not set(map(type, chain(*rows))) <= {int, float}:
        raise ValueError(f"expected vectors of one length of numbers, received lengths {sorted(widths)}; {WHOSE}")
    try:
        return np.array(rows, np.float64).reshape(len(rows), -1 if rows else 1)
    except OverflowError:  # an integer of hundreds of digits
        return np.full((len(rows), 1), np.inf)
