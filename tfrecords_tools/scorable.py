"""Which queries and splits cannot be scored, and what to do: told alike by the converter, its check, training and
evaluation.
"""

import numpy as np

_NEEDED = {
    "action": "a person must have two images or more in an action",
    "cross_camera": "a person must be on two cameras or more, by one name on each or by a table of tracks and people "
    "(kreid-convert --identities)",
}


def find_unmatched(
    action: np.ndarray, person: np.ndarray, camera: np.ndarray, is_query: np.ndarray, protocol: str
) -> np.ndarray:
    """Say of every image whether it is a query whose gallery has none of its person that counts under a protocol.

    Args:
        action: `(M,)` the unit inside which people are compared.
        person: `(M,)` whose number stands for one person inside an action.
        camera: `(M,)` -1 where it is unknown, as if that were one camera.
        is_query: `(M,)` otherwise it is in the gallery.
        protocol: see `Listing`.

    Returns:
        `(M,)` bool.
    """
    _, view = np.unique(np.stack([action, person, camera]), axis=1, return_inverse=True)
    _, whose = np.unique(np.stack([action, person]), axis=1, return_inverse=True)
    view, whose, is_query = view.ravel(), whose.ravel(), np.asarray(is_query, bool)
    count = np.bincount(whose[~is_query], minlength=len(whose))[whose]
    if protocol == "cross_camera":
        count = count - np.bincount(view[~is_query], minlength=len(view))[view]
    return is_query & (count == 0)


def why_unscorable(queries: int, matched: int, protocol: str, where: str = "") -> str:
    """Say why nothing of a split can be scored, and what to do; "" where something can be.

    Args:
        queries: how many it has.
        matched: how many of them have a match that counts.
        protocol: how they are scored, see `Listing`.
        where: which of its queries these are, such as " in its first 2 actions"; all by default.

    Example:
        >>> why_unscorable(3, 0, "action")
        'none of its 3 queries has a match to score: a person must have two images or more in an action'
    """
    if matched:
        return ""
    found = f"none of its {queries:,} queries{where} has a match" if queries else f"it has no queries{where}"
    return f"{found} to score: {_NEEDED.get(protocol, _NEEDED['action'])}"
