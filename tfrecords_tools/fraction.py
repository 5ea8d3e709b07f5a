"""A fraction of the training actions, as the development kit of SoccerNet-v3 ReID keeps it. No TensorFlow."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from numbers import Real

import numpy as np

from tfrecords_tools.entry import Entry
from tfrecords_tools.errors import ConfigError


def check_fraction(fraction: float) -> None:
    """Raise ConfigError unless `fraction` is a number in (0, 1]."""
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < fraction <= 1:
        raise ConfigError(f"fraction: expected a number in (0, 1], such as 0.1, received {fraction!r}")


def limit_actions(last: int, fraction: float) -> int:
    """Return the first action index that a fraction of the training set leaves out.

    The development kit keeps `action_idx < (last + 1) * fraction`; here the product is exact, so 0.07 means 7/100 and
    the float nearest to it does not let in one action more.

    Args:
        last: the last action index of the whole set.
        fraction: in (0, 1].

    Raises:
        ConfigError: for a wrong fraction, or a part of a single action, which would be all of it.

    Example:
        >>> limit_actions(9189, 0.1), limit_actions(9189, 0.02)
        (919, 184)
    """
    check_fraction(fraction)
    if last == 0 and fraction != 1:
        raise ConfigError(
            "fraction: keeps whole actions, and this training set is a single one: expected 1, all of it, received "
            f"{fraction}"
        )
    return ceil((last + 1) * Fraction(str(fraction)))


def actions_of(entries: Sequence[Entry]) -> np.ndarray:
    """Return the action of every entry, without making any where they are made when asked for."""
    known = getattr(entries, "actions", None)
    if known is None:
        known = np.fromiter((entry.thumbnail.action for entry in entries), np.int64, len(entries))
    return known


def keep_fraction(entries: Sequence[Entry], fraction: float) -> Sequence[Entry]:
    """Return the entries of a fraction of the actions, by the rule of `limit_actions`.

    Args:
        entries: a whole split, as a source lists it: by action.
        fraction: in (0, 1].

    Raises:
        ConfigError: for a wrong fraction, or one that leaves nothing.
    """
    actions = actions_of(entries)
    limit = limit_actions(int(actions[-1]), fraction)
    kept = entries[: int(np.searchsorted(actions, limit))]
    if not kept:
        raise ConfigError(
            f"fraction: {fraction} keeps action indices below {limit}, and the first one there is "
            f"{actions[0]}; take a larger fraction"
        )
    return kept
