"""The value object that every ranking is: one list of gallery images per query, end to end; NumPy only."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kreid.errors import check_kind, received
from kreid.ranking.embeddings import Images, check_labelled, describe
from kreid.ranking.protocols import gallery_sizes, protocol_of


@dataclass(frozen=True, eq=False)
class Ranking:
    """For every query the gallery images of its action that count, best first; checked.

    Query i's list is `gallery[offsets[i]:offsets[i + 1]]`. Rows mean rows of `images`: `images.bbox[ranking.gallery]`
    are the ranked indices, `embeddings.vectors[ranking.query]` the queries' vectors.

    Args:
        images: the labels.
        query: (Q,) int64 rows of all queries.
        offsets: (Q + 1,) int64, from 0 to P.
        gallery: (P,) int64 rows of gallery images: in each list every one of the query's action that counts, once.
        distance: (P,) float64, never falling inside a list.
        protocol: which images count, one of `kreid.ranking.PROTOCOLS`: "action" (default), all of the action.
        nearest: how many images a list has at most, where it was cut; None (default) for whole lists. Lists that were
            cut can be shown, not scored.

    Raises:
        ValueError: a list is not a complete ranking of what counts for its query; names the first query.

    Example:
        >>> ranking: kreid.Ranking = kreid.rank(embeddings)
        >>> best = ranking.gallery[ranking.offsets[:-1]]  # of each query the row of its nearest gallery image
        >>> bool((embeddings.action[best] == embeddings.action[ranking.query]).all())
        True
    """

    images: Images
    query: np.ndarray
    offsets: np.ndarray
    gallery: np.ndarray
    distance: np.ndarray
    protocol: str = "action"
    nearest: int | None = None

    def __post_init__(self) -> None:
        check_kind("images", self.images, Images)
        _check_layout(self)
        _check_complete(self)
        falls = (np.diff(self.distance) < 0) & (np.diff(self.owner) == 0)
        if falls.any():
            row = self.query[self.owner[:-1][falls][0]]
            raise ValueError(f"distance: the list of {describe(self.images, row)} is not sorted, nearest first")

    def __len__(self) -> int:
        return len(self.query)

    def __repr__(self) -> str:
        """What it is of: its lists would be screens full."""
        cut = "" if self.nearest is None else f", the nearest {self.nearest} of each"
        return f"<Ranking: {self.images.counts()}; protocol {self.protocol}{cut}>"

    @property
    def sizes(self) -> np.ndarray:
        """(Q,) int64, the number of gallery images in each query's list; 0 where its action has none."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """(P,) int64, the query (0 to Q - 1) each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def match(self) -> np.ndarray:
        """(P,) bool, True where the gallery image shows the query's person; ValueError where labels are withheld."""
        return matches(self.images, self)

    def check_all(self) -> None:
        """Raise ValueError unless each list is the whole gallery of its action, as protocol "action" has it."""
        if self.protocol != "action" or self.nearest is not None:
            raise ValueError(
                f"ranking: expected lists of every gallery image of an action, received {_named(self)}; rank by "
                "protocol 'action', without nearest"
            )

    def under(self, protocol: str) -> "Ranking":
        """Return what another protocol leaves of these lists, such as of a file's, which holds all of the action.

        Raises:
            ValueError: the lists are not whole ones of protocol "action", or as `protocol_of`.
        """
        self.check_all()
        counts = protocol_of(protocol, self.images).counts
        owner = self.owner
        kept = np.ones(len(owner), bool) if counts is None else counts(self.images, self.query[owner], self.gallery)
        offsets = np.append(0, np.bincount(owner[kept], minlength=len(self)).cumsum())
        return Ranking(self.images, self.query, offsets, self.gallery[kept], self.distance[kept], protocol)


class Lists(NamedTuple):
    """Lists of some queries, end to end, as `Ranking` has them of all."""

    query: np.ndarray
    offsets: np.ndarray
    gallery: np.ndarray
    distance: np.ndarray


def matches(images: Images, lists: Ranking | Lists) -> np.ndarray:
    """Return (P,) bool, which entries show their query's person; ValueError where labels are withheld."""
    person = images.person
    for rows in (lists.query, lists.gallery):
        check_labelled(images, rows)
    return person[lists.gallery] == np.repeat(person[lists.query], np.diff(lists.offsets))


def _check_layout(ranking: Ranking) -> None:
    images, offsets, gallery = ranking.images, ranking.offsets, ranking.gallery
    for name in ("query", "offsets", "gallery", "distance"):
        array = getattr(ranking, name)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name}: expected a one-dimensional array, received {received(array)}")
        if name == "distance":  # of any kind of number
            continue
        if array.ndim != 1 or array.dtype != np.int64:
            raise ValueError(
                f"{name}: expected a one-dimensional int64 array, received {array.dtype}, shape {array.shape}"
            )
    ends_right = len(offsets) == len(ranking) + 1 and offsets[0] == 0 and offsets[-1] == len(gallery)
    if not ends_right or (ranking.sizes < 0).any():
        raise ValueError(f"offsets: expected {len(ranking) + 1} rising numbers from 0 to {len(gallery)}")
    if ranking.distance.shape != gallery.shape or not np.isfinite(ranking.distance).all():
        raise ValueError(f"distance: expected {len(gallery)} finite numbers, one per entry of gallery")
    for name, rows, kind in (("query", ranking.query, True), ("gallery", gallery, False)):
        known = (rows >= 0) & (rows < len(images))
        known[known] = images.is_query[rows[known]] == kind
        if not known.all():
            raise ValueError(f"{name}: row {rows[~known][0]} of images is no {'query' if kind else 'gallery'} image")
    count = np.count_nonzero(images.is_query)
    if len(ranking) != count or len(np.unique(ranking.query)) != count:
        raise ValueError(f"query: expected each of the {count} queries of images once, received {len(ranking)} rows")


def _check_complete(ranking: Ranking) -> None:
    """Find the lists that are too long or short, and entries of another action, that do not count or stand twice."""
    images, gallery, owner = ranking.images, ranking.gallery, ranking.owner
    if ranking.nearest is not None and ranking.nearest < 1:
        raise ValueError(f"nearest: expected 1 or more images a query, received {ranking.nearest}")
    size = gallery_sizes(images, ranking.protocol)[ranking.query]
    wrong = ranking.sizes != (size if ranking.nearest is None else np.minimum(size, ranking.nearest))
    query = ranking.query[owner]
    strange = images.action[gallery] != images.action[query]
    counts = protocol_of(ranking.protocol, images).counts
    if counts is not None:
        strange |= ~counts(images, query, gallery)
    wrong[owner[strange]] = True
    pairs = np.sort(owner * len(images) + gallery)
    wrong[pairs[1:][np.diff(pairs) == 0] // max(len(images), 1)] = True
    if wrong.any():
        image = describe(images, ranking.query[wrong][0])
        raise ValueError(f"gallery: the list of {image} is not {_named(ranking)}, once each")


def _named(ranking: Ranking) -> str:
    some = "every gallery image" if ranking.nearest is None else f"the nearest {ranking.nearest} gallery images"
    return f"{some} of its action" + ("" if ranking.protocol == "action" else f" that {ranking.protocol!r} counts")
