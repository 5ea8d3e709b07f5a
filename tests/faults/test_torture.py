"""The torture of `make torture`: a handful of its tries, so that it does not rot, and faults that it must find."""

import json
import random
import shutil

import numpy as np
import pytest
from paths import ROOT
from PIL import Image
from tiny_tree import LISTS, write_tree

from benchmarks.torture import __main__ as command
from benchmarks.torture import fuzz, interrupted, kinds, servers
from benchmarks.torture.bench import Bench
from benchmarks.torture.outcomes import LOST, NOTICED, RIGHT, SILENT, TRACEBACK, Outcome
from benchmarks.torture.scenarios import SCENARIOS
from benchmarks.torture.trials import Trial
from kreid.files import atomic
from kreid.ranking import files as ranking_files
from kreid.serving import client

# The commands that are tried here load no TensorFlow, and so does nobody in the forks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
SCORE = next(scenario for scenario in SCENARIOS if scenario.name == "kreid-score")


@pytest.fixture
def bench(tmp_path):
    """As much of the torture's folder as the commands here read."""
    bench = Bench(tmp_path)
    write_tree(bench.records, {"test": LISTS["test"]})
    for folder in (bench.run, bench.images):
        folder.mkdir()
    (bench.run / "config.yaml").touch()
    bench.ranking.write_text(json.dumps({"0": [1, 0]}))
    for number in range(4):
        Image.new("RGB", (4, 8), (number, 0, 0)).save(bench.images / f"{number}.png")  # equal ones are asked for once
    return bench


def tried(work, bench, times=20):
    """What became of so many tries."""
    found = []
    for number in range(times):
        folder = bench.folder / "try"
        folder.mkdir()
        outcomes = work(bench, random.Random(number), folder)
        found += [outcomes] if isinstance(outcomes, Outcome) else outcomes
        shutil.rmtree(folder)
    return [outcome.what for outcome in found]


def killed(bench):
    """What became of kills before each of the steps, one after the other."""
    for step in range(len(interrupted.know(bench, SCORE).steps)):
        yield from tried(lambda *how, step=step: interrupted.kill(SCORE, step, *how), bench, times=1)


def careless(path):
    """A file that is written in place."""
    return path.open("wb")


def test_kills(bench, monkeypatch):
    found = list(killed(bench))
    assert set(found) == {RIGHT}
    assert len(found) > 5
    interrupted.know.cache_clear()
    monkeypatch.setattr(atomic, "atomic_file", careless)
    assert LOST in killed(bench)


def test_full_disks(bench, monkeypatch):
    def fill(*how):
        return interrupted.fill(SCORE, *how)

    assert set(tried(fill, bench, times=4)) == {NOTICED, RIGHT}
    monkeypatch.setattr(atomic, "atomic_file", careless)
    assert LOST in tried(fill, bench, times=4)


def test_servers(bench, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert set(tried(servers.ask, bench)) == {NOTICED, RIGHT}
    monkeypatch.setattr(client, "checked_vectors", lambda vectors, count, width: np.ones((count, 8), np.float32))
    assert SILENT in tried(servers.ask, bench)


def test_fuzzed_files(bench, monkeypatch):
    assert set(tried(fuzz.thumbnail_name, bench)) == {NOTICED, RIGHT}
    assert set(tried(fuzz.ranking, bench)) == {NOTICED, RIGHT}
    monkeypatch.setattr(ranking_files, "score", lambda *paths: {}["mAP"])
    assert tried(fuzz.ranking, bench, times=1) == [TRACEBACK]


def test_what_is_imported_before_the_first_fork_is_there():
    ours = [ROOT / name.replace(".", "/") for name in kinds.LATE if "." in name]
    assert [path for path in ours if not (path.is_dir() or path.with_suffix(".py").is_file())] == []


@pytest.mark.parametrize("what, code", [(NOTICED, 0), (LOST, 1)])
def test_the_table_and_the_exit_code(bench, tmp_path, monkeypatch, capfd, what, code):
    trials = [Trial("row", lambda *how: [Outcome(RIGHT), Outcome(what, "why")])] * 3
    monkeypatch.setitem(command.KINDS, "damage", (lambda bench, rng, scale: trials, 2))
    monkeypatch.setattr(command, "load", lambda: None)
    monkeypatch.setattr(command.benches, "make", lambda folder: Bench(folder))
    assert command.main(["--only", "damage", "--out", str(tmp_path / "table.md")]) == code
    said = capfd.readouterr()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.out.splitlines()]
    lost = str(3 * code)
    assert rows[0] == ["kind", "tries", "noticed", "silent", "tracebacks", "lost", "hangs"]
    assert rows[2:] == [[name, "6", str(3 - 3 * code), "0", "0", lost, "0"] for name in ("row", "all")]
    assert ("row, damage-0: lost: why" in said.err) == bool(code)
    assert said.out.strip() in (tmp_path / "table.md").read_text()
