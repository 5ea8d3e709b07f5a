"""The records and the index of one split. Imports TensorFlow."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

from tfrecords_tools.decoding import Decoder
from tfrecords_tools.images import load_images
from tfrecords_tools.index import COLUMNS, SplitInfo, write_index
from tfrecords_tools.records import RecordFile
from tfrecords_tools.schema import serialize
from tfrecords_tools.settings import Settings
from tfrecords_tools.soccernet import Entry

IMAGES_PER_SHARD = 2000  # by default: some 100 MB of the real thumbnails
_BAD_NAMED = 5  # bad images that an error names
_BAD_MAX = 100  # bad images after which looking for more is pointless
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
    entries: list[Entry],
    last_action: int,
    settings: Settings,
    workers: int | None = None,
    advance: Callable[[], None] = lambda: None,
) -> SplitInfo:
    """Write the records and the index of a split.

    Args:
        folder: the split's folder, which must not exist; its name is the split's.
        entries: the thumbnails, in the order of `soccernet.scan`.
        last_action: the last action index of the whole split, whatever the fraction.
        settings: how records are made; `fraction` is only noted.
        workers: threads that read images, see `images.load_images`.
        advance: called once per image.

    Returns:
        The split's part of `info.json`.

    Raises:
        ValueError: naming the first bad images and the number of all; one that training could not decode is bad too.
        OSError: if something cannot be written.
    """
    folder.mkdir()
    counts = [len(list(group)) for _, group in groupby(entries, lambda entry: entry.thumbnail.action)]
    sizes = plan_shards(counts, settings.shards or max(1, round(len(entries) / IMAGES_PER_SHARD)))
    columns: dict[str, list[int]] = {name: [] for name in COLUMNS}
    games: dict[str, int] = {}
    files: dict[str, int] = {}
    images = _checked_images(entries, settings, workers, advance)
    for number, size in enumerate(sizes):
        name = f"{folder.name}-{number:05d}-of-{len(sizes):05d}.tfrecord"
        with RecordFile(folder / name) as file:
            for entry, image in islice(images, size):
                record = serialize(entry, image)
                row = _describe(entry) | {"shard": number, "offset": file.write(record), "length": len(record)}
                row["game"] = games.setdefault(entry.game, len(games))
                for column, value in row.items():
                    columns[column].append(value)
        files[name] = file.size
    next(images, None)  # what it has to say, it says at its end
    write_index(folder, files, columns, list(games), settings.fraction, last_action)
    people = {entry.thumbnail.person for entry in entries}
    return {
        "images": len(entries),
        "queries": sum(entry.subset == "query" for entry in entries),
        "gallery": sum(entry.subset == "gallery" for entry in entries),
        "identities": None if None in people else len(people),
        "actions": len(counts),
        "shards": len(sizes),
        "bytes": sum(files.values()),
        "fraction": settings.fraction,
        "resize": None if settings.resize is None else list(settings.resize),
        "image_format": settings.image_format,
    }


def _describe(entry: Entry) -> dict[str, int]:
    """The columns of the index that an entry says itself."""
    thumbnail = entry.thumbnail
    return {
        "bbox": thumbnail.bbox,
        "action": thumbnail.action,
        "person": -1 if thumbnail.person is None else thumbnail.person,
        "is_query": entry.subset == "query",
    }


def _checked_images(
    entries: list[Entry], settings: Settings, workers: int | None, advance: Callable[[], None]
) -> Iterator[tuple[Entry, bytes]]:
    """Yield entries, with the real size of their images, and the bytes to store.

    After the first bad image nothing more is yielded; the rest is only looked through, so that one error tells of all.
    """
    bad: list[str] = []
    missized: list[str] = []
    paths, check = [entry.path for entry in entries], Decoder().check
    loaded = load_images(paths, settings.resize, settings.image_format, workers, check)
    for entry, image in zip(entries, loaded, strict=True):
        advance()
        if isinstance(image, Exception):
            bad.append(str(image))
            if len(bad) == _BAD_MAX:
                break
        elif not bad:
            if (image.height, image.width) != (entry.thumbnail.height, entry.thumbnail.width):
                missized.append(f"{entry.path} has {image.height}x{image.width}")
                entry = replace(entry, thumbnail=replace(entry.thumbnail, height=image.height, width=image.width))
            yield entry, image.data
    if bad:
        count = f"{len(bad)} or more" if len(bad) == _BAD_MAX else len(bad)
        more = f"; ... ({count} bad images)" if len(bad) > _BAD_NAMED else ""
        raise ValueError("; ".join(bad[:_BAD_NAMED]) + more)
    if missized:
        _LOG.warning(
            "%d images are not of the size their names say, the first: %s; the records carry the real size",
            len(missized), missized[0],
        )  # fmt: skip
