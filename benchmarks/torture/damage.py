"""One flipped bit, 512 bytes of zeros, a cut: in every kind of file that has a checksum or a strict format."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from PIL import Image

from benchmarks.torture import contents
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import run
from benchmarks.torture.contents import Content
from benchmarks.torture.outcomes import NOTICED, RIGHT, SILENT, Damaged, Outcome, fault_of, outcome_of
from benchmarks.torture.scenarios import Line, copy_run
from benchmarks.torture.steps import killed_before
from benchmarks.torture.trials import Trial
from tfrecords_tools.staging import JOURNAL, PREFIX


@dataclass(frozen=True)
class Readable:
    """A kind of file, and a command that reads it.

    Args:
        before: makes the folder of a try; returns the files of which one is damaged.
        line: the command line.
        content: its result, None where it leaves none.
        times: how many of twenty tries.
        pixels: a damaged file may hold other pixels by its format, which has no checksum.
    """

    name: str
    before: Callable[[Bench, Path], list[Path]]
    line: Callable[[Bench], Line]
    content: Callable[[Path], Content]
    times: int = 20
    pixels: bool = False


def flip(data: bytes, rng: random.Random) -> bytes:
    """One bit."""
    place, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def blank(data: bytes, rng: random.Random) -> bytes:
    """512 bytes of zeros, as of a sector."""
    place = rng.randrange(max(1, len(data) - 511))
    return data[:place] + bytes(min(512, len(data) - place)) + data[place + 512 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def _records(bench: Bench, folder: Path, split: str, pattern: str) -> list[Path]:
    shutil.copytree(bench.records, folder / "records")
    return sorted((folder / "records" / split).glob(pattern))


def _run(bench: Bench, folder: Path, name: str) -> list[Path]:
    copy_run(bench, folder)
    return sorted((folder / "run").glob(name))


def _newest_state(bench: Bench, folder: Path) -> list[Path]:
    return _run(bench, folder, "checkpoints/state-*.npz")[-1:]


def _vectors(bench: Bench, folder: Path) -> list[Path]:
    copy_run(bench, folder)
    return [Path(shutil.copy(bench.vectors, folder / "vectors.npz"))]


def _ranking(bench: Bench, folder: Path) -> list[Path]:
    """The labels that a ranking is scored by: a file of embeddings."""
    return [Path(shutil.copy(bench.vectors, folder / "vectors.npz"))]


def _images(image_format: str, bench: Bench, folder: Path) -> list[Path]:
    """A tree, whose thumbnails are files of this format, whatever their names end in."""
    shutil.copytree(bench.small_tree, folder / "tree")
    paths = sorted((folder / "tree" / "valid").rglob("*.png"))
    if image_format != "PNG":
        for path in paths:
            Image.open(path).convert("RGB").save(path, image_format)
    return paths


def _unfinished(bench: Bench, folder: Path) -> list[Path]:
    """A conversion that replaces two splits, killed between its moves, of which the first one writes the journal."""
    _kill_conversion(bench, folder, _moves_before(bench))
    return sorted(folder.glob(f"out/{PREFIX}*/{JOURNAL}"))


@cache
def _moves_before(bench: Bench) -> int:
    """How many files a conversion renames until it has written its journal."""
    for number in range(2, 30):
        folder = bench.folder / f"journal {number}"
        folder.mkdir()
        _kill_conversion(bench, folder, number)
        if list(folder.glob(f"out/{PREFIX}*/{JOURNAL}")):
            return number
    raise RuntimeError("a conversion has renamed 30 files without a journal")


def _kill_conversion(bench: Bench, folder: Path, number: int) -> None:
    """Kill a conversion that replaces two splits before it renames so many files."""
    shutil.copytree(bench.small_records, folder / "out")
    line = ["kreid-convert", bench.small_tree, "out", "--overwrite", "--resize", "16x8"]
    run(line, folder, killed_before(number, "replace"))


def _embed(*images: str) -> Callable[[Bench], Line]:
    return lambda bench: ["kreid-embed", bench.run, *images, "--out", "embedded.npz"]


def _embed_by_it(bench: Bench) -> Line:
    return ["kreid-embed", "run", bench.images, "--out", "embedded.npz"]


def _search(bench: Bench) -> Line:
    return ["kreid-search", "run", "--gallery", "vectors.npz", "--query", "vectors.npz", "--out", "found.json"]


def _embedded(folder: Path) -> Content:
    return contents.arrays(folder / "embedded.npz")


READ = [
    Readable("records", partial(_records, split="test", pattern="*.tfrecord"), _embed("records/test"), _embedded, 30),
    Readable(
        "records trained on",
        partial(_records, split="train", pattern="*.tfrecord"),
        lambda bench: ["kreid-train", bench.config, "--data", "records", "--out", "run", "--quiet"],
        lambda folder: contents.run(folder / "run"),
        10,
    ),
    Readable("index.npz", partial(_records, split="test", pattern="index.npz"), _embed("records/test"), _embedded, 30),
    Readable("model.weights.h5", partial(_run, name="model.weights.h5"), _embed_by_it, _embedded, 30),
    Readable("model.weights.sha256", partial(_run, name="model.weights.sha256"), _embed_by_it, _embedded, 10),
    Readable(
        "a state",
        _newest_state,
        lambda bench: ["kreid-train", bench.config, "--data", bench.records, "--out", "run", "--quiet", "--resume"],
        lambda folder: contents.run(folder / "run"),
        20,
    ),
    Readable("embeddings searched", _vectors, _search, lambda folder: contents.figures(folder / "found.json"), 60),
    Readable(
        "embeddings as labels",
        _ranking,
        lambda bench: ["kreid-score", bench.ranking, "vectors.npz", "--out", "scores.json"],
        lambda folder: contents.figures(folder / "scores.json"),
        40,
    ),
    *(
        Readable(
            f"thumbnails, {image_format}",
            partial(_images, image_format),
            lambda bench: ["kreid-convert", "tree", "out"],
            lambda folder: contents.records(folder / "out"),
            20,
            pixels=image_format == "JPEG",
        )
        for image_format in ("PNG", "JPEG")
    ),
    Readable(
        "a journal",
        _unfinished,
        lambda bench: ["kreid-embed", bench.run, "out/valid", "--out", "embedded.npz"],
        lambda folder: (contents.records(folder / "out"), _embedded(folder)),
        30,
    ),
]


def damage(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Every kind of file."""
    for kind in READ:
        _expected(bench, kind)
    return [
        Trial(f"damaged: {kind.name}", partial(_damage, kind))
        for kind in READ
        for _ in range(max(1, round(kind.times * scale)))
    ]


@cache
def _expected(bench: Bench, kind: Readable) -> Content:
    """The result of the undamaged files."""
    folder = bench.folder / f"whole {kind.name}"
    folder.mkdir(exist_ok=True)
    kind.before(bench, folder)
    ended = run(kind.line(bench), folder)
    if ended.code:
        raise RuntimeError(f"{kind.name}: {ended.err}")
    return kind.content(folder)


def _damage(kind: Readable, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    path = rng.choice(kind.before(bench, folder))
    change = rng.choice([flip, flip, blank, cut])
    path.write_bytes(change(path.read_bytes(), rng))
    ended = run(kind.line(bench), folder)
    if broken := fault_of(ended):
        return [broken]
    if ended.code:
        return [Outcome(NOTICED, ended.line)]
    try:
        found = kind.content(folder)
    except Damaged as error:
        return [Outcome(SILENT, f"{change.__name__} of {path.name}: exit code 0, but {error}")]
    if kind.pixels:
        return [_readable(bench, folder)]
    expected = _expected(bench, kind)
    if found == expected:
        return [Outcome(RIGHT)]
    return [Outcome(SILENT, f"{change.__name__} of {path.name}: {contents.differences(found, expected)}")]


def _readable(bench: Bench, folder: Path) -> Outcome:
    """What was converted without a word can be read."""
    ended = run(["kreid-embed", bench.run, "out/valid", "--out", "embedded.npz"], folder)
    outcome = outcome_of(ended, right=True)
    return Outcome(SILENT, f"converted, but not read: {ended.line}") if outcome.what == NOTICED else outcome
