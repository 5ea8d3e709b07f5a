"""How far the figures of `make demo` move: python benchmarks/demo.py [--seeds 1 2 3] [--nudges 2] [--set KEY=VALUE].

Draws and converts the demonstration's set once, in OUT, and trains configs/demo.yaml on it from several seeds; then
from the first seed again with every first weight changed by a random part of one in 10^6. That stands for a machine
whose processor rounds otherwise: there, too, a seed's figures are others after some hundred steps. Prints mAP and
rank-1 of every run on valid and on test, in percent, and their means with standard deviations. `--set` tries another
recipe: choose by valid. A run that is there already is scored, not trained again.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from kreid.config.loading import load_config
from kreid.embedding.extract import embed
from kreid.models.embedders import build_model
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from kreid.runs.folder import load_model
from kreid.training import step
from kreid.training.run import train

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"
NUDGE = 1e-6
SPLITS = ("valid", "test")


def nudged(number: int):
    """Make a `build_model` whose weights are off by the rounding of another machine, the same for the same number."""

    def build(*arguments: object) -> keras.Model:
        model, random = build_model(*arguments), np.random.default_rng(number)
        for variable in model.trainable_variables:
            value = variable.numpy()
            variable.assign(value * (1 + NUDGE * random.standard_normal(value.shape)).astype(value.dtype))
        return model

    return build


def scores(run: Path, records: Path) -> list[float]:
    """Return mAP and rank-1 of each split, in percent."""
    model = load_model(run)
    found = [evaluate(rank(embed(model, records / split))) for split in SPLITS]
    return [100 * score for metrics in found for score in (metrics["mAP"], metrics["rank1"])]


def rows(records: Path, out: Path, seeds: list[int], nudges: int, overrides: list[str]) -> Iterator[tuple]:
    """Yield the seed, the nudge (0 for none) and the scores of each run."""
    for seed, number in [*((seed, 0) for seed in seeds), *((seeds[0], number) for number in range(1, nudges + 1))]:
        run = out / f"seed{seed}-nudge{number}"
        if not (run / "summary.json").is_file():
            step.build_model = nudged(number) if number else build_model
            train(load_config(CONFIG, [*overrides, f"train.seed={seed}"]), records, run, quiet=True)
        yield seed, number, scores(run, records)


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of data and runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--nudges", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    asked = parser.parse_args()
    records = asked.out / "records"
    if not (records / "info.json").is_file():
        convert = str(Path(sys.executable).with_name("kreid-convert"))
        line = [convert, asked.out / "soccernet", records, "--synthetic", "--actions", "90"]  # as `make demo`
        subprocess.run(line, check=True)
    print("| seed | nudge | valid mAP / rank-1 | test mAP / rank-1 |\n|---|---|---|---|")
    found = []
    for seed, number, of_run in rows(records, asked.out, asked.seeds, asked.nudges, asked.overrides):
        found.append((number, of_run))
        valid, first, test, second = of_run
        print(f"| {seed} | {number or ''} | {valid:.1f} / {first:.1f} | {test:.1f} / {second:.1f} |", flush=True)
    nudged_runs = [of_run for number, of_run in found if number] and [
        of_run for place, (number, of_run) in enumerate(found) if number or place == 0
    ]
    for name, some in (("seeds", [of_run for number, of_run in found if not number]), ("nudges", nudged_runs)):
        if len(some) > 1:
            means, spread = np.mean(some, axis=0), np.std(some, axis=0, ddof=1)
            cells = [f"{mean:.1f} ± {apart:.1f}" for mean, apart in zip(means, spread, strict=True)]
            print(f"| {len(some)} {name} | | {cells[0]} / {cells[1]} | {cells[2]} / {cells[3]} |")


if __name__ == "__main__":
    main()
