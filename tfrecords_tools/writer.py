"""From a source of images to sharded TFRecords, all or nothing.

TensorFlow is imported where images are to be decoded: what is wrong with arguments, names and labels is said before.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import PIL

from tfrecords_tools.addresses import local_path
from tfrecords_tools.disk_space import check_space
from tfrecords_tools.entry import SPLITS, Entry
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.finished import Finished, begin, find_resumable
from tfrecords_tools.fraction import keep_fraction
from tfrecords_tools.images import MAX_PIXELS
from tfrecords_tools.index import INDEX_NAME, read_info
from tfrecords_tools.info import INFO_NAME, VERSION, Info, SplitInfo
from tfrecords_tools.problems import PROBLEMS_NAME
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.source import Listing, Options, Source
from tfrecords_tools.sources.table import find_source
from tfrecords_tools.split_writer import write_split
from tfrecords_tools.staging import claim, complete, is_unfinished, publish, stage

_VERSIONS = {"schema": VERSION, "Pillow": PIL.__version__}  # of what makes the bytes
_KEPT = (INDEX_NAME, PROBLEMS_NAME)  # beside TFRecord files, what a split's folder may hold


def check_arguments(
    root: Path,
    out: Path,
    splits: Sequence[str] | None = None,
    fraction: float = 1.0,
    overwrite: bool = False,
    source: Source | None = None,
    options: Options = Options(),  # noqa: B008  # it cannot be changed
) -> list[str]:
    """Check what `convert` is asked for, as far as that goes without reading thumbnails.

    Args:
        root: the folder of the source; it need not be there yet if `splits` are given.
        out: see `convert`.
        splits: see `convert`.
        fraction: see `convert`.
        overwrite: see `convert`. Only records are ever replaced.
        source: what `root` is one of; by default it is told from the folder, where `splits` are not given.
        options: see `convert`.

    Returns:
        The splits to convert.

    Raises:
        ConfigError: naming the argument or the folder that stands in the way.
    """
    if splits is None:
        splits = (source or find_source(root, video=options.video is not None)).splits(root, options)
    wanted = list(dict.fromkeys(splits))
    if not wanted or not set(wanted) <= set(SPLITS):
        raise ConfigError(f"splits: expected names out of {', '.join(SPLITS)}, received {wanted}")
    if fraction != 1 and "train" not in wanted:
        raise ConfigError(f"fraction: only the training set is cut, received {fraction} for {', '.join(wanted)}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: not a folder; give the folder to write records into")
    if out.resolve() in (root.resolve(), (root / "reid").resolve()):
        raise ConfigError(f"{out}: holds the thumbnails; give another folder for the records")
    for folder in (out / split for split in wanted if (out / split).exists()):
        if not overwrite and not is_unfinished(out):
            raise ConfigError(f"{folder}: already there; replace it with --overwrite, or give another folder")
        strange = [one.name for one in folder.iterdir() if one.name not in _KEPT and one.suffix != ".tfrecord"]
        if strange:
            raise ConfigError(f"{folder}: holds more than records ({strange[0]}), so it is not replaced; move it away")
    return wanted


def convert(
    root: str | os.PathLike,
    out: str | os.PathLike,
    splits: Sequence[str] | None = None,
    *,
    fraction: float = 1.0,
    shards: int | None = None,
    resize: tuple[int, int] | None = None,
    image_format: str = "original",
    max_pixels: int = MAX_PIXELS,
    on_error: str = "stop",
    decode: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    workers: int | None = None,
    progress: bool = False,
    source: str | None = None,
    options: Options = Options(),  # noqa: B008  # it cannot be changed
) -> Info:
    """Convert splits of a set to TFRecords, of whole images: they are decoded, or are PNG with right checksums.

    Writes `out/<split>/<split>-00003-of-00016.tfrecord` (whole actions, in order, queries first), its index, and
    `out/info.json`, to which the splits are added. If anything fails, `out` is what it was. If the process is killed
    while it puts its work in place, whoever opens `out` next completes that: the same conversion again has it done.

    Args:
        root: the set: a folder that one of `sources.table.SOURCES` is.
        out: the folder for the records.
        splits: names of splits; by default all there are.
        fraction: part of the training actions, in (0, 1]; the other splits are whole. Default: all.
        shards: files per split, as far as there are actions; by default one per 2,000 images.
        resize: (height, width) in pixels to store the images in; by default as they are.
        image_format: "original" (default), "png", "jpeg" or "uncompressed", see `images.load_image`.
        max_pixels: a larger image is bad; it is not decoded.
        on_error: "stop" (default) at bad images, or "skip" them: `out/<split>/problems.csv` lists them.
        decode: decode also a PNG that is kept as it is, to notice pixels that were written wrong under right checksums.
        overwrite: replace the records of these splits if there are.
        resume: go on where the same conversion was killed: its finished files are taken over. The bytes are those of a
            conversion that never was.
        workers: threads that read images; by default one per CPU core.
        progress: show bars on standard error.
        source: name of the source; by default it is told from the folder.
        options: what the source may be told.

    Returns:
        What `info.json` holds: `schema_version`, and `splits`, each as `SplitInfo` says.

    Raises:
        ConfigError: for a wrong argument.
        ValueError: for a tree that is not whole, an image that is bad, `out` of another version.
        OSError: if something cannot be read or written.

    Example:
        >>> convert("SoccerNet", "records", ["train"], fraction=0.1)["splits"]["train"]["images"]
        24872
    """
    settings = Settings(fraction, shards, resize, image_format, max_pixels, on_error, decode)
    root, out = local_path(root), local_path(out)
    found = find_source(root, source, options.video is not None)
    found.check_options(options)
    wanted = check_arguments(root, out, splits, fraction, overwrite, found, options)
    with claim(out, keep=resume):
        done = complete(out)
        request = _request(root, wanted, settings, found, options)
        if request in done and not overwrite:
            return read_info(out)
        # Again, now that nobody else is at work there.
        check_arguments(root, out, wanted, fraction, overwrite, found, options)
        info: Info = {"schema_version": VERSION, "splits": {}}
        if (out / INFO_NAME).exists():
            info = {**read_info(out), "schema_version": VERSION}  # a reader of this one reads those before, too
        listing = found.read(root, wanted, options)
        kept = keep_entries(listing, settings)
        begun = {**request, **_VERSIONS, "images": {split: len(entries) for split, entries in kept.items()}}
        with stage(out, find_resumable(out, begun) if resume else None) as staged:
            infos = _write_splits(staged, listing, kept, found.name, settings, workers, progress, begin(staged, begun))
            merged = info["splits"] | infos
            info["splits"] = {split: merged[split] for split in SPLITS if split in merged}
            (staged / INFO_NAME).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
            publish(staged, out, [*infos, INFO_NAME], request)
    return info


def _request(root: Path, splits: list[str], settings: Settings, source: Source, options: Options) -> dict[str, object]:
    """What is asked for, as a journal holds it."""
    asked: Mapping[str, object] = {"root": root.resolve(), "splits": splits, "source": source.name, **vars(settings)}
    return json.loads(json.dumps({**asked, "options": vars(options)}, default=str))


def keep_entries(listing: Listing, settings: Settings) -> dict[str, Sequence[Entry]]:
    """Return the entries of each split that are converted."""
    kept = dict(listing.entries)
    if "train" in kept and settings.fraction != 1:
        kept["train"] = keep_fraction(kept["train"], settings.fraction)
    return kept


def _write_splits(
    staged: Path,
    listing: Listing,
    kept: Mapping[str, Sequence[Entry]],
    source: str,
    settings: Settings,
    workers: int | None,
    progress: bool,
    finished: Finished,
) -> dict[str, SplitInfo]:
    from tfrecords_tools.console.progress import Bars

    infos: dict[str, SplitInfo] = {}
    with Bars(shown=progress) as bars:
        tasks = {split: bars.add(split, len(entries)) for split, entries in kept.items()}
        check_space(staged.parent, kept.values(), settings, finished.bytes())
        for split, entries in kept.items():
            mine = settings if split == "train" else replace(settings, fraction=1.0)
            last_action = listing.entries[split][-1].thumbnail.action
            advance = partial(bars.advance, tasks[split])
            infos[split] = write_split(
                staged / split, entries, last_action, mine, workers, advance, listing, source, finished
            )
    return infos
