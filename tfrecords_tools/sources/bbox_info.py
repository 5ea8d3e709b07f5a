"""The label lists beside the thumbnails (`bbox_info.json`): do the files say the same?"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tfrecords_tools.json_text import load_json
from tfrecords_tools.naming import Thumbnail

# Field of Thumbnail -> key in the JSON file.
_KEYS = {
    "bbox": "bbox_idx",
    "action": "action_idx",
    "person": "person_uid",
    "frame": "frame_idx",
    "role": "clazz",
    "jersey": "id",
    "uai": "UAI",
}
_SHOWN = 3  # examples named in an error


def find_label_files(folder: Path) -> list[Path]:
    """Return the label lists of a split's folder: `bbox_info.json` and `<split>_bbox_info.json`, those that exist."""
    names = ("bbox_info.json", f"{folder.name}_bbox_info.json")
    return [folder / name for name in names if (folder / name).is_file()]


class Labelled(Protocol):
    """A thumbnail and the file it lies in."""

    @property
    def thumbnail(self) -> Thumbnail:
        """What the file name says."""

    @property
    def path(self) -> Path:
        """The file."""


def check_labels(path: Path, found: Mapping[str, Mapping[int, Labelled]]) -> None:
    """Compare a label list with the thumbnails found on disk.

    Args:
        path: the JSON file: `{"<bbox_idx>": entry}` for the training set, `{"query": ..., "gallery": ...}` of such
            dicts for the others. Keys an entry lacks are not compared.
        found: per subset ("train", "query" or "gallery"), the thumbnails by bbox index.

    Raises:
        ValueError: for a file that is not such a list, an entry without a thumbnail (an archive unpacked in part), a
            thumbnail without an entry, or a label that differs; it counts them and names the first.

    Reference:
        SoccerNet-v3 ReID: `train/train_bbox_info.json`, `valid/bbox_info.json`, `test/bbox_info.json`.
    """
    for subset, listed in _read(path, list(found)).items():
        _check_subset(path, subset, listed, found[subset])


def _read(path: Path, subsets: list[str]) -> dict[str, dict[int, dict[str, Any]]]:
    flat = subsets == ["train"]
    try:
        content = load_json(path.read_bytes())
        lists = {"train": content} if flat else {subset: content[subset] for subset in subsets}
        labels = {subset: {int(key): dict(entry) for key, entry in one.items()} for subset, one in lists.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        form = '{"<bbox_idx>": {...}, ...}' if flat else '{"query": {"<bbox_idx>": {...}, ...}, "gallery": {...}}'
        raise ValueError(
            f"{path}: not a list of labels, {type(error).__name__}: {error}; expected {form}; unpack the archive again"
        ) from error
    return labels


def _check_subset(
    path: Path, subset: str, listed: Mapping[int, Mapping[str, Any]], found: Mapping[int, Labelled]
) -> None:
    absent = sorted(listed.keys() - found.keys())
    if absent:
        places = (f"{listed[bbox].get('relative_path', '?')}/{bbox}-..." for bbox in absent)
        raise ValueError(
            f"{path}: {len(absent)} of {len(listed)} {subset} entries have no thumbnail on disk "
            f"({_some(places, absent)}); was the archive unpacked whole?"
        )
    surplus = sorted(found.keys() - listed.keys())
    if surplus:
        files = (str(found[bbox].path) for bbox in surplus)
        raise ValueError(
            f"{path}: {len(surplus)} of {len(found)} {subset} thumbnails have no entry ({_some(files, surplus)}); "
            "take them out, or restore the list they belong to"
        )
    wrong = [text for bbox in sorted(found) if (text := _difference(found[bbox], listed[bbox]))]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} of {len(found)} {subset} labels differ from the file names ({_some(wrong, wrong)}); "
            "list and thumbnails must come from the same archive"
        )


def _difference(labelled: Labelled, entry: Mapping[str, Any]) -> str:
    """Say where an entry disagrees with a file name, or return an empty string."""
    for field, key in _KEYS.items():
        value = getattr(labelled.thumbnail, field)
        withheld = value is None and labelled.thumbnail.person is None
        if key in entry and not withheld and _plain(entry[key]) != _plain(value):
            return f"{key} {entry[key]!r} but {labelled.path}"
    return ""


def _plain(value: Any) -> str:
    """A label in the form both sides share: some identifiers lack their underscore, a missing jersey is "None"."""
    return str(value).replace("_", "").replace(" ", "")


def _some(texts: Iterable[str], whole: list) -> str:
    shown = [text for text, _ in zip(texts, range(_SHOWN), strict=False)]
    return ", ".join(shown) + (", ..." if len(whole) > _SHOWN else "")
