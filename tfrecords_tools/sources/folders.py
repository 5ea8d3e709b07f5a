"""Own crops in folders of cameras and tracks.

    [train|valid|test/][query|gallery/]<camera>/<track>/*.jpg|png

A track's name is the person's, so that one person has it on every camera, unless a file of identities joins tracks to
people. The last number in an image's name is its frame. What is not divided is divided as `division` says.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords_tools.entry import SUBSETS, Entry
from tfrecords_tools.given_names import frame_of, means_nobody
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.sources.assembly import NOBODY, assemble, check_alike, choose_splits, each_let_go, number_names
from tfrecords_tools.sources.division import divide
from tfrecords_tools.sources.rows import read_identities, track_key, warn_of_absent
from tfrecords_tools.sources.source import Listing, Options, Source, first_image
from tfrecords_tools.walk import describe, walk, warn_of_skipped

SPLIT_NAMES = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_LAYOUT = "camera/track/*.jpg (or .png), below train, valid or test, and query or gallery, where it is divided"


@dataclass(frozen=True, slots=True)
class _Place:
    """What the folders above an image say; split and subset are "" where they say none."""

    path: Path
    source: str
    split: str
    subset: str
    camera: str
    track: str


def _parse(root: Path, path: Path, divided: bool) -> _Place:
    parts = list(path.relative_to(root).parts)
    source = "/".join(parts)  # of the path itself each would keep its text
    del parts[-1]
    split = SPLIT_NAMES.get(parts[0], "") if divided and parts else ""
    del parts[: bool(split)]
    subset = parts[0] if parts and parts[0] in SUBSETS and (split or divided) else ""
    del parts[: bool(subset)]
    if len(parts) != 2:
        raise ValueError(f"{path}: this image is out of place; expected {root / _LAYOUT}")
    if split == "train" and subset:
        raise ValueError(f"{path}: training images are neither query nor gallery; move camera and track one folder up")
    return _Place(path, source, split or ("test" if subset else ""), subset, *parts)


def _places(root: Path, files: Sequence[Path]) -> list[_Place]:
    tops = sorted({path.relative_to(root).parts[0] for path in files})
    known = [top for top in tops if top in SPLIT_NAMES or top in SUBSETS]
    if known and known != tops:
        other = next(top for top in tops if top not in known)
        raise ValueError(
            f"{root / other}: stands beside {', '.join(known)}; either all folders here are {', '.join(SPLIT_NAMES)}, "
            "query or gallery, or none is"
        )
    places = [_parse(root, path, bool(known)) for path in files]
    for split in {place.split for place in places} - {"", "train"}:
        subsets = {place.subset for place in places if place.split == split}
        if "" in subsets and len(subsets) > 1:
            odd = next(place.path for place in places if place.split == split and not place.subset)
            raise ValueError(f"{odd}: is neither in query nor in gallery, and other images of {split} are; move it")
        if len(subsets) == 1 and subsets != {""}:
            raise ValueError(f"{root}: {split} has {subsets.pop()} alone; expected query and gallery, or neither")
    return places


def _missing(root: Path) -> str:
    if not root.is_dir():
        return f"not a folder; expected {_LAYOUT}"
    image = first_image(root)
    if image is None:
        return f"no PNG or JPEG here; expected {_LAYOUT}"
    relative = image.relative_to(root)
    divided = relative.parts[0] in SPLIT_NAMES or relative.parts[0] in SUBSETS
    try:
        _parse(root, image, divided)
    except ValueError:
        return f"expected {_LAYOUT}, found {relative}"
    return ""


def _splits(root: Path, options: Options) -> list[str]:
    """By the folders' names alone: what is not divided is train and test."""
    tops = [path.name for path in sorted(root.iterdir()) if path.is_dir()]
    found = {SPLIT_NAMES[name] for name in tops if name in SPLIT_NAMES}
    found |= {"test"} if set(SUBSETS) & set(tops) else set()
    if not found:
        found = {split for split, share in (("train", options.train_share), ("test", 1 - options.train_share)) if share}
    return [split for split in ("train", "valid", "test") if split in found]


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    choose_splits(splits, _splits(root, options), root)
    walked = walk(root)
    skipped = walked.skipped
    if not walked.files:
        but = f" ({describe(root, skipped)})" if skipped else ""
        raise ValueError(f"{root}: no PNG or JPEG here{but}; expected {_LAYOUT}")
    places = _places(root, walked.files)
    joined = None if options.identities is None else read_identities(options.identities)
    if joined is None:
        _check_people(places)
    del walked  # of a set of many images, all that is held beside the entries counts
    persons = [_person(place, joined) for place in places]
    notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for place, person in zip(places, persons, strict=True):
        if person is None:
            notes[place.split or "test"]["images of tracks without an identity left out"] += 1
    places = [place for place, person in zip(places, persons, strict=True) if person is not None]
    names = [person for person in persons if person is not None]
    if not places:
        raise ValueError(
            f"{options.identities}: joins no track of {root} to a person; camera and track are folders there"
        )
    if joined is not None:
        warn_of_absent(options.identities, joined, {track_key(place.camera, place.track) for place in places})
    check_alike("cameras", (place.camera for place in places))
    check_alike("people", names, case=False)
    cameras, camera_names = number_names((place.camera for place in places), first=0)
    people, people_names = number_names(names)
    entries = (
        Entry(
            Thumbnail(0, 0, people.get(person, NOBODY), frame_of(place.path.name), None, None, None, 0, 0),
            place.path,
            place.split,
            place.subset,
            "",
            cameras[place.camera],
            sys.intern(f"{place.camera}/{place.track}"),
            place.source,
        )
        for place, person in zip(places, names, strict=True)
    )
    del places, persons, names
    protocol = "cross_camera" if len(camera_names) > 1 else "action"
    divided, more = divide(entries, protocol, options.seed, options.train_share)
    for split, counts in more.items():
        notes[split] += counts
    warn_of_skipped(root, skipped)
    return assemble(each_let_go(divided), splits, protocol, camera_names, people_names, notes)


def _check_people(places: Sequence[_Place]) -> None:
    """Raise ValueError for a track, here a person, whose name says that it is nobody known."""
    for place in places:
        if means_nobody(place.track):
            raise ValueError(
                f"{place.path.parent}: all of {place.track!r} would be one person; leave the folder out, or give "
                "--identities, in which an empty person is nobody in particular"
            )


def _person(place: _Place, joined: Mapping[tuple[str, str], str] | None) -> str | None:
    """The name of the person, "" for nobody in particular, None where it is not known who that is."""
    return place.track if joined is None else joined.get(track_key(place.camera, place.track))


SOURCE = Source(
    "folders", "folders of cameras and tracks", _missing, _splits, _read, ("identities", "seed", "train_share")
)
