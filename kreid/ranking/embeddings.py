"""Embeddings and the labels of the images they stand for; NumPy only."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise as neighbours
from pathlib import Path

import numpy as np

from kreid.errors import check_path, received
from kreid.files.atomic import atomic_file
from tfrecords_tools.arrays import read_arrays, write_arrays

_ARRAYS = ("vectors", "person", "action", "bbox", "is_query")
_CAMERA = "camera"  # in files whose images have one
_PROTOCOL = "protocol"  # in files whose images have a camera, or are scored otherwise than by "action"
_RECORD = "records/"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Images:
    """The labels of M query and gallery images, checked and read-only.

    Args:
        person: (M,) integers, the identity; -1 where it is unknown (challenge).
        action: (M,) integers; a query is compared with the gallery images of its own action.
        bbox: (M,) integers from 0, SoccerNet's index of the image. Queries and gallery images count separately; the
            index orders each list and decides between equal distances.
        is_query: (M,) bool, True for a query and False for a gallery image.
        records: further arrays of M values for reports, such as role, height, width, game.
        camera: (M,) integers, -1 for an image whose camera is unknown; None (the default) where all are.
        protocol: what they are ranked and scored by where nothing else is asked for, one of `kreid.ranking.PROTOCOLS`;
            that of their records, "action" (the default) where these name none.

    Raises:
        ValueError: an array has another length or dtype, or an index occurs twice in one list; it names a row.
    """

    person: np.ndarray
    action: np.ndarray
    bbox: np.ndarray
    is_query: np.ndarray
    records: Mapping[str, np.ndarray] = field(default_factory=dict)
    camera: np.ndarray | None = None
    protocol: str = "action"

    def __post_init__(self) -> None:
        if not isinstance(self.protocol, str):
            raise ValueError(f"protocol: expected a name, such as 'action', received {self.protocol!r}")
        is_query = np.asarray(self.is_query)
        if is_query.ndim != 1 or (is_query.size and is_query.dtype != bool):
            raise ValueError(f"is_query: expected (M,) booleans, received {is_query.dtype} of shape {is_query.shape}")
        count = len(is_query)
        _keep(self, "is_query", is_query.astype(bool))
        for name in ("person", "action", "bbox"):
            _keep(self, name, _integers(name, getattr(self, name), count))
        if self.camera is not None:
            _keep(self, "camera", _integers("camera", self.camera, count))
        for name, least in (("person", -1), ("bbox", 0), ("camera", -1)):
            if getattr(self, name) is None:
                continue
            low = np.flatnonzero(getattr(self, name) < least)
            if len(low):
                raise ValueError(
                    f"{name}: expected {least} or more, received {getattr(self, name)[low[0]]} in row {low[0]}"
                )
        if not isinstance(self.records, Mapping | None):
            raise ValueError(
                f"records: expected arrays by their names, such as a dict, received {received(self.records)}"
            )
        records = {name: _record(name, values, count) for name, values in (self.records or {}).items()}
        object.__setattr__(self, "records", records)
        _check_unique(self)

    def __len__(self) -> int:
        return len(self.is_query)

    def __repr__(self) -> str:
        return f"<Images: {self.counts()}>"

    def counts(self) -> str:
        """Return words for how many there are: "2 queries and 9 gallery images of 1 action"."""
        queries, actions = int(self.is_query.sum()), len(np.unique(self.action))
        return (
            f"{queries} {'query' if queries == 1 else 'queries'} and {len(self) - queries} gallery "
            f"image{'s' if len(self) - queries != 1 else ''} of {actions} action{'s' if actions != 1 else ''}"
        )

    def actions(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, per action in rising order, the rows of its queries and those of its gallery, each by bbox index."""
        order = np.lexsort((self.bbox, ~self.is_query, self.action))
        action = self.action[order]
        ends = [0, *(np.flatnonzero(np.diff(action)) + 1).tolist(), len(order)]
        for start, stop in neighbours(ends if len(order) else []):
            rows = order[start:stop]
            queries = np.count_nonzero(self.is_query[rows])
            yield rows[:queries], rows[queries:]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector per query and gallery image, with the images' labels; checked and read-only.

    Args:
        vectors: (M, D) finite real numbers, kept as float32 (without a copy where they are float32 already).
        person: (M,) integers, -1 where unknown.
        action: (M,) integers.
        bbox: (M,) integers, each once among the queries and once among the gallery.
        is_query: (M,) bool.
        records: further arrays of M values for reports (role, height, width, game, ...).
        camera: (M,) integers, -1 where unknown; None (the default) where all are.
        protocol: what `kreid.rank` takes where nothing else is asked for, as `kreid.ranking.Images` has it.

    The same labels stand in `images`, an `Images`, without the vectors.

    Raises:
        ValueError: an array has another length or dtype, a vector is not finite, or an index occurs twice in one list.

    Example:
        >>> person, action, bbox = np.array([[7, 7, 8], [0, 0, 0], [0, 0, 1]])
        >>> vectors = np.array([[0, 1], [0.1, 1], [1, 0]])
        >>> found = kreid.Embeddings(vectors, person, action, bbox, is_query=np.array([True, False, False]))
        >>> kreid.evaluate(kreid.rank(found))["rank1"]
        1.0
    """

    vectors: np.ndarray
    person: np.ndarray
    action: np.ndarray
    bbox: np.ndarray
    is_query: np.ndarray
    records: Mapping[str, np.ndarray] = field(default_factory=dict)
    camera: np.ndarray | None = None
    protocol: str = "action"
    images: Images = field(init=False, repr=False)

    def __post_init__(self) -> None:
        images = Images(self.person, self.action, self.bbox, self.is_query, self.records, self.camera, self.protocol)
        object.__setattr__(self, "images", images)
        for name in ("person", "action", "bbox", "is_query", "records", "camera"):
            object.__setattr__(self, name, getattr(images, name))
        vectors = np.asarray(self.vectors)
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
            raise ValueError(
                f"vectors: expected (M, D) real numbers, received {vectors.dtype} of shape {vectors.shape}"
            )
        if len(vectors) != len(images):
            raise ValueError(f"vectors: expected {len(images)} rows, as many as is_query has, received {len(vectors)}")
        with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes infinite: refused below
            vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            raise ValueError(
                f"vectors: expected finite float32 numbers, but {len(wrong)} of {len(vectors)} rows are not; first row "
                f"{wrong[0]}, {describe(images, wrong[0])}; look for a diverged model or a broken image"
            )
        _keep(self, "vectors", vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        """What they are of: their numbers would be screens full."""
        return f"<Embeddings: {len(self)} vectors of {self.vectors.shape[1]} numbers; {self.images.counts()}>"

    def save(self, path: str | Path) -> None:
        """Write everything to an uncompressed `.npz`, whole or not at all.

        Args:
            path: the file; it gets what `arrays` gives.
        """
        check_path("path", path, "the .npz file to write")
        with atomic_file(path) as file:
            write_arrays(file, self.arrays())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a file of them holds.

        That is `vectors`, `person`, `action`, `bbox`, `is_query`, `camera` where known, `protocol` with cameras or
        where it is not "action", and `records/<name>` per record.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {} if self.camera is None else {_CAMERA: self.camera}
        if self.camera is not None or self.protocol != "action":
            arrays[_PROTOCOL] = np.array(self.protocol)
        return arrays | {_RECORD + name: values for name, values in self.records.items()}

    @classmethod
    def load(cls, path: str | Path) -> "Embeddings":
        """Read what `save` wrote.

        Args:
            path: the `.npz` file.

        Raises:
            ValueError: the file is no `.npz`, lacks an array, or holds what the constructor refuses; it names the file.
        """
        check_path("path", path, "a .npz file that `save` wrote")
        arrays = read_arrays(path, _ARRAYS)
        records = {name[len(_RECORD) :]: values for name, values in arrays.items() if name.startswith(_RECORD)}
        try:
            labels = {name: arrays[name] for name in _ARRAYS}
            return cls(**labels, records=records, camera=arrays.get(_CAMERA), protocol=protocol_in(arrays, path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def protocol_in(arrays: Mapping[str, np.ndarray], path: str | Path) -> str:
    """Return the protocol that a file of labels names; ValueError where that is no text.

    With cameras and without a protocol, a file is of another program or of an earlier version: a warning says so.
    """
    if _PROTOCOL not in arrays and (arrays.get(_CAMERA, np.array(-1)) >= 0).any():
        _LOG.warning(
            "%s: has cameras and names no protocol; taken for 'action', give protocol='cross_camera' for the other",
            path,
        )
    named = arrays.get(_PROTOCOL, np.array("action"))
    if named.ndim or named.dtype.kind != "U":
        raise ValueError(f"protocol: expected one text, received {named.dtype} of shape {named.shape}")
    return str(named)


def describe(images: Images, row: int) -> str:
    """Return words for one image, for messages: "query 17 of action 3"."""
    return f"{'query' if images.is_query[row] else 'gallery'} {images.bbox[row]} of action {images.action[row]}"


def parse_description(text: str) -> tuple[bool, int, int] | None:
    """Return what words that end as `describe` has them say: whether it is a query, its bbox index and its action.

    Example:
        >>> parse_description("records/test: query 17 of action 3")
        (True, 17, 3)
    """
    match = re.search(r"(?:^| )(query|gallery) ([0-9]{1,18}) of action ([0-9]{1,18})$", text)
    return (match[1] == "query", int(match[2]), int(match[3])) if match else None


def check_labelled(images: Images, rows: np.ndarray) -> None:
    """Raise ValueError, naming the first image, unless the person of all these rows is known."""
    unknown = np.flatnonzero(images.person[rows] < 0)
    if len(unknown):
        raise ValueError(
            f"person: the label of {describe(images, rows[unknown[0]])} is withheld, as in the challenge set, so "
            "nothing can be scored; write the ranking file and send it to the challenge's server"
        )


def same_rows(first: Images, other: Images, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of two lists of the same images that bring them into one order; ValueError where they differ.

    Args:
        first: the labels.
        other: labels in whatever order.
        name: what to call `other` in the error.
    """
    if len(first) != len(other):
        raise ValueError(f"{name}: expected the same {len(first)} images, received {len(other)}")
    rows = [np.lexsort((images.bbox, images.is_query)) for images in (first, other)]
    cameras = () if first.camera is None or other.camera is None else ("camera",)
    for label in ("is_query", "bbox", "action", "person", *cameras):
        differ = np.flatnonzero(getattr(first, label)[rows[0]] != getattr(other, label)[rows[1]])
        if len(differ):
            one, two = rows[0][differ[0]], rows[1][differ[0]]
            expected, received = getattr(first, label)[one], getattr(other, label)[two]
            raise ValueError(f"{name}: expected {describe(first, one)} with {label} {expected}, received {received}")
    return rows[0], rows[1]


def _keep(owner: object, name: str, array: np.ndarray) -> None:
    view = array.view()
    view.flags.writeable = False
    object.__setattr__(owner, name, view)


def _integers(name: str, values: object, count: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{name}: expected (M,) integers, received {array.dtype} of shape {array.shape}")
    if len(array) != count:
        raise ValueError(f"{name}: expected {count} values, as many as is_query has, received {len(array)}")
    return array.astype(np.int64)


def _record(name: str, values: object, count: int) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim < 1 or len(array) != count or array.dtype == object:
        raise ValueError(
            f"records[{name!r}]: expected {count} plain values, received {array.dtype} of shape {array.shape}"
        )
    return array


def _check_unique(images: Images) -> None:
    order = np.lexsort((images.bbox, images.is_query))
    bbox, is_query = images.bbox[order], images.is_query[order]
    same = np.flatnonzero((bbox[1:] == bbox[:-1]) & (is_query[1:] == is_query[:-1]))
    if len(same):
        first = same[np.argmin(order[same])]
        one, other = order[first], order[first + 1]
        subset = "queries" if images.is_query[one] else "gallery images"
        raise ValueError(
            f"bbox: {images.bbox[one]} stands in rows {one} and {other}, both {subset}, but counts one image there; "
            "were the same records read twice?"
        )
