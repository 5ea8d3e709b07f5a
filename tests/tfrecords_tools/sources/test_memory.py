"""What an image of a set takes while the set is listed: it decides how many a machine can convert."""

import tracemalloc

import pytest

from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES

IMAGES = 1200
LIMIT = 900  # bytes an image; 1,000 to 1,800 where a source holds rows beside entries, or entries twice


def touch(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def folders(root):
    touch(root, [f"cam{n % 2}/p{n // 20}/{n:06}.png" for n in range(IMAGES)])


def market1501(root):
    names = {"bounding_box_train": 0, "bounding_box_test": 1, "query": 1}
    people = {name: 1 + 1000 * half for name, half in names.items()}
    touch(
        root,
        [f"{name}/{people[name] + n // 20:04}_c{n % 6}s1_{n:06}_00.jpg" for name in names for n in range(IMAGES // 3)],
    )


def csv(root):
    names = [f"images/cam{n % 2}/{n:06}.png" for n in range(IMAGES)]
    touch(root, names)
    lines = [f"{name},player {n // 20},cam{n % 2},{n},track {n // 20}" for n, name in enumerate(names)]
    (root / "list.csv").write_text("\n".join(["path,person,camera,frame,track", *lines, ""]))


def mot(root):
    touch(root, [f"match {n}/img1/{frame:06}.jpg" for n in range(2) for frame in range(1, 61)])
    for n in range(2):
        lines = [f"{frame},{track},{frame}.5,{track},30,60,1,1,1" for track in range(10) for frame in range(1, 61)]
        touch(root, [f"match {n}/gt/gt.txt"])
        (root / f"match {n}" / "gt" / "gt.txt").write_text("\n".join(lines))


@pytest.mark.parametrize("make", [folders, market1501, csv, mot])
def test_an_image_takes_little_while_its_set_is_listed(make, tmp_path):
    make(tmp_path)
    source, options = SOURCES[make.__name__], Options()
    splits = source.splits(tmp_path, options)
    source.read(tmp_path, splits, options)  # what is loaded at the first time is no image's
    tracemalloc.start()
    try:
        listing = source.read(tmp_path, splits, options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(map(len, listing.entries.values())) == IMAGES
    assert peak / IMAGES < LIMIT, f"{peak / IMAGES:.0f} bytes an image"
