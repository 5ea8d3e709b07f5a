"""What may be disturbed: commands that write, from where they begin, and what must stand after them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.torture import contents
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import run
from benchmarks.torture.contents import Content
from benchmarks.torture.outcomes import LOST, RIGHT, SILENT, Damaged, Outcome, fault_of

Line = list[str | Path]


@dataclass(frozen=True)
class Scenario:
    """A command that writes into the folder of a try.

    Args:
        line: gives the command line, from the bench; paths in it are of the folder of the try.
        content: what a reader finds in such a folder.
        before: makes the folder what it is before the command.
        again: the command that follows one that was killed.
        passing: whether the folder may also hold something between the old and the new content, as a run does.
        leftovers: patterns of what an interrupted command must not leave, and the next one must remove.
    """

    name: str
    line: Callable[[Bench], Line]
    content: Callable[[Path], Content]
    before: Callable[[Bench, Path], None] = lambda bench, folder: None
    again: Callable[[Bench, Path], Line] | None = None
    passing: bool = False
    leftovers: tuple[str, ...] = field(default=("**/.partial-*", "**/.kreid-convert-*"))

    def next_line(self, bench: Bench, folder: Path) -> Line:
        """The command that follows."""
        return self.again(bench, folder) if self.again else self.line(bench)


@dataclass(frozen=True)
class Known:
    """A scenario's old and new content, what the command takes in seconds, and its steps on disk."""

    old: Content
    new: Content
    seconds: float
    steps: list[str]
    largest: int


def _convert(*options: str) -> Callable[[Bench], Line]:
    return lambda bench: ["kreid-convert", bench.small_tree, "out", *options]


def _records(*splits: str) -> Callable[[Bench, Path], None]:
    def make(bench: Bench, folder: Path) -> None:
        options = [part for split in splits for part in ("--split", split)]
        ended = run(["kreid-convert", bench.small_tree, "out", *options], folder)
        if ended.code:
            raise RuntimeError(ended.err)

    return make


def _train(*options: str) -> Callable[[Bench], Line]:
    return lambda bench: ["kreid-train", bench.config, "--data", bench.records, "--out", "run", "--quiet", *options]


def _train_again(bench: Bench, folder: Path) -> Line:
    return _train("--resume")(bench) if (folder / "run" / "config.yaml").exists() else _train()(bench)


def copy_run(bench: Bench, folder: Path) -> None:
    """A trained run, as training leaves it."""
    shutil.copytree(bench.run, folder / "run", ignore=shutil.ignore_patterns("*.json", "*.html"))


def _half_trained(bench: Bench, folder: Path) -> None:
    """A run after its fourth step: an epoch is done and validated."""
    copy_run(bench, folder)
    shutil.rmtree(folder / "run")
    ended = run([*_train()(bench), "--set", "train.epochs=1"], folder)
    if ended.code:
        raise RuntimeError(ended.err)


def _with(name: str, source: Callable[[Bench], Path]) -> Callable[[Bench, Path], None]:
    """A run with a result of an earlier command."""

    def make(bench: Bench, folder: Path) -> None:
        copy_run(bench, folder)
        shutil.copy(source(bench), folder / name)

    return make


def _export_content(folder: Path) -> Content:
    """The versions; how many there are is not the same after each kill."""
    return sorted(contents.versions(folder / "run" / "serving"))


def _ranked(folder: Path) -> Content:
    return contents.figures(folder / "run" / "ranking_test.json"), contents.page(folder / "run" / "report_test.html")


SCENARIOS = [
    Scenario("kreid-convert", _convert(), lambda folder: contents.records(folder / "out")),
    Scenario(
        "kreid-convert --overwrite",
        _convert("--overwrite", "--resize", "16x8"),
        lambda folder: contents.records(folder / "out"),
        _records("valid", "challenge"),
    ),
    Scenario(
        "kreid-convert, a split more",
        _convert("--split", "challenge"),
        lambda folder: contents.records(folder / "out"),
        _records("valid"),
    ),
    Scenario(
        "kreid-train", _train(), lambda folder: contents.run(folder / "run"), again=_train_again, passing=True
    ),
    Scenario(
        "kreid-train --resume",
        _train("--resume"),
        lambda folder: contents.run(folder / "run"),
        _half_trained,
        passing=True,
    ),
    Scenario("kreid-export", lambda bench: ["kreid-export", "run"], _export_content, copy_run),
    Scenario(
        "kreid-embed",
        lambda bench: ["kreid-embed", "run", bench.images, "--out", "vectors.npz"],
        lambda folder: contents.arrays(folder / "vectors.npz"),
        _with("vectors.npz", lambda bench: bench.vectors),
    ),
    Scenario(
        "kreid-evaluate",
        lambda bench: ["kreid-evaluate", "run", "--data", bench.records],
        lambda folder: contents.figures(folder / "run" / "metrics_test.json"),
        _with("run/metrics_test.json", lambda bench: bench.ranking),
    ),
    Scenario(
        "kreid-rank",
        lambda bench: ["kreid-rank", "run", "--data", bench.records, "--no-look"],
        _ranked,
        copy_run,
        passing=True,
    ),
    Scenario(
        "kreid-search",
        lambda bench: [
            "kreid-search", "run", "--gallery", bench.vectors, "--query", bench.vectors, "--out", "found.json",
        ],
        lambda folder: contents.figures(folder / "found.json"),
        _with("found.json", lambda bench: bench.ranking),
    ),
    Scenario(
        "kreid-score",
        lambda bench: ["kreid-score", bench.ranking, bench.records / "test", "--out", "scores.json"],
        lambda folder: contents.figures(folder / "scores.json"),
        _with("scores.json", lambda bench: bench.ranking),
    ),
]  # fmt: skip


def follow(scenario: Scenario, known: Known, bench: Bench, folder: Path) -> Outcome:
    """What a command that was disturbed has left, before and after the next one: the old content, then the new one."""
    try:
        found = scenario.content(folder)
    except Damaged as error:
        return Outcome(LOST, f"at once: {error}")
    if not scenario.passing and found not in (known.old, known.new):
        return Outcome(LOST, f"at once: {contents.differences(found, known.new)}")
    whole = found == known.new
    ended = run(scenario.next_line(bench, folder), folder)
    if broken := fault_of(ended):
        return broken
    if ended.code and not whole:
        return Outcome(LOST, f"the next command: {ended.line}")
    try:
        found = scenario.content(folder)
    except Damaged as error:
        return Outcome(LOST, f"after the next command: {error}")
    if scenario.name == "kreid-export":
        found = found[:1]
    if found != known.new:
        return Outcome(SILENT if not ended.code else LOST, contents.differences(found, known.new))
    return Outcome(RIGHT)


def leftovers(scenario: Scenario, folder: Path) -> list[str]:
    """What is half-written in the folder of a try."""
    return [str(path.relative_to(folder)) for pattern in scenario.leftovers for path in folder.glob(pattern)]
