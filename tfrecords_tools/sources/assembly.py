"""From labelled images to a listing: numbers for names, indices in each list, and what is to know of queries."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

from tfrecords_tools.entry import SPLITS, Entry, placed
from tfrecords_tools.errors import ConfigError, one_line
from tfrecords_tools.given_names import find_alike
from tfrecords_tools.sources.source import Listing

_Item = TypeVar("_Item")
_LOG = logging.getLogger(__name__)
NOBODY_QUERIES = "queries of nobody in particular left out"
NOBODY = 0  # the person of boxes that show nobody in particular: in the gallery, never a query


def each_let_go(items: list[_Item]) -> Iterator[_Item]:
    """Yield what stands in a list that nobody needs any more, which is emptied: a set of many is not held twice."""
    items.reverse()
    while items:
        yield items.pop()


def number_names(names: Iterable[str], first: int = 1) -> tuple[dict[str, int], list[str]]:
    """Give names their numbers, in the order of the names; those that are numbers come first, by their value.

    Args:
        names: in any order, repeated or not; "" is none.
        first: the first number; those below have no name.

    Returns:
        Numbers by name, and names by number.

    Example:
        >>> number_names(["b", "a", "b"])
        ({'a': 1, 'b': 2}, ['', 'a', 'b'])
    """
    ordered = sorted(set(names) - {""}, key=_by_value)
    return {name: first + place for place, name in enumerate(ordered)}, [""] * first + ordered


def _by_value(name: str) -> tuple[bool, int, str]:
    number = name.isascii() and name.isdigit()
    return not number, int(name[-18:]) if number else 0, name


def check_alike(what: str, names: Iterable[str], case: bool = True) -> None:
    """Raise ValueError for two names that are read as one, see `find_alike`: each would count as another.

    Without `case`, as for names that programs made up, case tells them apart: "aB" and "ab" are two.
    """
    if alike := find_alike(sorted(set(names)), case):
        one, other = (repr(name) if case else ascii(name) for name in alike)
        raise ValueError(f"two {what} of one name, {one} and {other}: rename one")


def choose_splits(wanted: Sequence[str], found: Iterable[str], place: object) -> None:
    """Raise ConfigError if a split is wanted that a set does not have."""
    there = [split for split in SPLITS if split in set(found)]
    missing = [split for split in wanted if split not in there]
    if missing:
        raise ConfigError(f"{place}: has no split {missing[0]!r}, only {', '.join(there) or 'none'}; leave it out")


def assemble(
    entries: Iterable[Entry],
    splits: Sequence[str],
    protocol: str,
    cameras: Sequence[str] = (),
    people: Sequence[str] = (),
    notes: dict[str, Counter[str]] | None = None,
) -> Listing:
    """Order the entries of some splits, and number lists and actions.

    Each split counts its actions from 0, as SoccerNet does, so that a fraction of them is one of all of the split's. A
    query of nobody in particular is left out and counted: all distractors would be its matches. A person in two splits
    is warned of.

    Args:
        entries: of all splits; their bbox indices are given here, in the order in which they come.
        splits: those to list.
        protocol: see `Listing`.
        cameras: see `Listing`.
        people: see `Listing`.
        notes: see `Listing`; queries of nobody join them.

    Raises:
        ValueError: a split has no image.
    """
    listed: dict[str, list[Entry]] = {split: [] for split in splits}
    notes = {split: Counter((notes or {}).get(split, ())) for split in splits}
    entries = list(entries)
    _warn_of_shared_people(entries, people)
    for entry in entries:
        if entry.split not in listed:
            continue
        if entry.subset == "query" and entry.thumbnail.person == NOBODY:
            notes[entry.split][NOBODY_QUERIES] += 1
        else:
            listed[entry.split].append(entry)
    del entries  # each is let go where another takes its place below
    for split, mine in listed.items():
        if not mine:
            raise ValueError(f"split {split!r}: no image is left for it; give it some, or leave it out with --split")
        mine.sort(key=lambda entry: (entry.thumbnail.action, entry.subset != "query"))
        actions = {action: place for place, action in enumerate(sorted({entry.thumbnail.action for entry in mine}))}
        count: Counter[str] = Counter()
        for place, entry in enumerate(mine):
            mine[place] = placed(entry, split, entry.subset, count[entry.subset], actions[entry.thumbnail.action])
            count[entry.subset] += 1
    return Listing(listed, protocol, cameras, people, {split: dict(counts) for split, counts in notes.items()})


def _warn_of_shared_people(entries: Iterable[Entry], names: Sequence[str]) -> None:
    seen: defaultdict[str, set[int]] = defaultdict(set)
    for entry in entries:
        if entry.thumbnail.person not in (None, NOBODY):
            seen[entry.split].add(entry.thumbnail.person)
    for first, second in combinations([split for split in SPLITS if split in seen], 2):
        if both := seen[first] & seen[second]:
            person = min(both)
            _LOG.warning(
                "%d %s in %s and in %s, the first: %s; their scores are better than those of people never seen",
                len(both), "person stands" if len(both) == 1 else "people stand", first, second,
                one_line(names[person] if person < len(names) else person),
            )  # fmt: skip
