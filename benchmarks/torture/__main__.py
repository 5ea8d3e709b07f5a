"""The command line of the torture; see the package's head."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from benchmarks.torture import bench as benches
from benchmarks.torture.kinds import KINDS, load
from benchmarks.torture.outcomes import FAULTS, Outcome, table
from benchmarks.torture.trials import perform


def main(arguments: list[str] | None = None) -> int:
    """Try what is asked for, print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description="Torture kreid's commands.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20, help="about how long; the numbers of tries go with it")
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind; may be repeated")
    parser.add_argument("--out", type=Path, help="write the table there, as Markdown")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    asked = parser.parse_args(arguments)
    load()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    started = time.monotonic()
    try:
        rows = _torture(folder, asked.only or list(KINDS), asked.seed, asked.minutes / 20, asked.keep)
    finally:
        shutil.rmtree(folder, ignore_errors=True) if not asked.keep else print(folder, file=sys.stderr)
    minutes = (time.monotonic() - started) / 60
    text = table(rows)
    print(text, end="")
    if asked.out:
        asked.out.write_text(f"Seed {asked.seed}, {minutes:.0f} minutes.\n\n{text}", encoding="utf-8")
    return int(any(outcome.what in FAULTS for outcomes in rows.values() for outcome in outcomes))


def _torture(folder: Path, kinds: list[str], seed: int, scale: float, keep: bool) -> dict[str, list[Outcome]]:
    made = benches.make(folder)
    rows: dict[str, list[Outcome]] = {}
    for name in kinds:
        plan, workers = KINDS[name]
        for found in perform(made, name, plan(made, random.Random(f"{seed} {name}"), scale), seed, workers, keep):
            rows.setdefault(found["row"], []).append(Outcome(found["what"], found["note"]))
    return rows


if __name__ == "__main__":
    sys.exit(main())
