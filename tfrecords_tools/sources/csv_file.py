"""Images and their labels in a CSV file; with a box, they are cut out of frames.

Columns: path, person; and optionally action, camera, split, subset (query or gallery), role, jersey, frame, track, and
x, y, w, h in pixels from the upper left corner. Paths are relative to the file's folder. Where actions are told, people
and tracks are counted inside them: one name in two actions is two people. Without, the set is one action.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tfrecords_tools.entry import SPLITS, SUBSETS, Box, Entry, rounded_box, where
from tfrecords_tools.errors import one_line
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.sources.assembly import NOBODY, assemble, check_alike, choose_splits, each_let_go, number_names
from tfrecords_tools.sources.division import divide
from tfrecords_tools.sources.folders import SPLIT_NAMES
from tfrecords_tools.sources.rows import Row, foreign_coding, read_header, read_rows
from tfrecords_tools.sources.source import Listing, Options, Source

NEEDED = ("path", "person")
_BOX = ("x", "y", "w", "h")
_COLUMNS = (*NEEDED, "action", "camera", "split", "subset", "role", "jersey", "frame", "track", *_BOX)
_RECURRING = ("person", "action", "camera", "split", "subset", "role", "jersey", "track")
_LOG = logging.getLogger(__name__)


def _files(root: Path) -> list[Path]:
    """The CSV files that `root` is or holds, which have the columns."""
    found = [root] if root.is_file() else sorted(root.glob("*.csv")) if root.is_dir() else []
    return [path for path in found if path.suffix.lower() == ".csv" and set(NEEDED) <= set(read_header(path))]


def _missing(root: Path) -> str:
    files = _files(root)
    if len(files) > 1:
        return f"expected one CSV file of images, found {', '.join(path.name for path in files)}; give one of them"
    if not files and root.is_file():
        return f"expected the columns {' and '.join(NEEDED)}, with commas between them, received {_named(root)}"
    if not files:
        other = next(iter(sorted(root.glob("*.csv"))), None) if root.is_dir() else None
        there = f"; {one_line(other.name)} has {_named(other)}" if other else ""
        return f"no CSV file with the columns {' and '.join(NEEDED)}, with commas between them{there}"
    return ""


def _named(path: Path) -> str:
    """The names that stand in a file's first line, for messages."""
    if path.suffix.lower() != ".csv":
        return "a file that is not named .csv"
    if coding := foreign_coding(path):
        return f"a file in {coding}; save it as UTF-8"
    return one_line(", ".join(map(repr, read_header(path))), 200) or "none"


def _splits(root: Path, options: Options) -> list[str]:
    return list(_read_all(root, options).entries)


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    listing = _read_all(root, options)
    _warn_of_unread(_files(root)[0])
    choose_splits(splits, listing.entries, root)
    entries = {split: listing.entries[split] for split in splits}
    return Listing(entries, listing.protocol, listing.cameras, listing.people, listing.notes)


def _read_all(root: Path, options: Options) -> Listing:
    if missing := _missing(root):
        raise ValueError(f"{root}: {missing}")
    path = _files(root)[0]
    rows = list(read_rows(path, NEEDED, _RECURRING))
    if not rows:
        raise ValueError(f"{path}: no row below the names of the columns")
    _check_complete(rows)
    check_alike("actions", (row["action"] for row in rows), case=False)
    check_alike("cameras", (row["camera"] for row in rows if row["camera"]))
    check_alike("people", map(_person, rows), case=False)
    numbers = _Numbers(rows)
    entries = _entries(each_let_go(rows), numbers)
    # Across cameras people can be looked for where there is another one.
    protocol = "cross_camera" if len(numbers.camera_names) > 1 and not numbers.actions else "action"
    divided, notes = divide(entries, protocol, options.seed, options.train_share)
    del entries
    there = {entry.split for entry in divided}
    splits = [split for split in SPLITS if split in there]
    return assemble(each_let_go(divided), splits, protocol, numbers.camera_names, numbers.people_names, notes)


def _warn_of_unread(path: Path) -> None:
    strange = [name for name in read_header(path) if name not in _COLUMNS]
    if strange:
        _LOG.warning("%s: not read: the columns %s; read are: %s", path, ", ".join(strange), ", ".join(_COLUMNS))


class _Numbers:
    """The numbers of actions, cameras and people, and the names of the latter two."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.actions, _ = number_names((row["action"] for row in rows), first=0)
        self.cameras, self.camera_names = number_names((row["camera"] for row in rows), first=0)
        self.people, self.people_names = number_names(map(_person, rows))


def _person(row: Row) -> str:
    """The person's name; with actions, people count inside them."""
    return f"{row['action']}/{row['person']}" if row["action"] and row["person"] else row["person"]


def _check_complete(rows: Sequence[Row]) -> None:
    """Raise ValueError for a row that leaves open what others say, or that says what cannot be."""
    told = {name: any(row[name] for row in rows) for name in ("action", "camera", "split")}
    divided = {_split(row) for row in rows if row["subset"]}
    for row in rows:
        for name, others in told.items():
            if others and not row[name]:
                other = ", or leave the column out" if name == "camera" else ""
                raise row.error(f"{name}: other rows name theirs; name this one's{other}")
        if _split(row) == "train" and row["subset"]:
            raise row.error(f"subset: training images are neither query nor gallery, received {row['subset']!r}")
        if _split(row) in divided and not row["subset"]:
            raise row.error(f"subset: other rows of {_split(row)} name theirs; name this one's, or its split")
        row.check_person()


def _split(row: Row) -> str:
    """The split that a row is of: test where there are query and gallery alone; "" where it is to be chosen."""
    named = row.choice("split", list(SPLIT_NAMES))
    subset = row.choice("subset", SUBSETS)
    return SPLIT_NAMES[named] if named else "test" if subset else ""


def _entries(rows: Iterable[Row], numbers: _Numbers) -> Iterator[Entry]:
    seen: dict[tuple[str, int | None], int] = {}
    files: dict[str, Path] = {}  # by their names, for boxes of one frame to share
    for row in rows:
        box, frame, name = _box(row), row.whole("frame"), Path(row["path"]).as_posix()
        if name not in files:
            files[name] = _file(row)
        source = where(name, box, frame)
        if (first := seen.setdefault((source, frame), row.line)) != row.line:
            raise row.error(f"the same image as in line {first}; remove one of the two")
        person, camera = numbers.people.get(_person(row), NOBODY), row["camera"]
        action, role, jersey = numbers.actions.get(row["action"], 0), row["role"] or None, row["jersey"] or None
        yield Entry(
            Thumbnail(0, action, person, frame, role, jersey, None, 0, 0),
            files[name],
            _split(row),
            row["subset"],
            row["action"],
            numbers.cameras.get(camera),
            sys.intern("/".join(filter(None, (camera, row["action"], row["track"])))) if row["track"] else "",
            source,
            box,
        )


def _file(row: Row) -> Path:
    if not row["path"]:
        raise row.error("path: expected a file, received nothing")
    folder = row.path.parent
    if not (folder / row["path"]).is_file():
        raise row.error(f"path: no such file: {folder / row['path']}")
    return folder / row["path"]  # made anew: the one that was looked for keeps its text


def _box(row: Row) -> Box | None:
    given = [name for name in _BOX if row[name]]
    if not given:
        return None
    if len(given) < len(_BOX):
        raise row.error(f"expected all of {', '.join(_BOX)} or none of them, received {', '.join(given)} alone")
    x, y, w, h = (row.number(name) for name in _BOX)
    box = rounded_box(x, y, w, h)
    if box.width < 1 or box.height < 1:
        raise row.error(f"the box is empty: {w:g} wide and {h:g} high; mend it, or leave the row out")
    return box


SOURCE = Source("csv", "a CSV file of images", _missing, _splits, _read, ("seed", "train_share"))
