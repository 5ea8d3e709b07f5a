"""Commands that do not come to their end: kills before steps and at random, signals to stop, disks that are full."""

import json
import random
import signal
import tempfile
from functools import cache, partial
from pathlib import Path

from benchmarks.torture import contents, steps
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import Child, run, script
from benchmarks.torture.outcomes import LOST, NOTICED, RIGHT, SILENT, TRACEBACK, Damaged, Outcome, fault_of, worst
from benchmarks.torture.scenarios import SCENARIOS, Known, Scenario, follow, leftovers
from benchmarks.torture.trials import Trial
from kreid import runs
from kreid.runs import checkpoints

_SOON = 0.5  # seconds; a command that takes less has ended before a signal is sent
_CODES = {signal.SIGTERM: (143, "error: terminated"), signal.SIGINT: (130, "error: interrupted")}


@cache
def know(bench: Bench, scenario: Scenario) -> Known:
    """Run a scenario undisturbed."""
    folder = Path(tempfile.mkdtemp(prefix="known-", dir=bench.folder))
    scenario.before(bench, folder)
    old, before = scenario.content(folder), _files(folder)
    ended = run(scenario.line(bench), folder, steps.counted(bench.folder / "steps.json"))
    if ended.code:
        raise RuntimeError(f"{scenario.name}: {ended.err}")
    done = json.loads((bench.folder / "steps.json").read_text())
    largest = max(size for path, (size, time) in _files(folder).items() if before.get(path) != (size, time))
    return Known(old, scenario.content(folder), ended.seconds, done, largest)


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file."""
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


def know_all(bench: Bench) -> None:
    """Run all scenarios undisturbed, before there are several processes."""
    for scenario in SCENARIOS:
        know(bench, scenario)


def kills(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Before every step that is no write, and before some writes."""
    trials = []
    for scenario in SCENARIOS:
        known = know(bench, scenario)
        moves = [number for number, step in enumerate(known.steps) if step != steps.WRITE]
        writes = [number for number, step in enumerate(known.steps) if step == steps.WRITE]
        most = max(1, round(12 * scale))
        chosen = sorted(_some(rng, moves, most) + _some(rng, writes, most // 4))
        trials += [Trial(f"killed before a step: {scenario.name}", partial(kill, scenario, step)) for step in chosen]
    return trials


def random_kills(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """At any moment."""
    know_all(bench)
    return [
        Trial(f"killed at random: {scenario.name}", partial(kill, scenario, None))
        for scenario in SCENARIOS
        for _ in range(max(1, round(3 * scale)))
    ]


def signals(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """SIGTERM and SIGINT at any moment."""
    know_all(bench)
    return [
        Trial(f"{number.name}: {scenario.name}", partial(send, scenario, number))
        for number in _CODES
        for scenario in SCENARIOS
        if know(bench, scenario).seconds > _SOON
        for _ in range(max(1, round(2 * scale)))
    ]


def full_disk(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """A limit on the size of files, below the largest one that a command writes, and a little above."""
    know_all(bench)
    return [
        Trial(f"full disk: {scenario.name}", partial(fill, scenario))
        for scenario in SCENARIOS
        for _ in range(max(1, round(5 * scale)))
    ]


def _some(rng: random.Random, numbers: list[int], most: int) -> list[int]:
    return rng.sample(numbers, most) if len(numbers) > most else numbers


def kill(scenario: Scenario, step: int | None, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    known = know(bench, scenario)
    scenario.before(bench, folder)
    job = script(scenario.line(bench), folder)
    if step is None:
        ended = Child(job).wait(send=signal.SIGKILL, after=rng.uniform(0, known.seconds))
    else:
        ended = Child(steps.killed_before(step)(job)).wait()
    if broken := fault_of(ended, sent=signal.SIGKILL):
        return [broken]
    found = follow(scenario, known, bench, folder)
    return [Outcome(found.what, f"before step {step}, {known.steps[step]}: {found.note}" if step else found.note)]


def send(scenario: Scenario, number: int, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    known = know(bench, scenario)
    scenario.before(bench, folder)
    moment = rng.uniform(0.1, max(0.2, known.seconds))  # before, the command has not begun to listen
    ended = Child(script(scenario.line(bench), folder)).wait(send=number, after=moment)
    if broken := fault_of(ended):
        return [broken]
    outcomes = [follow_signal(scenario, number, ended.code, ended.err, folder)] if ended.code else []
    return [worst([*outcomes, follow(scenario, known, bench, folder), Outcome(NOTICED if ended.code else RIGHT)])]


def follow_signal(scenario: Scenario, number: int, code: int, err: str, folder: Path) -> Outcome:
    """Whether a command that was asked to stop has said so in its last line, and left nothing half-written."""
    expected, line = _CODES[signal.Signals(number)]
    lines = err.strip().splitlines()
    if code != expected or lines[-1] != line or err.count("error: ") > 1:
        return Outcome(TRACEBACK, f"ended with {code} and {lines[-2:]}, expected {expected} and {line!r}")
    if left := leftovers(scenario, folder):
        return Outcome(LOST, f"left half-written: {left}")
    resumable = checkpoints.newest(folder / "run" / runs.CHECKPOINTS)
    if scenario.name == "kreid-train" and resumable and "--resume" not in err:
        return Outcome(SILENT, f"no word of --resume: {lines}")
    return Outcome(NOTICED)


def fill(scenario: Scenario, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    known = know(bench, scenario)
    scenario.before(bench, folder)
    size = rng.choice([rng.randint(0, 4096), rng.randint(0, known.largest), rng.randint(0, round(1.1 * known.largest))])
    ended = run(scenario.line(bench), folder, steps.largest_file(size))
    if broken := fault_of(ended):
        return [broken]
    try:
        found = scenario.content(folder)
    except Damaged as error:
        return [Outcome(LOST, f"at once, with {size} bytes: {error}")]
    if not ended.code and found != known.new:
        return [Outcome(SILENT, f"with {size} bytes: {contents.differences(found, known.new)}")]
    if ended.code and not scenario.passing and found not in (known.old, known.new):
        return [Outcome(LOST, f"with {size} bytes: {contents.differences(found, known.old)}")]
    if ended.code and (left := leftovers(scenario, folder)):
        return [Outcome(LOST, f"left half-written: {left}")]
    outcome = Outcome(NOTICED, ended.line) if ended.code else Outcome(RIGHT)
    return [worst([outcome, follow(scenario, known, bench, folder)])]
