"""Which gallery images a query is held against, protocol by protocol; a new one is one entry of `PROTOCOLS`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kreid.errors import check_kind, received
from kreid.ranking.embeddings import Images, check_labelled, describe

_PAIRS = 1 << 23  # pairs of query and gallery image looked at at once (some 32 MiB)


@dataclass(frozen=True)
class Protocol:
    """The rules of an evaluation; every query stays inside its action.

    Args:
        counts: takes the labels, rows of queries and rows of gallery images of the same actions, in shapes that
            broadcast, and tells which gallery images count; the others are neither right nor wrong, as if they were not
            there. None where all count.
        unit: takes the labels and returns (M,) integers, the groups that are drawn whole where scores are resampled,
            since what stands in one is not independent.
        by_camera: whether the camera of every image and the person of every query must be known.
    """

    counts: Callable[[Images, np.ndarray, np.ndarray], np.ndarray] | None
    unit: Callable[[Images], np.ndarray]
    by_camera: bool = False


def protocol_of(name: str | None, images: Images) -> Protocol:
    """Return a protocol of the table, sure that these images have the labels it needs.

    Args:
        name: one of `PROTOCOLS`; None for the labels' own.
        images: the labels.

    Raises:
        ValueError: the protocol is unknown, or labels that it needs are; names an image.
    """
    check_kind("images", images, Images)
    name = images.protocol if name is None else name
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)}, received {received(name)}")
    protocol = PROTOCOLS[name]
    if protocol.by_camera:
        _check_cameras(name, images)
        check_labelled(images, np.flatnonzero(images.is_query))
    return protocol


def gallery_sizes(images: Images, name: str | None = None) -> np.ndarray:
    """Return how many gallery images every query is held against.

    Args:
        images: the labels.
        name: the protocol; None (default) for the labels' own.

    Returns:
        (M,) int64; 0 in the rows of gallery images.

    Raises:
        ValueError: as `protocol_of`.
    """
    check_kind("images", images, Images)
    sizes = np.zeros(len(images), np.int64)
    for query, gallery, counted in blocks(images, name):
        sizes[query] = len(gallery) if counted is None else counted.sum(axis=1)
    return sizes


def matchable(images: Images, name: str | None = None) -> np.ndarray:
    """Return which queries have a match that counts, and so will be scored, from the labels alone.

    Args:
        images: the labels.
        name: the protocol; None (default) for the labels' own.

    Returns:
        (M,) bool; False in the rows of gallery images.

    Raises:
        ValueError: as `protocol_of`, or labels are withheld.
    """
    check_kind("images", images, Images)
    check_labelled(images, np.flatnonzero(images.is_query))
    found = np.zeros(len(images), bool)
    for query, gallery, counted in blocks(images, name):
        same = images.person[query][:, None] == images.person[gallery]
        found[query] = (same if counted is None else same & counted).any(axis=1)
    return found


def parts(rows: np.ndarray, width: int, most: int) -> list[np.ndarray]:
    """Cut rows into blocks of at most `most` pairs with `width` others each, and of at least one row."""
    step = max(1, most // max(width, 1))
    return [rows[start : start + step] for start in range(0, len(rows), step)]


def blocks(
    images: Images, name: str | None, pairs: int = _PAIRS
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield rows of queries (q,), rows of their gallery (g,) and which of it counts (q, g), None where all does.

    Args:
        images: the labels.
        name: the protocol; None for the labels' own.
        pairs: how many a block has at most, but at least those of one query.

    Raises:
        ValueError: as `protocol_of`.
    """
    counts = protocol_of(name, images).counts
    for query, gallery in images.actions():
        for part in parts(query, len(gallery), pairs):
            yield part, gallery, None if counts is None else counts(images, part[:, None], gallery)


def _check_cameras(name: str, images: Images) -> None:
    instead = "give embeddings of records that tell cameras, or take protocol 'action'"
    if images.camera is None:
        raise ValueError(f"camera: protocol {name!r} needs the camera of every image, received none; {instead}")
    unknown = np.flatnonzero(images.camera < 0)
    if len(unknown):
        image = describe(images, unknown[0])
        raise ValueError(
            f"camera: protocol {name!r} needs the camera of every image, and that of {image} is unknown; {instead}"
        )


def _on_other_cameras(images: Images, query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """All but the query's own person on its own camera, and but junk: boxes that show nobody, labelled -1."""
    person, camera = images.person, np.asarray(images.camera)  # known: `protocol_of` has looked
    own = (person[query] == person[gallery]) & (camera[query] == camera[gallery])
    return ~own & (person[gallery] >= 0)


def _people_of_one_action(images: Images) -> np.ndarray:
    """The person where all stand in one action, which as a group says nothing; the action where there are several."""
    return images.action if len(np.unique(images.action)) > 1 else images.person


PROTOCOLS: Mapping[str, Protocol] = {
    # SoccerNet-v3 ReID: the whole gallery of the action.
    "action": Protocol(counts=None, unit=lambda images: images.action),
    # Zheng et al., Scalable Person Re-identification: A Benchmark (Market-1501), ICCV 2015, section 3. Distractors
    # count as other people.
    "cross_camera": Protocol(_on_other_cameras, _people_of_one_action, by_camera=True),
}
"""Name -> protocol."""
