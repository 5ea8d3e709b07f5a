"""The value object that every ranking is: one list of gallery images per query, end to end; NumPy only."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kreid.ranking.embeddings import Images, check_labelled, describe


@dataclass(frozen=True, eq=False)
class Ranking:
    """For every query the gallery of its action, best first; checked.

    Query i's list is `gallery[offsets[i]:offsets[i + 1]]`. Rows mean rows of `images`: `images.bbox[ranking.gallery]`
    are the ranked indices, `embeddings.vectors[ranking.query]` the queries' vectors.

    Args:
        images: the labels.
        query: (Q,) int64 rows of all queries.
        offsets: (Q + 1,) int64, from 0 to P.
        gallery: (P,) int64 rows of gallery images: in each list every one of the query's action, once.
        distance: (P,) float64, never falling inside a list.

    Raises:
        ValueError: a list is not a complete ranking of its query's action; names the first query.
    """

    images: Images
    query: np.ndarray
    offsets: np.ndarray
    gallery: np.ndarray
    distance: np.ndarray

    def __post_init__(self) -> None:
        _check_layout(self)
        _check_complete(self)
        falls = (np.diff(self.distance) < 0) & (np.diff(self.owner) == 0)
        if falls.any():
            row = self.query[self.owner[:-1][falls][0]]
            raise ValueError(f"distance: the list of {describe(self.images, row)} is not sorted, nearest first")

    def __len__(self) -> int:
        return len(self.query)

    @property
    def sizes(self) -> np.ndarray:
        """(Q,) int64, the number of gallery images each query is compared with; 0 where its action has none."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """(P,) int64, the query (0 to Q - 1) each entry belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def match(self) -> np.ndarray:
        """(P,) bool, True where the gallery image shows the query's person; ValueError where labels are withheld."""
        person = self.images.person
        for rows in (self.query, self.gallery):
            check_labelled(self.images, rows)
        return person[self.gallery] == np.repeat(person[self.query], self.sizes)


def _check_layout(ranking: Ranking) -> None:
    images, offsets, gallery = ranking.images, ranking.offsets, ranking.gallery
    for name in ("query", "offsets", "gallery"):
        array = getattr(ranking, name)
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
    """Give every entry a slot by its number inside its action: all slots taken means all images, once. No sorting."""
    images, gallery, owner = ranking.images, ranking.gallery, ranking.owner
    number = np.zeros(len(images), np.int64)  # of a gallery image inside its action
    size = np.zeros(len(images), np.int64)  # of a query's gallery
    for query, members in images.actions():
        number[members] = np.arange(len(members))
        size[query] = len(members)
    sized = ranking.sizes == size[ranking.query]
    fits = sized[owner] & (images.action[gallery] == images.action[ranking.query][owner])
    taken = np.zeros(len(gallery), bool)
    taken[(ranking.offsets[owner] + number[gallery])[fits]] = True
    wrong = ~sized
    wrong[owner[~taken]] = True
    if wrong.any():
        image = describe(images, ranking.query[wrong][0])
        raise ValueError(f"gallery: the list of {image} is not every gallery image of its action, once each")
