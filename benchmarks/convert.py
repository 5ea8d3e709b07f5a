"""How fast images become records, and in how much memory; python benchmarks/convert.py.

    python benchmarks/convert.py [--images 30000] [--many 300000] [--rounds 3]

- throughput: images of the real size mix (drawn, then copied under other names), converted with their own bytes beside
  `tar -c` of the same folder into a file, in turns; the best of the rounds, command's start and flush to the disk
  included. Wanted: 0.1 of tar's images/s, and 8,000 a second on two quiet cores. Beside it with every PNG decoded.
- size: listing and conversion of many tiny images (links to a few files): seconds until the first bar stands, and peak
  memory at a hundredth of the images and at all of them. Wanted: 2 s; at most 200 MB more than
  TensorFlow's import takes, however many; and 500,000 names a second parsed.
- crops: boxes cut out of drawn 1080p frames by the source mot, beside the same written plainly with OpenCV and Pillow.
  Wanted: as fast at least. Needs OpenCV (opencv-python-headless), which is left out where it is missing.
"""

import argparse
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

COMMAND = "from tfrecords_tools.cli import main; main()"
LISTING = """
import sys, time
from pathlib import Path
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES
source, root, start = SOURCES[sys.argv[1]], Path(sys.argv[2]), time.perf_counter()
source.read(root, source.splits(root, Options()), Options())
print(time.perf_counter() - start)
"""
NAME = "54404-1940-33397-5089-Player_team_right-9-014r002_00858c3b0003-775x449.png"
GAME = "train/england_epl/2014-2015/2015-02-21 - 18-00 Chelsea {} - 1 Burnley"
PER_ACTION = 27


def tree_of(folder: Path, files: list[Path], count: int, place: Callable[[Path, Path], object]) -> Path:
    """Lay out a training set in which so many images have the content of a few."""
    for number in range(count):
        action, source = number // PER_ACTION, files[number % len(files)]
        below = folder / GAME.format(action // 40) / str(action)
        if number % PER_ACTION == 0:
            below.mkdir(parents=True)
        size = source.stem.rpartition("-")[2]
        name = (
            f"{number}-{action}-{number // 2}-{number % PER_ACTION}-Player_team_right-9-014r002_00858c3b{number}-{size}"
        )
        place(source, below / f"{name}.png")
    return folder


def crops_of(folder: Path, files: list[Path], count: int, place: Callable[[Path, Path], object]) -> Path:
    """Lay out own crops of six cameras and 25 images a track in which so many have the content of a few."""
    for number in range(count):
        below = folder / f"camera {number % 6}" / f"player {number // 150}"
        if number // 6 % 25 == 0:
            below.mkdir(parents=True)
        place(files[number % len(files)], below / f"{number:07}.png")
    return folder


def run(*command: object) -> tuple[float, float]:
    """Run a command; return its wall-clock time in seconds and its peak memory in MB."""
    start = time.perf_counter()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command}: failed with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def convert(root: Path, out: Path, *options: str) -> tuple[float, float]:
    """Run kreid-convert."""
    return run(sys.executable, "-c", COMMAND, root, out, "--overwrite", *options)


def throughput(work: Path, count: int, rounds: int) -> None:
    """Print images a second beside tar."""
    from tfrecords_tools import synthetic

    synthetic.draw(work / "drawn", {"train": 60})
    root = tree_of(work / "set", sorted((work / "drawn").rglob("*.png")), count, shutil.copyfile)
    size = sum(path.stat().st_size for path in root.rglob("*.png"))
    print(f"\n{count:,} images, {size / count / 1e3:.1f} kB each\n\n| by | images/s | of tar's |\n|---|---|---|")
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, work_of in {
            "`tar -c`": lambda: run("tar", "-cf", work / "set.tar", "-C", root, "."),
            "`kreid-convert`": lambda: convert(root, work / "out", "--source", "soccernet"),
            "`kreid-convert --decode`": lambda: convert(root, work / "out", "--source", "soccernet", "--decode"),
        }.items():
            best[name] = min(best.get(name, np.inf), work_of()[0])
    for name, seconds in best.items():
        print(f"| {name} | {count / seconds:,.0f} | {best['`tar -c`'] / seconds:.2f} |")


def size(work: Path, count: int) -> None:
    """Print what many images cost."""
    from tfrecords_tools.naming import parse_name, parse_places

    buffer = io.BytesIO()
    Image.new("RGB", (6, 12)).save(buffer, "PNG")
    files = [work / f"{number}-12x6.png" for number in range(count // 30_000 + 1)]  # of one, few links are allowed
    for path in files:
        path.write_bytes(buffer.getvalue())
    print("\n| source | images | listed in s | converted in s | peak MB |\n|---|---|---|---|---|")
    for name, lay_out in (("soccernet", tree_of), ("folders", crops_of)):
        for images in (count // 100, count):
            root = lay_out(work / f"{name}-{images}", files, images, os.link)
            # In a process of its own: the peak of those that follow would begin at this one's memory.
            told = subprocess.run(
                [sys.executable, "-c", LISTING, name, root], check=True, capture_output=True, text=True
            )
            seconds, peak = convert(root, work / "many", "--source", name)
            shutil.rmtree(root)
            shutil.rmtree(work / "many")
            print(f"| {name} | {images:,} | {float(told.stdout):.2f} | {seconds:.1f} | {peak:.0f} |", flush=True)
    print(f"\nTensorFlow's import: {run(sys.executable, '-c', 'import tensorflow')[1]:.0f} MB")
    names = [NAME] * PER_ACTION
    for what, parse in (
        ("at once", lambda: parse_places(names, True)),
        ("one by one", lambda: list(map(parse_name, names))),
    ):
        seconds = min(_seconds(lambda parse=parse: [parse() for _ in range(400)]) for _ in range(9))
        print(f"names parsed {what}: {400 * PER_ACTION / seconds:,.0f} a second")


def crops(work: Path, frames: int = 60, boxes: int = 20) -> None:
    """Print crops a second beside OpenCV and Pillow."""
    if importlib.util.find_spec("cv2") is None:
        print("\ncrops: no OpenCV here")
        return
    random = np.random.default_rng(0)
    folder = work / "mot" / "match"
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    lines = []
    ground = Image.fromarray(random.integers(0, 256, (34, 60, 3), np.uint8)).resize((1920, 1080))
    for frame in range(1, frames + 1):
        ground.save(folder / f"img1/{frame:06d}.jpg", quality=90)
        for track in range(boxes):
            lines.append(f"{frame},{track + 1},{random.integers(0, 1800)},{random.integers(0, 900)},60,150,1,1,1")
    (folder / "gt/gt.txt").write_text("\n".join(lines))
    peer = _seconds(lambda: run(sys.executable, __file__, "--peer", folder, "--out", work / "crops"))
    seconds = _seconds(lambda: convert(work / "mot", work / "crops-out", "--source", "mot", "--train-share", "1"))
    count = len(lines)
    print(f"\n{count:,} crops of {frames} frames\n\n| by | crops/s |\n|---|---|")
    print(f"| `kreid-convert` | {count / seconds:,.0f} |")
    print(f"| OpenCV and Pillow, one file a crop | {count / peer:,.0f} |")


def plain_crops(folder: Path, out: Path) -> None:
    """Cut boxes as one does who needs it once: OpenCV reads frames, Pillow writes crops as JPEG of the same quality."""
    import cv2

    out.mkdir(exist_ok=True)
    by_frame: dict[int, list[list[int]]] = {}
    for line in (folder / "gt/gt.txt").read_text().splitlines():
        frame, *box = map(int, line.split(",")[:6])
        by_frame.setdefault(frame, []).append(box)
    for frame, mine in by_frame.items():
        pixels = cv2.cvtColor(cv2.imread(str(folder / f"img1/{frame:06d}.jpg")), cv2.COLOR_BGR2RGB)
        for track, left, top, width, height in mine:
            crop = Image.fromarray(pixels[top : top + height, left : left + width])
            crop.save(out / f"{frame}-{track}.jpg", quality=95)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=30_000)
    parser.add_argument("--many", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("throughput", "size", "crops"))
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        plain_crops(arguments.peer, arguments.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, part in {
            "throughput": lambda: throughput(Path(folder), arguments.images, arguments.rounds),
            "size": lambda: size(Path(folder), arguments.many),
            "crops": lambda: crops(Path(folder)),
        }.items():
            if arguments.only in (None, name):
                part()


if __name__ == "__main__":
    main()
