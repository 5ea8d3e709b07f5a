"""SoccerNet's ranking file: written, read back, checked and scored; NumPy only.

The file is JSON, `{"<query bbox>": [gallery bbox, ...], ...}`: for every query all gallery images of its action as
integers, best first. The challenge's server and `SoccerNet.Evaluation.ReIdentification.evaluate` take it.
"""

import json
import reprlib
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from typing import Any, overload

import numpy as np

from kreid.files.atomic import atomic_file
from kreid.ranking.embeddings import Embeddings, Images
from kreid.ranking.lists import Ranking
from kreid.ranking.scores import Metrics, MetricsOf, evaluate
from kreid.ranking.searches import answers_of, is_search
from kreid.ranking.truth import parse_json, read_groundtruth

_SHOWN = 3  # faults of a kind that are named, the rest are counted
_SEARCH = b'{"metric"'  # how kreid-search's file begins
_LARGEST = 1 << 31  # bytes of such a file


def to_json(ranking: Ranking) -> dict[str, list[int]]:
    """Return a ranking as the plain object that the file holds.

    Args:
        ranking: what `rank` returned, labels known or not.

    Returns:
        One list per query; an empty one where the query's action has no gallery.

    Raises:
        ValueError: the lists are not those of the whole action, which the file holds under every protocol.
    """
    ranking.check_all()
    gallery = ranking.images.bbox[ranking.gallery].tolist()
    ends = ranking.offsets.tolist()
    queries = ranking.images.bbox[ranking.query].tolist()
    return {str(bbox): gallery[ends[i] : ends[i + 1]] for i, bbox in enumerate(queries)}


def write(ranking: Ranking, path: str | Path) -> Path:
    """Write the ranking file, whole or not at all.

    Args:
        ranking: what `rank` returned.
        path: the `.json` file.

    Returns:
        The path written.
    """
    with atomic_file(path) as file:
        file.write(json.dumps(to_json(ranking), separators=(",", ":")).encode("ascii"))
    return Path(path)


def read(path: str | Path, groundtruth: Images | Embeddings | str | Path, protocol: str | None = None) -> Ranking:
    """Read a ranking file and check it against the images it ranks. By "action", labels may be withheld.

    Args:
        path: the ranking file, from any program, or what kreid-search found, see `kreid.ranking.searches`.
        groundtruth: the images: an `Images`, an `Embeddings`, or a file that `read_groundtruth` reads.
        protocol: which of the images in the file's lists, which are of all of an action, to keep, as in `rank`; None
            (default) for what the images say.

    Returns:
        The ranking; the distances are the images' places 0, 1, 2, ... in the file's lists, since it holds none.

    Raises:
        ValueError: the file is larger than any ranking of these images, is not JSON, or is not a complete ranking. One
            line says for each kind of fault how many there are, and names the first few. Or as `Ranking.under`.
    """
    ranking = _read_whole(path, _images(groundtruth))
    protocol = protocol or ranking.images.protocol
    return ranking if protocol == ranking.protocol else ranking.under(protocol)


def _read_whole(path: str | Path, images: Images) -> Ranking:
    """Read what a file holds under every protocol: lists of all of an action."""
    answers = _parse(Path(path), images)
    faults = _Faults(images)
    queries, rows, sizes = [], [], []
    for members, gallery in images.actions():
        row_of = dict(zip(images.bbox[gallery].tolist(), gallery.tolist(), strict=True))
        for row in members.tolist():
            key = str(images.bbox[row])
            entries = answers.pop(key, None if row_of else [])
            if faults.none_in(key, entries, row_of.keys()):
                rows.extend([row_of[entry] for entry in entries])
                queries.append(row)
                sizes.append(len(entries))
    for key in answers:
        faults.add("keys that are no query", _brief, key)
    if faults.found:
        raise ValueError(f"{path}: not a ranking of these images: {faults}")
    offsets = np.cumsum([0, *sizes], dtype=np.int64)
    places = np.arange(len(rows)) - np.repeat(offsets[:-1], sizes)
    return Ranking(images, np.array(queries, np.int64), offsets, np.array(rows, np.int64), places.astype(np.float64))


@overload
def score(path: str | Path, groundtruth: Images | Embeddings | str | Path, *, protocol: str | None = None) -> Metrics:
    """Score by the usual ranks: 1, 5 and 10."""


@overload
def score(
    path: str | Path, groundtruth: Images | Embeddings | str | Path, ranks: Sequence[int], protocol: str | None = None
) -> MetricsOf:
    """Score by other ranks."""


def score(
    path: str | Path,
    groundtruth: Images | Embeddings | str | Path,
    ranks: Sequence[int] = (1, 5, 10),
    protocol: str | None = None,
) -> Metrics | MetricsOf:
    """Return what `evaluate` gives for a ranking file.

    Where the official scorer gives figures they are the same. It refuses a file in which a query has no match in its
    gallery; here such a query is skipped and counted.

    Args:
        path: the ranking file, from any program.
        groundtruth: the labelled images: an `Images`, an `Embeddings`, or a file that `read_groundtruth` reads.
        ranks: the k of the rank-k figures.
        protocol: which of the images in the lists count, as in `rank`; None (default) for what the images say.

    Raises:
        ValueError: as `read`, or labels are withheld, or others lack that the protocol needs; by then the file is known
            to be a complete ranking.
    """
    ranking = _read_whole(path, _images(groundtruth))
    person = ranking.images.person
    withheld = (person[ranking.query] < 0).any()
    if not withheld:
        ranking = ranking.under(
            protocol or ranking.images.protocol
        )  # which may leave out gallery images that nobody knows
    if withheld or (person[ranking.gallery] < 0).any():
        raise ValueError(
            f"{path}: a complete ranking of {len(ranking):,} queries, but their labels are withheld, as in the "
            "challenge set, so it cannot be scored here; send it to the challenge's server"
        )
    return evaluate(ranking, ranks)


class _Faults:
    """What is wrong with a ranking file: per kind, how often and where first."""

    def __init__(self, images: Images) -> None:
        gallery = ~images.is_query
        self.action = dict(zip(images.bbox[gallery].tolist(), images.action[gallery].tolist(), strict=True))
        self.found: dict[str, tuple[int, list[str]]] = {}

    def __str__(self) -> str:
        return "; ".join(f"{kind}: {count:,} ({_some(first, count)})" for kind, (count, first) in self.found.items())

    def add(self, kind: str, name: Callable[[Any], str], what: Any, place: str = "") -> None:
        """Count a fault. `name` is asked for the first few of a kind only: there may be millions."""
        before, first = self.found.get(kind) or (0, [])
        if before < _SHOWN:
            first.append(name(what) + place)
        self.found[kind] = (before + 1, first)

    def none_in(self, key: str, entries: Any, wanted: Set[int]) -> bool:
        """Return whether `entries` is each of `wanted` once, and note what else it is, in linear time."""
        if entries is None:
            self.add("queries left out", str, key)
            return False
        if not isinstance(entries, list):
            self.add("values that are no list", _brief, entries, f" for query {key}")
            return False
        listed: set[int] = set()
        place = f" in query {key}"
        for entry in entries:
            kind = self._kind(entry, wanted, listed)
            if kind:
                self.add(kind, self._name, entry, place)
            else:
                listed.add(entry)
        for entry in sorted(wanted - listed):
            self.add("gallery images left out", str, entry, place)
        return len(listed) == len(entries) == len(wanted)

    def _kind(self, entry: Any, wanted: Set[int], listed: set[int]) -> str | None:
        if type(entry) is not int:  # isinstance would let `true` through, and it is no image
            return "entries that are no integer"
        if entry in listed:
            return "gallery images listed again"
        if entry in wanted:
            return None
        return "gallery images of another action" if entry in self.action else "entries that are no gallery image"

    def _name(self, entry: Any) -> str:
        known = type(entry) is int and entry in self.action
        return f"{entry} of action {self.action[entry]}" if known else _brief(entry)


def _brief(value: Any) -> str:
    """A file's value in a few characters."""
    return reprlib.repr(value)


def _some(first: Iterable[str], count: int) -> str:
    return ", ".join(first) + (", ..." if count > _SHOWN else "")


def _images(groundtruth: Images | Embeddings | str | Path) -> Images:
    if isinstance(groundtruth, Embeddings):
        return groundtruth.images
    return groundtruth if isinstance(groundtruth, Images) else read_groundtruth(groundtruth)


def _most_bytes(images: Images) -> int:
    """Return a generous bound on a file's size: 32 bytes an entry (7 are usual, 15 indented), 128 a query, 1 MiB."""
    entries = sum(len(query) * len(gallery) for query, gallery in images.actions())
    return 32 * entries + 128 * len(images) + (1 << 20)


def _most_of_search(images: Images) -> int:
    """Return a generous bound on what kreid-search writes of all queries and the gallery: 512 bytes an entry."""
    queries = int(images.is_query.sum())
    return 512 * queries * (len(images) - queries + 1) + (1 << 20)


def _parse(path: Path, images: Images) -> dict[str, Any]:
    """Return the file's object; what is too large is not read, so nonsense costs little time and memory."""
    with path.open("rb") as file:
        data = file.read(len(_SEARCH))
        most = _most_bytes(images) if data != _SEARCH else min(_LARGEST, _most_of_search(images))
        data += file.read(most + 1 - len(data))
    if len(data) > most:
        size = max(path.stat().st_size, len(data))
        raise ValueError(f"{path}: {size:,} bytes; a ranking of these images has at most {most:,}; is it another file?")
    try:
        answers, repeated = parse_json(data)
    except ValueError as error:
        raise ValueError(f"{path}: expected a JSON ranking file: {error}") from error
    if not isinstance(answers, dict):
        raise ValueError(
            f'{path}: expected {{"<query bbox>": [gallery bbox, ...]}}, received a {type(answers).__name__}'
        )
    if is_search(answers):
        try:
            return answers_of(answers, images)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if repeated:
        first = _some(map(_brief, repeated[:_SHOWN]), len(repeated))
        raise ValueError(f"{path}: queries that stand twice: {len(repeated):,} ({first})")
    return answers
