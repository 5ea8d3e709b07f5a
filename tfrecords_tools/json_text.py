"""JSON that others may have written: whatever is wrong with it is a ValueError."""

import json
from typing import Any


def load_json(text: str | bytes, **options: Any) -> Any:
    """Return what a JSON text holds.

    Args:
        text: as bytes in UTF-8, or in what their first ones say, such as a byte-order mark.
        **options: those of `json.loads`.

    Raises:
        ValueError: it is not JSON, not of its encoding, or nested more deeply than Python can follow.

    Example:
        >>> load_json(b'{"splits": {}}')
        {'splits': {}}
    """
    try:
        return json.loads(text.decode(json.detect_encoding(text)) if isinstance(text, bytes) else text, **options)
    except RecursionError:
        raise ValueError("nested too deeply") from None
