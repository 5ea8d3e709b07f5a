"""A client of TensorFlow Serving's REST interface; NumPy and the standard library only."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kreid.errors import ConfigError


def embed_remotely(endpoint: str, paths: Sequence[str | Path], batch_size: int = 32, timeout: float = 60) -> np.ndarray:
    """Embed image files through a server that runs what `kreid.serving.export` wrote.

    Args:
        endpoint: the model's address, `http://HOST:8501/v1/models/NAME`.
        paths: image files.
        batch_size: images a request.
        timeout: seconds a request may take.

    Returns:
        `(M, D)` float32.

    Raises:
        ConfigError: for an address of another kind.
        ValueError: where the server cannot be reached or answers with an error.

    Reference:
        TensorFlow Serving's REST API: `POST <model>:predict`, binary values as `{"b64": ...}`.
    """
    vectors: list[list[float]] = []
    for start in range(0, len(paths), batch_size):
        files = [Path(path).read_bytes() for path in paths[start : start + batch_size]]
        instances = [{"image_bytes": {"b64": base64.b64encode(data).decode("ascii")}} for data in files]
        body = json.dumps({"signature_name": "encoded", "instances": instances}).encode()
        vectors += _post(f"{endpoint.rstrip('/')}:predict", body, timeout)
    return np.array(vectors, np.float32)


def _post(address: str, body: bytes, timeout: float) -> list[list[float]]:
    """POST a prediction request and return its `predictions`."""
    if not address.startswith(("http://", "https://")):
        raise ConfigError(f"endpoint {address}: expected http://HOST:8501/v1/models/NAME")
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return json.load(reply)["predictions"]
    except urllib.error.HTTPError as error:
        reason = error.read(500).decode(errors="replace")
        raise ValueError(f"endpoint {address}: answered {error.code} ({reason})") from None
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"endpoint {address}: no usable answer ({error}); is TensorFlow Serving running?") from None
