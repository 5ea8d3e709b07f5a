"""A SoccerNet-v3 ReID tree on disk: where its splits are, which thumbnails they hold, whether it is whole.

Under `<root>/reid/`, or `<root>` itself:

    train/<championship>/<season>/<game>/<action>/*.png
    {valid,test}/{query,gallery}/<championship>/<season>/<game>/<action>/*.png
    challenge/{query,gallery}/*.png
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from tfrecords_tools.entry import Entry, inside
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.fraction import check_fraction, keep_fraction
from tfrecords_tools.naming import Thumbnail, parse_name
from tfrecords_tools.sources.bbox_info import check_labels, find_label_files
from tfrecords_tools.sources.source import Listing, Options, Source, first_image
from tfrecords_tools.walk import describe, walk, warn_of_skipped

# Split -> its subsets. A subset is a folder of its own where there are two.
SPLITS = {
    "train": ("train",),
    "valid": ("query", "gallery"),
    "test": ("query", "gallery"),
    "challenge": ("query", "gallery"),
}
_LOG = logging.getLogger(__name__)


def find_root(path: str | os.PathLike) -> Path:
    """Return the folder that holds the splits: `path/reid` or `path` itself.

    Raises:
        ConfigError: if there is no such folder, or no split in it.
    """
    path = Path(path)
    if not path.is_dir():
        raise ConfigError(f"{path}: {'not a folder' if path.exists() else 'no such folder'}; {_EXPECTED}")
    for root in (path / "reid", path):
        if find_splits(root):
            return root
    inside = sorted(found.name for found in path.iterdir())
    zipped = [name for name in inside if name.removesuffix(".zip") in SPLITS]
    found = f"unzip {', '.join(zipped)} first" if zipped else f"found {', '.join(inside[:5]) or 'nothing'}"
    raise ConfigError(f"{path}: no SoccerNet-v3 ReID split in this folder; {_EXPECTED}; {found}")


_EXPECTED = f"expected a folder with {', '.join(SPLITS)} (any of them) in it or in its folder reid"


def find_splits(root: Path) -> list[str]:
    """Return the names of the splits that have a folder in `root` (as `find_root` returns it)."""
    return [split for split in SPLITS if (root / split).is_dir()]


def scan(root: str | os.PathLike, split: str, fraction: float = 1.0) -> list[Entry]:
    """List the thumbnails of a split, ordered by action, query before gallery, bbox index.

    Where label lists (`bbox_info.json`) lie beside them, the files are compared with these; a list with gaps in its
    indices is logged as a warning, and so are the files that were left out, see `walk`.

    Args:
        root: the tree, see `find_root`.
        split: "train", "valid", "test" or "challenge".
        fraction: part of the training actions to keep, in (0, 1]: those with
            `action_idx < (last action_idx + 1) * fraction`, as in the development kit. Only for "train".

    Raises:
        ConfigError: for a split that is unknown or not there, or a wrong fraction.
        ValueError: for a folder that is missing or empty; a PNG whose name or place fits neither convention; two
            thumbnails of one index; labels that differ from the lists.

    Example:
        >>> entries = scan("SoccerNet", "train", fraction=0.1)
        >>> entries[0].thumbnail.action, entries[0].subset, entries[0].game
        (0, 'train', 'england_epl/2014-2015/2015-02-21 - 18-00 Chelsea 1 - 1 Burnley')
    """
    if split not in SPLITS:
        raise ConfigError(f"split: expected one of {', '.join(SPLITS)}, received {split!r}")
    check_fraction(fraction)
    if fraction != 1 and split != "train":
        raise ConfigError(f"fraction: only the training set can be cut, received {fraction} for {split!r}; use 1")
    folder = find_root(root) / split
    if not folder.is_dir():
        others = ", ".join(find_splits(folder.parent))
        raise ConfigError(f"{folder}: the folder of split {split!r} is missing; found only {others}")
    found = {subset: _list_subset(folder, subset) for subset in SPLITS[split]}
    for path in find_label_files(folder):
        check_labels(path, found)
    _warn_of_gaps(folder, found)
    # The subsets stand in the order wanted (query first) and sorting is stable.
    entries = [by[bbox] for by in found.values() for bbox in sorted(by)]
    entries.sort(key=lambda entry: entry.thumbnail.action)
    return keep_fraction(entries, fraction)


def _list_subset(folder: Path, subset: str) -> dict[int, Entry]:
    """Return the thumbnails of one list by their bbox index."""
    split = folder.name
    place = folder / subset if len(SPLITS[split]) > 1 else folder
    if not place.is_dir():
        raise ValueError(f"{place}: the {subset} folder of split {split!r} is missing; was the archive unpacked whole?")
    levels = [] if split == "challenge" else ["<championship>", "<season>", "<game>", "<action>"]
    found: dict[int, Entry] = {}
    walked = walk(place, (".png",))
    skipped = [one for one in walked.skipped if one.path not in find_label_files(folder)]
    for path in walked.files:
        parts = path.parent.relative_to(place).parts
        if len(parts) != len(levels):
            wanted = place.joinpath(*levels, "*.png")
            raise ValueError(f"{path}: this thumbnail is out of place; expected {wanted}")
        source = inside(folder.parent, path)
        entry = Entry(_parse_file(path, split), path, split, subset, "/".join(parts[:-1]), source=source)
        twin = found.setdefault(entry.thumbnail.bbox, entry)
        if twin is not entry:
            raise ValueError(
                f"{entry.path}: bbox index {entry.thumbnail.bbox} is also that of {twin.path}; "
                "an index stands once in a list, remove one of the two"
            )
    if not found:
        but = f" ({describe(place, skipped)})" if skipped else ""
        raise ValueError(f"{place}: split {split!r} is empty, no *.png here{but}; was the archive unpacked whole?")
    warn_of_skipped(place, skipped)
    return found


def _parse_file(path: Path, split: str) -> Thumbnail:
    try:
        thumbnail = parse_name(path.name)
    except ValueError as error:
        raise ValueError(f"{path.parent}{os.sep}{error}") from None
    if thumbnail.person is None and split != "challenge":
        raise ValueError(
            f"{path}: the file name has no labels, but split {split!r} needs them "
            '("bbox-action-person-frame-class-ID-UAI-HxW.png"); is this a file of the challenge set?'
        )
    return thumbnail


def _warn_of_gaps(folder: Path, found: dict[str, dict[int, Entry]]) -> None:
    for subset, by_index in found.items():
        missing = max(by_index) + 1 - len(by_index)
        if missing:
            first = next(bbox for bbox in range(len(by_index) + 1) if bbox not in by_index)
            _LOG.warning(
                "%s: %d of the %s indices 0..%d have no thumbnail, first %d; was the archive unpacked whole?",
                folder, missing, subset, max(by_index), first,
            )  # fmt: skip


def _missing(path: Path) -> str:
    """Say what the folder lacks to be such a tree, by its splits and the first image of each."""
    try:
        root = find_root(path)
    except ConfigError as error:
        return str(error).removeprefix(f"{path}: ")
    for folder in (root / split for split in find_splits(root)):
        image = first_image(folder)
        if image is None or find_label_files(folder):
            return ""
        deep = len(image.relative_to(folder).parts) == 1 + 4 + (len(SPLITS[folder.name]) > 1)
        if deep or _has_name(image):
            return ""
    return "no image in its splits has a SoccerNet-v3 ReID name and place"


def _has_name(path: Path) -> bool:
    try:
        parse_name(path.name)
    except ValueError:
        return False
    return True


def _splits(root: Path, options: Options) -> list[str]:
    return find_splits(find_root(root))


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    return Listing({split: scan(root, split) for split in splits})


SOURCE = Source("soccernet", "a SoccerNet-v3 ReID tree", _missing, _splits, _read)
