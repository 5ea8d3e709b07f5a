"""The records and the index of one split. TensorFlow is imported for what is to be decoded, no sooner."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, tee
from pathlib import Path

import numpy as np

from tfrecords_tools.columns import Columns
from tfrecords_tools.console.tensorflow import quiet
from tfrecords_tools.entry import Entry
from tfrecords_tools.example import serialize
from tfrecords_tools.finished import Digest, Finished
from tfrecords_tools.fraction import actions_of
from tfrecords_tools.images import load_images
from tfrecords_tools.index import write_index
from tfrecords_tools.info import SplitInfo
from tfrecords_tools.problems import PROBLEMS_NAME, Problem, write_problems
from tfrecords_tools.records import RecordFile, checksum
from tfrecords_tools.scorable import find_unmatched, why_unscorable
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.source import Listing

IMAGES_PER_SHARD = 2000  # by default: some 100 MB of the real thumbnails
_BAD_NAMED = 5  # bad images that an error names
_BAD_MAX = 100  # bad images after which looking for more is pointless
UNMATCHED = "queries without a match"
UNNAMED = Listing({})  # a set that names neither cameras nor people
_LOG = logging.getLogger(__name__)


def plan_shards(counts: Sequence[int], shards: int) -> list[int]:
    """Divide actions, in order, among files of about equal numbers of images.

    Args:
        counts: images of every action.
        shards: files wanted; no more are made than there are actions.

    Returns:
        Images of every file, each at least one whole action.

    Example:
        >>> plan_shards([5, 5, 5, 5, 20], 2)
        [20, 20]
    """
    sizes, left, position = [], sum(counts), 0
    for still in range(min(shards, len(counts)), 0, -1):
        target, size = left / still, 0
        # An action is taken while more than half of it is below the target; the files to come need one each.
        while len(counts) - position >= still and (size == 0 or size + counts[position] / 2 <= target):
            size += counts[position]
            position += 1
        sizes.append(size)
        left -= size
    return sizes


def write_split(
    folder: Path,
    entries: Sequence[Entry],
    last_action: int,
    settings: Settings,
    workers: int | None = None,
    advance: Callable[[], None] = lambda: None,
    listing: Listing = UNNAMED,
    source: str = "soccernet",
    finished: Finished | None = None,
) -> SplitInfo:
    """Write the records and the index of a split, and `problems.csv` where bad images were skipped.

    Args:
        folder: the split's folder, which must not exist unless some of it is finished; its name is the split's.
        entries: the thumbnails, in the order of a `Listing`.
        last_action: the last action index of the whole split, whatever the fraction.
        settings: how records are made; `fraction` is only noted.
        workers: threads that read images, see `images.load_images`.
        advance: called once per image.
        listing: what the set says of itself beside its entries.
        source: the source's name.
        finished: the files of a killed run that need not be written again, to which those written now are added.

    Returns:
        The split's part of `info.json`.

    Raises:
        ValueError: naming the first bad images and the number of all; one that training could not decode is bad too.
            Where they are skipped: if no image is left.
        OSError: if something cannot be written.
    """
    folder.mkdir(exist_ok=finished is not None)
    table, plan = Columns(), plan_files(folder.name, entries, settings)
    names, sizes = list(plan), list(plan.values())
    files = _take_finished(folder, plan, entries, table, finished)
    taken = sum(sizes[: len(files)])
    for _ in range(taken):
        advance()
    images = _checked_images(entries[taken:], settings, workers, advance, table)
    for number in range(len(files), len(sizes)):
        path = folder / names[number]
        if not _write_file(path, number, islice(images, sizes[number]), sizes[number], table, finished):
            break
        files[path.name] = path.stat().st_size
    next(images, None)  # what it has to say, it says at its end
    return finish_split(folder, files, table, entries, last_action, settings, listing, source)


def plan_files(split: str, entries: Sequence[Entry], settings: Settings) -> dict[str, int]:
    """Return the names of a split's files of records, in order, and how many of the entries each takes."""
    sizes = plan_shards(_divisible(entries), settings.shards or max(1, round(len(entries) / IMAGES_PER_SHARD)))
    return {f"{split}-{number:05d}-of-{len(sizes):05d}.tfrecord": size for number, size in enumerate(sizes)}


def write_shard(path: Path, number: int, entries: Sequence[Entry], settings: Settings) -> Columns:
    """Write one file of records apart from the others of its split; `Columns.join` brings their rows together.

    Args:
        path: the file, which must not exist.
        number: its own among the split's.
        entries: its images.
        settings: see `write_split`.

    Raises:
        ValueError: see `write_split`.
    """
    table = Columns()
    images = _checked_images(entries, settings, None, lambda: None, table)
    _write_file(path, number, images, len(entries), table, None)
    next(images, None)
    return table


def finish_split(
    folder: Path,
    files: dict[str, int],
    table: Columns,
    entries: Sequence[Entry],
    last_action: int,
    settings: Settings,
    listing: Listing,
    source: str,
) -> SplitInfo:
    """Write what stands beside the records of a split, and return its part of `info.json`.

    A split that cannot be scored is warned of, unless it is the training set or its labels are withheld.

    Args:
        folder: the split's.
        files: names and sizes in bytes of its files of records.
        table: what is in them.
        entries: see `write_split`.
        last_action: see `write_split`.
        settings: see `write_split`.
        listing: see `write_split`.
        source: see `write_split`.

    Raises:
        ValueError: if no image is left.
    """
    problems = table.problems
    if not len(table):
        raise ValueError(f"{problems[0].problem}; and so are all {len(problems):,} images of {folder.name}")
    notes = dict(listing.notes.get(folder.name, {}))
    if problems:
        write_problems(folder / PROBLEMS_NAME, problems)
    known = {"cameras": listing.cameras, "tracks": list(table.tracks), "people": listing.people}
    write_index(folder, files, table.columns, list(table.games), settings.fraction, last_action, known)
    people, cameras = table.values("person"), table.values("camera")
    queries = sum(table.columns["is_query"])
    action, person, camera, is_query = (
        np.array(table.columns[name], np.int64) for name in ("action", "person", "camera", "is_query")
    )
    unmatched = int(find_unmatched(action, person, camera, is_query, listing.protocol).sum())
    notes |= {UNMATCHED: unmatched} if unmatched else {}
    why = why_unscorable(queries, queries - unmatched, listing.protocol)
    if why and folder.name != "train" and -1 not in people:
        _LOG.warning("%s: %s", folder.name, why)
    return {
        "images": len(table),
        "queries": queries,
        "gallery": 0 if folder.name == "train" else len(table) - queries,
        "identities": None if -1 in people else len(people),
        "actions": len(table.values("action")),
        "shards": len(files),
        "bytes": sum(files.values()),
        "fraction": settings.fraction,
        "resize": None if settings.resize is None else list(settings.resize),
        "image_format": settings.image_format,
        "source": source,
        "protocol": listing.protocol,
        "cameras": int((cameras >= 0).sum()),
        "tracks": len(table.tracks),
        "notes": notes,
        "skipped": len(problems),
    }


def _take_finished(
    folder: Path, sizes: Mapping[str, int], entries: Sequence[Entry], table: Columns, finished: Finished | None
) -> dict[str, int]:
    """Take over the first files of a split, as far as they are finished; remove all else. Return their sizes."""
    files: dict[str, int] = {}
    first = 0
    for name, size in sizes.items():
        rows = None if finished is None else finished.rows(folder / name, entries[first : first + size])
        if rows is None:
            break
        table.extend(rows)
        files[name] = rows["bytes"]
        first += size
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    return files


def _write_file(
    path: Path,
    number: int,
    images: Iterator[tuple[Entry, bytes | None]],
    size: int,
    table: Columns,
    finished: Finished | None,
) -> bool:
    """Write a file of records; return whether all its images came."""
    mark, digest, seen = table.mark(), Digest(), 0
    with RecordFile(path) as file:
        for entry, image in images:
            seen += 1
            if finished is not None:
                digest.add(entry)
            if image is not None:
                record = serialize(entry, image)
                table.add(entry, number, file.write(record), len(record), checksum(record))
    if finished is not None and seen == size:
        finished.add(path, file.checksum, digest.hex(), table.since(mark))
    return seen == size


def _divisible(entries: Sequence[Entry]) -> list[int]:
    """Images of every part of a split that stays in one file: an action, or an image of a set that is one action."""
    _, counts = np.unique(actions_of(entries), return_counts=True)
    return counts.tolist() if len(counts) > 1 else [1] * len(entries)


class Checker:
    """Training's decoder, which is only imported once there is something to decode. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._check: Callable[[Path, bytes], None] | None = None

    def __call__(self, path: Path, data: bytes) -> None:
        """Raise ValueError, naming the file, if its bytes cannot be decoded."""
        with self._lock:
            if self._check is None:
                with quiet():
                    from tfrecords_tools.decoding import Decoder
                self._check = Decoder().check
        self._check(path, data)


def _checked_images(
    entries: Sequence[Entry],
    settings: Settings,
    workers: int | None,
    advance: Callable[[], None],
    table: Columns,
) -> Iterator[tuple[Entry, bytes | None]]:
    """Yield entries, with the real size of their images, and the bytes to store.

    Of a bad image there are no bytes, and it is added to the problems, where bad images are skipped. Otherwise nothing
    more is yielded after the first; the rest is only looked through, so that one error tells of all.
    """
    stop = settings.on_error == "stop"
    bad: list[str] = []
    mine, paths, boxes, numbers = tee(entries, 4)  # no more of them are made at once than images are read ahead
    loaded = load_images(
        (entry.path for entry in paths), settings.resize, settings.image_format, workers, Checker(),
        (entry.box for entry in boxes), settings.max_pixels, settings.decode, (entry.number for entry in numbers),
    )  # fmt: skip
    for entry, image in zip(mine, loaded, strict=True):
        advance()
        if isinstance(image, Exception):
            if not stop:
                table.problems.append(Problem(entry.source, entry.subset, str(image)))
                yield entry, None
                continue
            bad.append(str(image))
            if len(bad) == _BAD_MAX:
                break
        elif not bad:
            real, named = (image.height, image.width), (entry.thumbnail.height, entry.thumbnail.width)
            if real != named:
                if any(named):  # a name says it
                    table.missized += 1
                    table.first_missized = table.first_missized or f"{entry.path} has {image.height}x{image.width}"
                entry = entry._replace(thumbnail=entry.thumbnail._replace(height=image.height, width=image.width))
            yield entry, image.data
    if bad:
        count = f"{len(bad)} or more" if len(bad) == _BAD_MAX else len(bad)
        more = f"; ... ({count} bad images)" if len(bad) > _BAD_NAMED else ""
        raise ValueError("; ".join(bad[:_BAD_NAMED]) + more)
    if table.missized:
        _LOG.warning(
            "%d images are not of the size their names say, the first: %s; the records carry the real size",
            table.missized, table.first_missized,
        )  # fmt: skip
