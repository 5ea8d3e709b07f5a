"""Whether records find room, as far as that is known before they are made. No TensorFlow."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfrecords_tools.entry import Entry
from tfrecords_tools.settings import Settings

_LABELS = 300  # bytes of a record beside its image, about


def check_space(out: Path, splits: Iterable[Sequence[Entry]], settings: Settings, finished: int = 0) -> None:
    """Raise ValueError where images take more room than there is: what is replaced goes only once all is written.

    Images that are kept are as large as their files. Of those encoded anew only uncompressed ones of a given size are
    known, of others nothing but that they have labels.

    Args:
        out: the folder for the records.
        splits: the entries of each.
        settings: how records are made.
        finished: bytes that are there already, of a run that was killed.
    """
    needed = sum(_size(entries, settings) for entries in splits) - finished
    free = shutil.disk_usage(out).free
    if needed > free:
        raise ValueError(
            f"{out}: the records take {needed / 1e9:,.2f} GB or more, and {free / 1e9:,.2f} GB are free on that disk; "
            "make room, or give a folder elsewhere"
        )


def _size(entries: Sequence[Entry], settings: Settings) -> int:
    labels = _LABELS * len(entries)
    if settings.resize is not None:
        height, width = settings.resize
        return labels + (3 * height * width * len(entries) if settings.image_format == "uncompressed" else 0)
    if settings.image_format not in ("original", "png") or (len(entries) and entries[0].box is not None):
        return labels
    return labels + sum(map(_bytes_of, paths_of(entries)))


def paths_of(entries: Sequence[Entry]) -> Iterable[str | Path]:
    """Return the files of entries, without making those where they are made when asked for."""
    known = getattr(entries, "paths", None)
    return (entry.path for entry in entries) if known is None else known()


def _bytes_of(path: str | Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # twice as fast
    except OSError:
        return 0  # said when it is read
