"""Which splits cannot be scored, and what to do: told alike by the converter, its check, training and evaluation."""

_NEEDED = {
    "action": "a person must have two images or more in an action",
    "cross_camera": "a person must be on two cameras or more, by one name on each or by a table of tracks and people "
    "(kreid-convert --identities)",
}


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
