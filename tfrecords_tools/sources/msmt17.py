"""MSMT17 as it is published, both versions: lists of images beside the folders of training and test.

    mask_train_v2/0000/0000_012_03_0303morning_0008_0.jpg      in version 1: train/0000/...
    mask_test_v2/0000/0000_000_01_0303morning_0008_0.jpg       in version 1: test/0000/...
    list_train.txt, list_val.txt                               0000/0000_012_03_0303morning_0008_0.jpg 0
    list_query.txt, list_gallery.txt

The people of `list_val.txt` are those of `list_train.txt`: both are for training. Test counts its people anew.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tfrecords_tools.entry import Entry, inside
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.sources.assembly import assemble, choose_splits, each_let_go
from tfrecords_tools.sources.market1501 import camera_names, number_anew, parse_market_name
from tfrecords_tools.sources.source import Listing, Options, Source

# List -> its split and subset, and the folders its images may be in.
_TRAIN, _TEST = ("mask_train_v2", "train"), ("mask_test_v2", "test")
_LISTS = {
    "list_train.txt": ("train", "train", _TRAIN),
    "list_val.txt": ("train", "train", _TRAIN),
    "list_query.txt": ("test", "query", _TEST),
    "list_gallery.txt": ("test", "gallery", _TEST),
}
_NEEDED = [name for name in _LISTS if name != "list_val.txt"]


def _missing(root: Path) -> str:
    absent = [name for name in _NEEDED if not (root / name).is_file()]
    if absent:
        return f"expected the lists {', '.join(_NEEDED)}; {absent[0]} is not there"
    folders = [folders for folders in (_TRAIN, _TEST) if _folder(root, folders) is None]
    return f"expected a folder {' or '.join(folders[0])}" if folders else ""


def _folder(root: Path, names: Sequence[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _splits(root: Path, options: Options) -> list[str]:
    return ["train", "test"]


def _read(root: Path, splits: Sequence[str], options: Options) -> Listing:
    choose_splits(splits, _splits(root, options), root)
    entries = [entry for name in _LISTS if (root / name).is_file() for entry in _list(root, name)]
    entries, people = number_anew(entries)
    cameras = camera_names(entries)
    return assemble(each_let_go(entries), splits, "cross_camera", cameras, people)


def _list(root: Path, name: str) -> Iterator[Entry]:
    split, subset, folders = _LISTS[name]
    folder = _folder(root, folders)
    if folder is None:
        raise ValueError(f"{root}: {_missing(root)}; was the archive unpacked whole?")
    seen: dict[str, int] = {}
    lines = (root / name).read_text(encoding="utf-8", errors="replace").splitlines()
    for line, text in enumerate(lines, start=1):
        cells = text.split()
        if not cells:
            continue
        where = f"{root / name}, line {line}"
        if len(cells) != 2 or not (cells[1].isascii() and cells[1].isdigit() and len(cells[1]) < 10):
            raise ValueError(f"{where}: expected an image and its person's number, received {text!r}")
        if (first := seen.setdefault(cells[0], line)) != line:
            raise ValueError(f"{where}: {cells[0]} stands in line {first} too; remove one of the two")
        path = folder / cells[0]
        try:
            _, camera, _ = parse_market_name(path.name)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if not path.is_file():
            raise ValueError(f"{where}: no such file: {path}; was the archive unpacked whole?")
        thumbnail = Thumbnail(0, 0, int(cells[1]), None, None, None, None, 0, 0)
        yield Entry(thumbnail, path, split, subset, "", camera=camera, source=inside(root, path))


SOURCE = Source("msmt17", "MSMT17 with its lists", _missing, _splits, _read)
