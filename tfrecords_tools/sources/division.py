"""The division of a set that has none: into training and test, and into query and gallery. Seeded, so that it recurs.

Training gets a share of the people, and test the others; where people belong to one of several actions, whole actions.
Of each person of a test split one image a camera becomes a query, as in Market-1501, and the rest is the gallery, in
which every camera of the person keeps an image. A camera that has a single one keeps it; where all cameras of a person
do, one of them gives it up. So every query has a match on another camera. A person on one camera alone has none, and
stays in the gallery as a negative. Where cameras do not count (protocol "action"), a person of two images or more gives
one query.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from random import Random

from tfrecords_tools.entry import Entry, placed
from tfrecords_tools.sources.assembly import NOBODY

NO_SECOND_VIEW = "people without a second view, in the gallery alone"
NOBODY_TRAINED = "training images of nobody in particular left out"


def divide(
    entries: Iterable[Entry], protocol: str, seed: int, train_share: float
) -> tuple[list[Entry], dict[str, Counter[str]]]:
    """Divide entries as this module's head says.

    Args:
        entries: of one set; split is "" where it is to be chosen, subset where query or gallery is.
        protocol: how queries will be scored, see `Listing`.
        seed: chooses.
        train_share: part of the people, or actions, for training.

    Returns:
        The entries in the same order, all with split and subset, without those of nobody in training; and what is to
        know of each split.
    """
    notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    kept = []
    for entry in _divide_people(list(entries), seed, train_share):
        if entry.split == "train" and entry.thumbnail.person == NOBODY:
            notes["train"][NOBODY_TRAINED] += 1
        else:
            kept.append(entry)
    return _choose_queries(kept, protocol, seed, notes), notes


def _divide_people(entries: Sequence[Entry], seed: int, train_share: float) -> list[Entry]:
    open_entries = [entry for entry in entries if not entry.split]
    actions = {entry.thumbnail.action for entry in open_entries}
    several = len(actions) > 1

    def unit(entry: Entry) -> int | None:
        return entry.thumbnail.action if several else entry.thumbnail.person

    units = sorted({unit(entry) or 0 for entry in open_entries if several or entry.thumbnail.person != NOBODY})
    Random(f"{seed} people").shuffle(units)
    count = round(train_share * len(units))
    if 0 < train_share < 1 and len(units) > 1:
        count = min(max(count, 1), len(units) - 1)
    training = set(units[:count])
    return [
        entry if entry.split else placed(entry, "train" if unit(entry) in training else "test", entry.subset)
        for entry in entries
    ]


def _choose_queries(entries: Sequence[Entry], protocol: str, seed: int, notes: dict[str, Counter[str]]) -> list[Entry]:
    views: defaultdict[tuple[str, int, int], list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if entry.split != "train" and not entry.subset and entry.thumbnail.person:
            views[entry.split, entry.thumbnail.action, entry.thumbnail.person].append(place)
    queries: set[int] = set()
    for (split, action, person), places in views.items():
        cameras: defaultdict[Hashable, list[int]] = defaultdict(list)
        for place in places:
            cameras[entries[place].camera if protocol == "cross_camera" else place].append(place)
        chosen = _queries_of(list(cameras.values()), protocol, Random(f"{seed} queries {action} {person}"))
        notes[split][NO_SECOND_VIEW] += not chosen
        queries.update(chosen)
    chosen_subset = (
        "train" if entry.split == "train" else entry.subset or ("query" if place in queries else "gallery")
        for place, entry in enumerate(entries)
    )
    return [placed(entry, entry.split, subset) for entry, subset in zip(entries, chosen_subset, strict=True)]


def _queries_of(cameras: list[list[int]], protocol: str, random: Random) -> list[int]:
    """The queries among a person's images, given by camera."""
    if len(cameras) < 2:
        return []
    if protocol != "cross_camera":
        return random.choice(cameras)
    chosen = [random.choice(places) for places in cameras if len(places) > 1]
    return chosen or random.choice(cameras)
