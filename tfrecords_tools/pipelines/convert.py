"""A conversion whose files of records are written by the workers of a Beam pipeline: the bytes are the local command's.

This machine lists the images and plans the files; a worker reads the images of one and writes it; this machine puts the
index together from what each has left. Plan and rows stand in files beside the records while the pipeline runs.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from tfrecords_tools.addresses import is_address
from tfrecords_tools.columns import Columns
from tfrecords_tools.disk_space import check_space
from tfrecords_tools.entry import SPLITS, Box, Entry
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_info
from tfrecords_tools.info import INFO_NAME, VERSION, Info, SplitInfo
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.pipelines.addresses import exists, place_of, read, tree_of, write
from tfrecords_tools.pipelines.run import run_each
from tfrecords_tools.records import FOOTER
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.source import Listing, Options
from tfrecords_tools.sources.table import find_source
from tfrecords_tools.split_writer import finish_split, plan_files, write_shard
from tfrecords_tools.staging import claim, complete, publish, stage
from tfrecords_tools.writer import check_arguments, keep_entries

_WORK = ".kreid-work"  # beside the records, while the pipeline runs
_AT_ONCE = 16  # small files that are read at once


def convert(
    root: str,
    out: str,
    splits: Sequence[str] | None,
    settings: Settings,
    pipeline: PipelineOptions,
    source: str | None = None,
    options: Options = Options(),  # noqa: B008  # it cannot be changed
    overwrite: bool = False,
) -> Info:
    """Convert splits of a set by a pipeline.

    Args:
        root: the set: a folder, or its address. Workers read its images by this name.
        out: the folder for the records, or its address, where no records may be yet. Workers write there.
        splits: see `writer.convert`.
        settings: how records are made.
        pipeline: from `run.check_runner`.
        source: see `writer.convert`.
        options: see `writer.convert`.
        overwrite: see `writer.convert`.

    Returns:
        What `info.json` holds.

    Raises:
        ConfigError: for a wrong argument.
        ValueError: see `writer.convert`.
        OSError: see `writer.convert`.
    """
    if options.video is not None:
        raise ConfigError("--video: goes without --runner; a video is read from its start, by one machine")
    with tree_of(root) as tree:
        found = find_source(tree, source)
        found.check_options(options)
        wanted = list(dict.fromkeys(splits or found.splits(tree, options)))
        _check_out(root, out, wanted, settings, overwrite, options)
        listing = found.read(tree, wanted, options)
        kept = keep_entries(listing, settings)
    target = _elsewhere(out) if is_address(out) else _here(Path(root), Path(out), wanted, settings, overwrite, options)
    with target as (base, before):
        if not is_address(root) and not is_address(out):
            check_space(base.parent, kept.values(), settings)
        files = _plan(base, kept, settings, tree, root)
        run_each(_Convert(str(base / _WORK)), len(files), pipeline)
        infos = _gather(base, files, listing, kept, settings, found.name)
        merged = before | infos
        info: Info = {"schema_version": VERSION, "splits": {name: merged[name] for name in SPLITS if name in merged}}
        write(base / INFO_NAME, (json.dumps(info, indent=2) + "\n").encode())
    return info


def _check_out(
    root: str, out: str, wanted: Sequence[str], settings: Settings, overwrite: bool, options: Options
) -> None:
    """Complain of what stands in the way of the records before images are listed."""
    if not is_address(out):
        check_arguments(Path(root), Path(out), wanted, settings.fraction, overwrite, options=options)
    elif exists(place_of(out) / INFO_NAME):
        raise ConfigError(f"{out}: holds records already; give another address")


@contextmanager
def _here(
    root: Path, out: Path, wanted: Sequence[str], settings: Settings, overwrite: bool, options: Options
) -> Iterator[tuple[Path, dict[str, SplitInfo]]]:
    """Give a hidden folder to write into, and the splits that are there already: all or nothing."""
    with claim(out):
        complete(out)
        check_arguments(root, out, wanted, settings.fraction, overwrite, options=options)
        before = read_info(out)["splits"] if (out / INFO_NAME).exists() else {}
        with stage(out) as staged:
            yield staged, before
            publish(staged, out, [*wanted, INFO_NAME])


@contextmanager
def _elsewhere(out: str) -> Iterator[tuple[Path, dict[str, SplitInfo]]]:
    """Give an address to write to. `info.json` is written last: without it nobody takes the rest for records."""
    base = place_of(out)
    yield base, {}
    FileSystems.delete([str(base / _WORK)])


def _plan(
    base: Path, kept: dict[str, Sequence[Entry]], settings: Settings, tree: Path, root: str
) -> list[tuple[str, str]]:
    """Write for every file of records, in order, what is to be in it; return their splits and names."""
    files: list[tuple[str, str]] = []
    for split, entries in kept.items():
        mine = settings if split == "train" else replace(settings, fraction=1.0)
        first = 0
        for number, (name, size) in enumerate(plan_files(split, entries, mine).items()):
            rows = [_packed(entry, tree, root) for entry in entries[first : first + size]]
            said = {"path": str(base / split / name), "number": number, "settings": vars(mine), "entries": rows}
            write(base / _WORK / _name("plan", len(files)), json.dumps(said).encode())
            files.append((split, name))
            first += size
        if not is_address(str(base)):
            (base / split).mkdir(exist_ok=True)
    return files


def _name(what: str, number: int) -> str:
    return f"{what}-{number:06d}.json"


def _packed(entry: Entry, tree: Path, root: str) -> list[Any]:
    """An entry as JSON holds it, its file by the name that workers know it by."""
    path = str(entry.path)
    if is_address(root):
        path = root.rstrip("/") + path[len(str(tree)) :]
    return [list(entry.thumbnail), path, *entry[2:8], entry.box and list(entry.box), entry.number]


def _unpacked(row: list[Any]) -> Entry:
    thumbnail, path, split, subset, game, camera, track, source, box, number = row
    cut = None if box is None else Box(*box)
    return Entry(Thumbnail(*thumbnail), place_of(path), split, subset, game, camera, track, source, cut, number)


@dataclass(frozen=True)
class _Convert:
    """Writes one file of records, and leaves its rows, or what is wrong with its images."""

    work: str

    def __call__(self, number: int) -> None:
        work = place_of(self.work)
        said = json.loads(read(work / _name("plan", number)))
        given = {**said["settings"], "resize": said["settings"]["resize"] and tuple(said["settings"]["resize"])}
        path = place_of(said["path"])
        path.unlink(missing_ok=True)  # of a try before
        try:
            table = write_shard(path, said["number"], [_unpacked(row) for row in said["entries"]], Settings(**given))
            done = table.since(Columns().mark())
        except ValueError as error:  # no other try would find other images
            done = {"error": str(error)}
        write(work / _name("done", number), json.dumps(done).encode())


def _gather(
    base: Path,
    files: list[tuple[str, str]],
    listing: Listing,
    kept: dict[str, Sequence[Entry]],
    settings: Settings,
    source: str,
) -> dict[str, SplitInfo]:
    """Put together what the workers left, write the indices, and return what `info.json` says of each split."""
    tables = {split: Columns() for split in kept}
    sizes: dict[str, dict[str, int]] = {split: {} for split in kept}
    wrong: list[str] = []
    for (split, name), part in zip(files, _done(base, len(files)), strict=True):
        if "error" in part:
            wrong.append(part["error"])
            continue
        tables[split].join(part)
        offset, length = (part["columns"][column] for column in ("offset", "length"))
        sizes[split][name] = offset[-1] + length[-1] + FOOTER if offset else 0
    if wrong:
        raise ValueError(wrong[0] + (f"; and bad images in {len(wrong) - 1} more files" if len(wrong) > 1 else ""))
    infos: dict[str, SplitInfo] = {}
    for split, entries in kept.items():
        mine = settings if split == "train" else replace(settings, fraction=1.0)
        last_action = listing.entries[split][-1].thumbnail.action
        with _beside(base / split) as folder:
            infos[split] = finish_split(
                folder, sizes[split], tables[split], entries, last_action, mine, listing, source
            )
    return infos


def _done(base: Path, count: int) -> Iterator[dict[str, Any]]:
    """Yield what was left of each file of records, in order, a few in memory at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for first in range(0, count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, count))
            yield from map(json.loads, pool.map(lambda number: read(base / _WORK / _name("done", number)), numbers))


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Give a folder on this machine whose files end up at a place."""
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory() as folder:
        (local := Path(folder, place.name)).mkdir()
        yield local
        for path in local.iterdir():
            write(place / path.name, path.read_bytes())
