"""Tries, and how they are carried out: each with a folder and a seed of its own, by two processes at most."""

import json
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.torture.bench import Bench
from benchmarks.torture.outcomes import FAULTS, Outcome


@dataclass(frozen=True)
class Trial:
    """A try, or a batch of small ones.

    Args:
        row: the line of the table.
        work: gets the bench, what it draws from and an empty folder; gives an outcome for each try.
    """

    row: str
    work: Callable[[Bench, random.Random, Path], list[Outcome]]


def perform(bench: Bench, name: str, trials: Sequence[Trial], seed: int, workers: int, keep: bool) -> list[dict]:
    """Carry out the tries of a kind; gives row, what and note of every outcome."""
    started = time.monotonic()
    files = [bench.folder / f"{name}-{number}.jsonl" for number in range(workers)]
    children = []
    for number, file in enumerate(files):
        child = os.fork()
        if not child:
            _work(bench, name, list(enumerate(trials))[number::workers], seed, file, keep)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise RuntimeError(f"{name}: the script itself failed, see above")
    found = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    print(f"{name}: {len(found)} tries, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return sorted(found, key=lambda one: one["try"])


def _work(bench: Bench, name: str, trials: list[tuple[int, Trial]], seed: int, file: Path, keep: bool) -> None:
    code = 1
    try:
        with file.open("w", encoding="utf-8") as said:
            for number, trial in trials:
                folder = bench.folder / f"{name}-{number}"
                folder.mkdir()
                outcomes = trial.work(bench, random.Random(f"{seed} {name} {number}"), folder)
                for outcome in outcomes:
                    said.write(json.dumps({"row": trial.row, "try": number, **asdict(outcome)}) + "\n")
                    if outcome.what in FAULTS:
                        print(
                            f"{trial.row}, {folder.name}: {outcome.what}: {outcome.note}", file=sys.stderr, flush=True
                        )
                said.flush()
                if not keep:
                    shutil.rmtree(folder, ignore_errors=True)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
