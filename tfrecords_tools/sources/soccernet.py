"""A SoccerNet-v3 ReID tree on disk: where its splits are, which thumbnails they hold, whether it is whole.

Under `<root>/reid/`, or `<root>` itself:

    train/<championship>/<season>/<game>/<action>/*.png
    {valid,test}/{query,gallery}/<championship>/<season>/<game>/<action>/*.png
    challenge/{query,gallery}/*.png
"""

import logging
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfrecords_tools.entry import Entry, inside
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.fraction import check_fraction, keep_fraction
from tfrecords_tools.naming import Thumbnail, parse_name, parse_places
from tfrecords_tools.sources.bbox_info import check_labels, find_label_files
from tfrecords_tools.sources.source import Listing, Options, Source, first_image
from tfrecords_tools.sources.thumbnails import ByIndex, Place, Thumbnails
from tfrecords_tools.walk import Skipped, describe, walk_folders, warn_of_skipped

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


def scan(root: str | os.PathLike, split: str, fraction: float = 1.0) -> Sequence[Entry]:
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
    found = _list_split(folder)
    lists = {subset: found.rows(_rows_of(found, subset)) for subset in SPLITS[split]}
    for path in find_label_files(folder):
        check_labels(path, {subset: ByIndex(entries) for subset, entries in lists.items()})
    _warn_of_gaps(folder, lists)
    # By action, query before gallery, index: the last key counts first.
    is_gallery = np.array([place.subset == "gallery" for place in found.places])[found.folder]
    entries = found.rows(np.lexsort((found.bbox, is_gallery, found.actions)))
    return keep_fraction(entries, fraction)


def _list_split(folder: Path) -> Thumbnails:
    """Return the thumbnails of a split, list by list, in the order of the walk."""
    places: list[Place] = []
    bbox, actions, number, name = (array("q") for _ in range(4))
    for subset in SPLITS[folder.name]:
        for place, mine, of_action in _list_subset(folder, subset):
            bbox.extend(mine)
            actions.extend(of_action)
            number.extend([len(places)] * len(mine))
            name.extend(range(len(mine)))
            places.append(place)
    return Thumbnails(folder.name, places, *(np.array(column) for column in (number, name, bbox, actions)))


def _list_subset(folder: Path, subset: str) -> Iterator[tuple[Place, list[int], list[int]]]:
    """Yield the folders of one list, and index and action of each image there."""
    split = folder.name
    place = folder / subset if len(SPLITS[split]) > 1 else folder
    if not place.is_dir():
        raise ValueError(f"{place}: the {subset} folder of split {split!r} is missing; was the archive unpacked whole?")
    levels = [] if split == "challenge" else ["<championship>", "<season>", "<game>", "<action>"]
    skipped: list[Skipped] = []
    empty = True
    for path, names, mine in walk_folders(place, (".png",)):
        skipped += mine
        if not names:
            continue
        empty = False
        parts = path.relative_to(place).parts
        if len(parts) != len(levels):
            wanted = place.joinpath(*levels, "*.png")
            raise ValueError(f"{path / names[0]}: this thumbnail is out of place; expected {wanted}")
        source = f"{inside(folder.parent, path)}/"
        yield Place(path, subset, "/".join(parts[:-1]), source, "/".join(names)), *_parse_names(path, names, split)
    skipped = sorted(each for each in skipped if each.path not in find_label_files(folder))
    if empty:
        but = f" ({describe(place, skipped)})" if skipped else ""
        raise ValueError(f"{place}: split {split!r} is empty, no *.png here{but}; was the archive unpacked whole?")
    warn_of_skipped(place, skipped)


def _parse_names(folder: Path, names: Sequence[str], split: str) -> tuple[list[int], list[int]]:
    """Return index and action of every file of a folder."""
    places = parse_places(names, labelled=split != "challenge")
    if places is None:
        found = [_parse_file(folder / name, split) for name in names]
        places = [thumbnail.bbox for thumbnail in found], [thumbnail.action for thumbnail in found]
    return places


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


def _rows_of(found: Thumbnails, subset: str) -> np.ndarray:
    """Return the positions of one list's thumbnails, by index.

    Raises:
        ValueError: two have one index.
    """
    mine = np.array([place.subset == subset for place in found.places])
    rows = np.flatnonzero(mine[found.folder])
    rows = rows[np.argsort(found.bbox[rows], kind="stable")]
    same = np.flatnonzero(np.diff(found.bbox[rows]) == 0)
    if len(same):
        first, second = (found[int(rows[place])] for place in (same[0], same[0] + 1))
        raise ValueError(
            f"{second.path}: bbox index {second.thumbnail.bbox} is also that of {first.path}; "
            "an index stands once in a list, remove one of the two"
        )
    return rows


def _warn_of_gaps(folder: Path, lists: Mapping[str, Thumbnails]) -> None:
    """Say of lists, in the order of their indices, where some are missing."""
    for subset, entries in lists.items():
        last = int(entries.bbox[-1])
        missing = last + 1 - len(entries)
        if missing:
            first = int(np.argmax(entries.bbox != np.arange(len(entries))))
            _LOG.warning(
                "%s: %d of the %s indices 0..%d have no thumbnail, first %d; was the archive unpacked whole?",
                folder, missing, subset, last, first,
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
