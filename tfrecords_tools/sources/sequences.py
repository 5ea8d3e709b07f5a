"""Sequences of frames with boxes of tracks: what `mot` and `soccernet_gsr` have in common.

A sequence is a folder with its frames in `img1`, anywhere below the set's folder; folders train, val and test above
them are splits, of all sequences or of none. Below challenge lie those whose labels are withheld: they are left out. A
sequence is one camera, and a track is one person. Who is the same person in two sequences only a file of identities
tells: with it, people are compared across all of the set; without, inside their sequence.
"""

import configparser
import logging
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from tfrecords_tools.entry import SPLITS, Box, Entry, inside, rounded_box, where
from tfrecords_tools.formats import SIGNATURES
from tfrecords_tools.given_names import same_form
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.sources.assembly import NOBODY, assemble, check_alike, choose_splits, each_let_go, number_names
from tfrecords_tools.sources.division import divide
from tfrecords_tools.sources.folders import SPLIT_NAMES
from tfrecords_tools.sources.rows import read_identities, track_key, warn_of_absent
from tfrecords_tools.sources.source import Listing, Options
from tfrecords_tools.video import count_frames, frame_size
from tfrecords_tools.walk import SUFFIXES

FRAMES = "img1"
_ROLES = {"player": "Player", "goalkeeper": "Goalkeeper", "referee": "Referee", "other": "Other"}
WITHHELD = "challenge"  # a split, of which nobody has the labels
# Those that any such source takes.
OPTIONS = ("identities", "video", "seed", "train_share", "margin", "min_size", "every")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Footage:
    """One sequence.

    Args:
        folder: with its frames and labels.
        name: the folder, relative to the set's.
        split: told by the folders above it, "" where they tell none.
        video: the file that its frames are, in place of a folder.
    """

    folder: Path
    name: str
    split: str
    video: Path | None = None

    def frames(self) -> dict[int, Path]:
        """The frames by their numbers, in order; the numbers are the names.

        Raises:
            ValueError: there is none.
        """
        if self.video is not None:
            count = count_frames(self.video)
            _warn_of_length(self.folder / "seqinfo.ini", self.video, count)
            return dict.fromkeys(range(1, 1 + count), self.video)
        place = self.folder / _frames_folder(self.folder)
        found = {
            int(path.stem): path
            for path in place.iterdir()
            if path.suffix.lower() in SUFFIXES and path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 19
        }
        if not found:
            raise ValueError(f"{place}: no frame here; expected 000001.jpg and so on")
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Sighting:
    """A box of a track in a frame.

    Args:
        frame: its number.
        track: the track's name.
        box: left, top, width, height in pixels.
        visibility: from 0 to 1, None where it is not told.
        role: as SoccerNet-v3 ReID writes it, None where it is not told.
        jersey: the same way.
        left_out: why the box is not wanted, as a note counts it; "" for one that is.
    """

    frame: int
    track: str
    box: tuple[float, float, float, float]
    visibility: float | None = None
    role: str | None = None
    jersey: str | None = None
    left_out: str = ""


def find_footage(root: Path, video: Path | None = None) -> list[Footage]:
    """Return the sequences at or below a folder, by name; a folder inside a sequence is not looked into.

    Args:
        root: the folder.
        video: the frames of the only sequence, which is the folder itself.
    """
    if video is not None:
        return [Footage(root, root.resolve().name, "", video)]
    found = []
    for place, folders, _ in os.walk(root, followlinks=True):
        folder = Path(place)
        if len(folder.relative_to(root).parts) > 4:
            folders.clear()
        elif (folder / _frames_folder(folder)).is_dir():
            found.append(folder)
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]
    names = {
        folder: folder.relative_to(root).as_posix() if folder != root else folder.resolve().name for folder in found
    }
    return [Footage(folder, names[folder], _split_above(root, folder)) for folder in sorted(found)]


def _split_above(root: Path, folder: Path) -> str:
    known = {**SPLIT_NAMES, WITHHELD: WITHHELD}
    return next((known[part] for part in folder.relative_to(root).parts if part in known), "")


def labelled(footage: Sequence[Footage], has_labels: Callable[[Footage], bool]) -> list[Footage]:
    """Return the sequences that have labels."""
    return [one for one in footage if one.split != WITHHELD and has_labels(one)]


def splits_of(root: Path, footage: Sequence[Footage], options: Options) -> list[str]:
    """The splits of a set: as the folders tell, or those that a division makes.

    Raises:
        ValueError: some sequences lie below a split, and others beside it.
    """
    found = {one.split for one in footage} - {""}
    beside = [one.folder for one in footage if found and not one.split]
    if beside:
        raise ValueError(
            f"{beside[0]}: is below none of the folders {', '.join(SPLIT_NAMES)}, and other sequences of {root} are; "
            "move it below one, or give the folder of one split alone"
        )
    if not found:
        found = {split for split, share in (("train", options.train_share), ("test", 1 - options.train_share)) if share}
    return [split for split in SPLITS if split in found]


def list_footage(
    root: Path,
    footage: Sequence[Footage],
    splits: Sequence[str],
    options: Options,
    look: Callable[[Footage], Iterator[Sighting]],
) -> Listing:
    """List what is to be cut out of the frames of a set.

    Args:
        root: the set's folder.
        footage: its sequences.
        splits: those wanted.
        options: what was told.
        look: yields the boxes of a sequence.

    Raises:
        ValueError: a box lies in a frame that is not there, no box is left, or identities name a camera that two are.
    """
    choose_splits(splits, splits_of(root, footage, options), root)
    if options.video is None:
        _warn_of_unlabelled(root, footage)
    check_alike("cameras", (one.name for one in footage))
    joined = None if options.identities is None else _identities(options.identities, footage)
    cameras, camera_names = number_names((one.name for one in footage), first=0)
    notes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    entries: list[Entry] = []
    persons: list[str] = []
    keys: set[tuple[str, str]] = set()
    for one in footage:
        for path, sighting in _kept(one, options, look, notes[one.split or "test"]):
            person = _person(one, sighting.track, joined)
            if person is None:
                notes[one.split or "test"]["boxes of tracks without an identity left out"] += 1
                continue
            persons.append(sys.intern(person))
            if joined is not None:
                keys.add(track_key(one.name, sighting.track))
            action = 0 if joined is not None else cameras[one.name]
            entries.append(_entry(one, inside(root, path), path, sighting, action, cameras[one.name], options.margin))
    if not entries:
        why = ", ".join(f"{count:,} {what}" for what, count in sum(notes.values(), Counter()).items())
        told = f" ({why})" if why else ""
        raise ValueError(
            f"{root}: no box of a track is left{told}; look at --min-size, --min-visibility and --identities"
        )
    if joined is not None:
        warn_of_absent(options.identities, joined, keys)
    check_alike("people", persons, case=False)
    people, people_names = number_names(persons)
    numbered = (
        entry._replace(thumbnail=entry.thumbnail._replace(person=people.get(person, NOBODY)))
        for entry, person in zip(each_let_go(entries), persons, strict=True)
    )
    protocol = "cross_camera" if joined is not None and len(camera_names) > 1 else "action"
    divided, more = divide(numbered, protocol, options.seed, options.train_share)
    for split, counts in more.items():
        notes[split] += counts
    return assemble(each_let_go(divided), splits, protocol, camera_names, people_names, notes)


def _entry(one: Footage, name: str, path: Path, sighting: Sighting, action: int, camera: int, margin: float) -> Entry:
    """What is to be cut out for a box, of nobody yet: people are numbered once all of them are known."""
    thumbnail = Thumbnail(0, action, NOBODY, sighting.frame, sighting.role, sighting.jersey, None, 0, 0)
    box = rounded_box(*sighting.box, margin=margin)
    source, track = where(name, box, sighting.frame), sys.intern(f"{one.name}/{sighting.track}")
    clip = None if one.video is None else sighting.frame
    return Entry(thumbnail, path, one.split, "", one.name, camera, track, source, box, clip)


def role_name(role: str, team: str = "") -> str | None:
    """Return SoccerNet's role and team as SoccerNet-v3 ReID writes them; None for what is no person, such as the ball.

    Example:
        >>> role_name("goalkeeper", "left")
        'Goalkeeper_team_left'
    """
    found = _ROLES.get(role)
    return f"{found}_team_{team}" if found and team in ("left", "right") else found


def _warn_of_length(path: Path, video: Path, count: int) -> None:
    """Tell of a video that is another than `seqinfo.ini` means: of another rate, or cut; its boxes would be shifted."""
    said = read_ini(path).get("seqlength", "")
    if said.isascii() and said.isdigit() and said != str(count):
        _LOG.warning(
            "%s: tells of %s frames, and %s has %d; boxes are taken as drawn on the video's frames, counted from 1",
            path, said, video, count,
        )  # fmt: skip


def _warn_of_unlabelled(root: Path, found: Sequence[Footage]) -> None:
    """Tell which sequences are left out: those of test sets have no boxes."""
    absent = [one.name for one in find_footage(root) if one not in found]
    if absent:
        _LOG.warning(
            "%s: %d sequences have no boxes, or those of another, and are left out, the first: %s",
            root, len(absent), absent[0],
        )  # fmt: skip


def _person(one: Footage, track: str, joined: Mapping[tuple[str, str], str] | None) -> str | None:
    """The name of a person, None where it is not known who that is."""
    return f"{one.name}/{track}" if joined is None else joined.get(track_key(one.name, track))


def _identities(path: Path, footage: Sequence[Footage]) -> dict[tuple[str, str], str]:
    """Read who each track is, by the whole name of its sequence, which the file may call by its last folder."""
    names = [same_form(one.name) for one in footage]
    called: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str], str] = {}
    for (camera, track), person in read_identities(path).items():
        key = (_sequence_called(camera, names, path), track)
        if (other := called.setdefault(key, camera)) != camera:
            raise ValueError(f"{path}: track {track!r} of {key[0]!r} stands under {other!r} and {camera!r}; remove one")
        found[key] = person
    return found


def _sequence_called(camera: str, names: Sequence[str], path: Path) -> str:
    """The name of the sequence that a file calls `camera`, which is its own where none is called so.

    Raises:
        ValueError: it is the last folder of several.
    """
    ends = [name for name in names if name.rpartition("/")[2] == camera]
    if camera in names or not ends:
        return camera
    if len(ends) > 1:
        told = f"{', '.join(ends[:3])}{' and others' if len(ends) > 3 else ''}"
        raise ValueError(f"{path}: camera {camera!r} may be {told}; write its folders too, such as {ends[0]}")
    return ends[0]


def _kept(
    one: Footage, options: Options, look: Callable[[Footage], Iterator[Sighting]], notes: Counter[str]
) -> Iterator[tuple[Path, Sighting]]:
    """Yield the boxes that are wanted, by frame, with the frame's file; count the others in `notes`."""
    frames = one.frames()
    wanted = set(list(frames)[:: options.every])
    size_of = lru_cache(maxsize=1)(_image_size if one.video is None else frame_size)  # a frame's boxes come together
    for sighting in sorted(look(one), key=lambda sighting: (sighting.frame, sighting.track)):
        if sighting.left_out:
            notes[sighting.left_out] += sighting.frame in wanted
            continue
        if sighting.frame not in frames:
            if one.video is not None and not sighting.frame:
                raise ValueError(
                    f"{one.video}: its first frame is 1, and a box of track {sighting.track} lies in frame 0; add 1 to "
                    "all frames of the boxes"
                )
            if one.video is not None:
                raise ValueError(
                    f"{one.video}: has {len(frames):,} frames, and a box of track {sighting.track} lies in frame "
                    f"{sighting.frame}; is it whole, and the video that the boxes were drawn on?"
                )
            raise ValueError(
                f"{one.folder / _frames_folder(one.folder)}: frame {sighting.frame} of track {sighting.track} is "
                "missing; was the archive unpacked whole?"
            )
        if sighting.frame not in wanted:
            continue
        if min(_cut(frames[sighting.frame], sighting, options, size_of)[2:]) < options.min_size:
            notes["boxes too small left out"] += 1
        elif sighting.visibility is not None and sighting.visibility < options.min_visibility:
            notes["boxes hardly visible left out"] += 1
        else:
            yield frames[sighting.frame], sighting


def _cut(path: Path, sighting: Sighting, options: Options, size_of: Callable[[Path], tuple[int, int] | None]) -> Box:
    """What is cut for a box. By default a frame's size is not looked up: a box outside of it is a problem to name."""
    box = rounded_box(*sighting.box, margin=options.margin)
    size = size_of(path) if options.min_size > 1 else None
    return box if size is None else box.clipped(*size)


def _image_size(path: Path) -> tuple[int, int] | None:
    """Width and height by a file's head; None where it cannot be read, which is said where the file is."""
    try:
        with path.open("rb") as file, Image.open(file, formats=tuple(SIGNATURES.values())) as image:
            return image.size
    except Exception:  # of many types, see `formats.read_whole`
        return None


def _frames_folder(folder: Path) -> str:
    """The name of the folder of frames: as `seqinfo.ini` says, if it is there, or `img1`."""
    name = read_ini(folder / "seqinfo.ini").get("imdir", FRAMES)
    return name if Path(name).name == name and (folder / name).is_dir() else FRAMES


def read_ini(path: Path) -> dict[str, str]:
    """Return what a file of MOTChallenge's says in its section `[Sequence]`, keys in small letters; {} without one.

    Raises:
        ValueError: it is no such file.
    """
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable, {str(error).splitlines()[0]}; mend or remove it") from None
    return dict(parser["Sequence"]) if parser.has_section("Sequence") else {}
