"""Two commands at once in one place: one of them is told so, or both are right."""

import random
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from benchmarks.torture import contents
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import Child, Ended, run, script
from benchmarks.torture.contents import Content
from benchmarks.torture.interrupted import know
from benchmarks.torture.outcomes import LOST, NOTICED, RIGHT, SILENT, Damaged, Outcome, fault_of
from benchmarks.torture.scenarios import SCENARIOS, Line, Scenario
from benchmarks.torture.trials import Trial

_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def together(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Pairs of the same command, and a reader beside a writer."""
    names = ["kreid-convert", "kreid-convert --overwrite", "kreid-train", "kreid-train --resume", "kreid-embed"]
    for name in (*names, "kreid-export"):
        know(bench, _BY_NAME[name])
    _read_before_and_after(bench)
    pairs = [Trial(f"two at once: {name}", partial(_pair, _BY_NAME[name])) for name in names]
    pairs += [
        Trial("two at once: kreid-export", _export_pair),
        Trial("two at once: kreid-embed beside kreid-convert --overwrite", _read_while_replaced),
    ]
    return [pair for pair in pairs for _ in range(max(1, round(4 * scale)))]


def _both(first: Line, second: Line, folder: Path, rng: random.Random) -> list[Ended]:
    """Start two commands one right after the other, or the second a moment later."""
    children = [Child(script(first, folder))]
    time.sleep(rng.choice([0, 0, rng.uniform(0, 1)]))
    children.append(Child(script(second, folder)))
    return [child.wait() for child in children]


def _pair(scenario: Scenario, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    known = know(bench, scenario)
    scenario.before(bench, folder)
    both = _both(scenario.line(bench), scenario.line(bench), folder, rng)
    for ended in both:
        if broken := fault_of(ended):
            return [broken]
    if all(ended.code for ended in both):
        return [Outcome(LOST, f"neither did it: {[ended.line for ended in both]}")]
    return [_compare(lambda: scenario.content(folder), [known.new], any(ended.code for ended in both))]


def _compare(read: Callable[[], Content], allowed: list[Content], noticed: bool) -> Outcome:
    try:
        found = read()
    except Damaged as error:
        return Outcome(LOST, str(error))
    if found not in allowed:
        return Outcome(SILENT, contents.differences(found, allowed[-1]))
    return Outcome(NOTICED if noticed else RIGHT)


def _export_pair(bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    """Both write a version of their own."""
    scenario = _BY_NAME["kreid-export"]
    scenario.before(bench, folder)
    both = _both(scenario.line(bench), scenario.line(bench), folder, rng)
    for ended in both:
        if broken := fault_of(ended):
            return [broken]
    return [_compare(lambda: scenario.content(folder), [["1", "2"]], any(ended.code for ended in both))]


def _embed(bench: Bench) -> Line:
    return ["kreid-embed", bench.run, "out/valid", "--out", "embedded.npz"]


@cache
def _read_before_and_after(bench: Bench) -> list[Content]:
    """The embeddings of the records before and after they are replaced."""
    scenario = _BY_NAME["kreid-convert --overwrite"]
    folder = bench.folder / "read before and after"
    folder.mkdir()
    scenario.before(bench, folder)
    found = []
    for line in (None, scenario.line(bench)):
        for asked in (line, _embed(bench)):
            if asked and (ended := run(asked, folder)).code:
                raise RuntimeError(ended.err)
        found.append(contents.arrays(folder / "embedded.npz"))
    return found


def _read_while_replaced(bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    """A reader sees the old records or the new ones."""
    scenario = _BY_NAME["kreid-convert --overwrite"]
    scenario.before(bench, folder)
    both = _both(scenario.line(bench), _embed(bench), folder, rng)
    for ended in both:
        if broken := fault_of(ended):
            return [broken]
    if both[0].code:
        return [Outcome(LOST, f"a reader kept the records from being replaced: {both[0].line}")]
    allowed = [*_read_before_and_after(bench), *([None] if both[1].code else [])]
    return [_compare(lambda: contents.arrays(folder / "embedded.npz"), allowed, bool(both[1].code))]
