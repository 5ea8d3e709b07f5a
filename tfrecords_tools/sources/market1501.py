"""Market-1501 on disk, and sets of its form: DukeMTMC-reID, CUHK03 in its new protocol, MSMT17 so named.

bounding_box_train/0002_c1s1_000451_03.jpg     person 2, camera 1, sequence 1, frame 451, box 3
query/0001_c1s1_001051_00.jpg                  DukeMTMC-reID: 0005_c2_f0046985.jpg
                                               MSMT17: 0000_012_03_0303morning_0008_0.jpg, person 0, camera 3
bounding_box_test/                             0000: distractors; -1: junk, which is left out
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfrecords_tools.entry import Entry
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.sources.assembly import NOBODY, assemble, choose_splits, each_let_go
from tfrecords_tools.sources.source import Listing, Options, Source
from tfrecords_tools.walk import describe, walk, warn_of_skipped

# Folder -> its split and subset.
_FOLDERS = {
    "bounding_box_train": ("train", "train"),
    "query": ("test", "query"),
    "bounding_box_test": ("test", "gallery"),
}
_NAME = re.compile(r"(-1|[0-9]{1,9})_c([0-9]{1,3})(?:s[0-9]+)?(?:_f?([0-9]{1,18}))?(?:_[^/]*)?(?:\.(?i:jpg|jpeg|png))+")
_MSMT17 = re.compile(r"([0-9]{1,9})_[0-9]+_([0-9]{1,3})_[0-9]{4}[a-z]+_[^/]*\.(?i:jpg|jpeg|png)")
_JUNK = -1


def parse_market_name(name: str) -> tuple[int, int, int | None]:
    """Return person (-1 for junk), camera and frame (None where it says none) of a file name.

    Raises:
        ValueError: if it is no such name.

    Example:
        >>> parse_market_name("0002_c1s1_000451_03.jpg"), parse_market_name("0005_c2_f0046985.jpg")
        ((2, 1, 451), (5, 2, 46985))
    """
    match = _NAME.fullmatch(name)
    if match is None and (other := _MSMT17.fullmatch(name)) is not None:
        return int(other[1]), int(other[2]), None
    if match is None:
        raise ValueError(
            f'{name}: the file name is not one of Market-1501, "person_cCAMERAsSEQUENCE_frame_box.jpg"; restore its '
            "name or move the file out of the folder"
        )
    return int(match[1]), int(match[2]), None if match[3] is None else int(match[3])


def _found(root: Path) -> list[str]:
    return [name for name in _FOLDERS if (root / name).is_dir()]


def _missing(root: Path) -> str:
    found = _found(root)
    wanted = f"expected the folders {', '.join(_FOLDERS)}"
    if not found or found == ["query"]:
        if not root.is_dir():
            return f"not a folder; {wanted}"
        inner = [path.name for path in sorted(root.iterdir()) if path.is_dir() and "bounding_box_train" in _found(path)]
        return f"{wanted}; give one of {', '.join(inner)} in it" if inner else f"{wanted}, none of them is there"
    if len({"query", "bounding_box_test"} & set(found)) == 1:
        return f"{wanted}, of the last two only one is there"
    return ""


def _splits(root: Path, options: Options) -> list[str]:
    return list(dict.fromkeys(_FOLDERS[name][0] for name in _found(root)))


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    choose_splits(splits, _splits(root, options), root)
    entries = [entry for name in _found(root) for entry in _list_folder(root, name)]
    notes = {split: Counter[str]() for split in splits}
    for entry in entries:
        if entry.thumbnail.person == _JUNK and entry.split in notes:
            notes[entry.split]["junk images left out"] += 1
    entries = [entry for entry in entries if entry.thumbnail.person != _JUNK]
    people: list[str] = []
    if any(entry.split == "train" and entry.thumbnail.person == NOBODY for entry in entries):
        entries, people = number_anew(entries)
    cameras = camera_names(entries)
    return assemble(each_let_go(entries), splits, "cross_camera", cameras, people, notes)


def _list_folder(root: Path, name: str) -> Iterator[Entry]:
    split, subset = _FOLDERS[name]
    walked = walk(root / name)
    if not walked.files:
        but = f" ({describe(root / name, walked.skipped)})" if walked.skipped else ""
        raise ValueError(f"{root / name}: no image here{but}; was the archive unpacked whole?")
    for path in walked.files:
        try:
            person, camera, frame = parse_market_name(path.name)
        except ValueError as error:
            raise ValueError(f"{path.parent / str(error)}") from None
        thumbnail = Thumbnail(0, 0, person, frame, None, None, None, 0, 0)
        source = "/".join(path.relative_to(root).parts)  # of the path itself each would keep its text
        yield Entry(thumbnail, path, split, subset, "", camera=camera, source=source)
    warn_of_skipped(root / name, walked.skipped)


def camera_names(entries: Sequence[Entry]) -> list[str]:
    """Return the cameras' names by their numbers, "" where there is none."""
    cameras = {entry.camera for entry in entries if entry.camera is not None}
    return [f"c{number}" if number in cameras else "" for number in range(max(cameras, default=0) + 1)]


def number_anew(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Number the people of a set that counts them from 0 in training and test each, as MSMT17 does.

    There 0 is a person like others, and one number means two people: training keeps its order from 1 on, test follows,
    and the names tell the numbers of the files.
    """
    known = sorted({(entry.split != "train", entry.thumbnail.person or 0) for entry in entries})
    number = {key: place for place, key in enumerate(known, start=1)}
    names = ["", *(f"{'test' if test else 'train'}/{person:04d}" for test, person in known)]
    return [
        _with_person(entry, number[entry.split != "train", entry.thumbnail.person or 0]) for entry in entries
    ], names


def _with_person(entry: Entry, person: int) -> Entry:
    return entry._replace(thumbnail=entry.thumbnail._replace(person=person))


SOURCE = Source("market1501", "a set in the form of Market-1501", _missing, _splits, _read)
