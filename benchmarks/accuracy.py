"""What sampler, mining and losses give on photographs, at equal images seen: python benchmarks/accuracy.py RECORDS.

    kreid-convert PHOTOGRAPHS records
    python benchmarks/accuracy.py records [--out runs/accuracy] [--recipes osnet,peer] [--images 23040] [--seeds 1,2]

PHOTOGRAPHS is any tree in SoccerNet's layout. Every recipe trains from random weights on batches of 32 images, 128 x
64 pixels, with flips; the last epoch's weights are scored. A run that is there already is scored, not trained again,
so the command can be stopped and repeated. Differences and their p values are against the first recipe of the same
seed, on the test split; intervals draw whole actions.

`peer` is what the development kit of SoccerNet ran, in our parts: 8 people x 4 views out of the whole set, batch-hard
triplets of all people and smoothed cross entropy, half each, Adam 3e-4 at a constant rate (weight decay decoupled).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

from kreid.config.loading import load_config
from kreid.config.sections import Config

CONFIGS = Path(__file__).parents[1] / "configs"
BATCH = 32
SIZE = ("model.image_size=[128,64]", "data.fraction=1.0", "data.persons=8", "data.views=4")
RATE = ("train.learning_rate=1e-3", "train.schedule=cosine", "train.warmup_epochs=0.5")
PEER = (
    "train.learning_rate=3e-4",
    "train.schedule=constant",
    "train.optimizer=adamw",
    "train.weight_decay=5e-4",
    "data.sampler=persons",
    "loss.same_action=false",
    "loss.triplet_weight=0.5",
    "loss.identity_weight=0.5",
    "loss.label_smoothing=0.1",
)
ALL = "loss.mining=all"
STRONG = (*RATE, ALL, "train.learning_rate=3e-3", "loss.info_nce_weight=1.0", "loss.temperature=0.05")
ROOT = (*STRONG, "model.bilinear.signed_sqrt=true")
ADAM = ("train.optimizer=adam", "train.learning_rate=3e-3")
MUON = ("train.optimizer=muon", "train.learning_rate=4e-3", "train.weight_decay=0.5")
LIGHT = ("data.brightness=0.2", "data.contrast=0.2")

# name: (configuration, overrides)
RECIPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "osnet": ("osnet", (*RATE, ALL)),
    "osnet_hard": ("osnet", RATE),
    "osnet_persons": ("osnet", (*RATE, ALL, "data.sampler=persons")),
    "osnet_erase": ("osnet", (*RATE, ALL, "data.erase=0.5", "data.crop_padding=8")),
    "peer": ("osnet", PEER),
    "two_stream": ("demo", (*RATE, ALL, "loss.info_nce_weight=0")),
    "osnet_strong": ("osnet_strong", STRONG),
    "two_stream_strong": ("demo", STRONG),
    "stripes": ("resnet50_stripes", ADAM),
    "stripes_muon": ("resnet50_stripes", ()),
}
# What one ingredient is worth beside the recipe that it changes: --recipes two_stream_root,root_bnneck
INGREDIENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "two_stream_root": ("demo", ROOT),
    "strong_muon": ("demo", (*STRONG, *MUON)),
    "strong_stripes": ("demo", (*STRONG, "model.stripes=4")),
    "strong_all_parts": ("demo", (*STRONG, "model.part.features=concat")),
    "strong_heads": (
        "demo",
        (*STRONG, "model.heads.layers=[conv2]", "model.heads.hidden=[128]", "model.heads.dim=128"),
    ),
    "strong_light": ("demo", (*STRONG, *LIGHT)),
    "strong_wide": ("demo", (*STRONG, "model.appearance.width_divisor=1")),
    "root_light": ("demo", (*ROOT, *LIGHT)),
    "root_sharper": ("demo", (*ROOT, "loss.temperature=0.03")),
    "root_two_views": ("demo", (*ROOT, "data.persons=16", "data.views=2")),
    "root_full": ("demo", (*ROOT, "model.bilinear.mode=full")),
    "root_bnneck": (
        "demo",
        (*ROOT, "model.neck=true", "loss.identity_weight=0.5", "loss.label_smoothing=0.1"),
    ),
    "stripes_faster": ("resnet50_stripes", (*ADAM, "train.learning_rate=6e-3")),
    "stripes_muon_faster": ("resnet50_stripes", ("train.learning_rate=3e-2",)),
    "stripes_muon_ema": ("resnet50_stripes", ("train.ema=0.98",)),
    "stripes_muon_circle": ("resnet50_stripes", ("loss.circle_weight=1.0", "loss.triplet_weight=0")),
    "stripes_muon_moved": ("resnet50_stripes", (*LIGHT, "data.crop_padding=4")),
    "stripes_wide": ("resnet50_stripes", (*ADAM, "model.appearance.width_divisor=1")),
    "stripes_deep": ("resnet50_stripes", (*ADAM, "model.appearance.layer=conv4")),
}
ALL_RECIPES = RECIPES | INGREDIENTS


def run_folder(out: Path, recipe: str, seed: int, images: int) -> Path:
    """Where a recipe's run lies."""
    return out / f"{recipe}-{images}-seed{seed}"


def train(records: Path, run: Path, recipe: str, seed: int, images: int) -> None:
    """Train a recipe on so many images, by the command that a user has; what an interrupted run has is kept."""
    if (run / "summary.json").is_file():
        return
    config, overrides = ALL_RECIPES[recipe]
    config, overrides = CONFIGS / f"{config}.yaml", [*SIZE, *overrides, "train.validate_every=0", f"train.seed={seed}"]
    epochs = epochs_of(records, load_config(config, overrides), images // BATCH)
    overrides += [f"train.epochs={epochs}", f"train.steps_per_epoch={images // BATCH // epochs}"]
    command = [str(Path(sys.executable).with_name("kreid-train")), str(config), "--data", str(records)]
    command += ["--out", str(run), *chain.from_iterable(("--set", override) for override in overrides)]
    subprocess.run([*command, *(["--resume"] if (run / "config.yaml").is_file() else [])], check=True)


def epochs_of(records: Path, config: Config, steps: int) -> int:
    """The fewest epochs of equal length, none longer than the records give, that `steps` steps can be divided into."""
    from kreid.data.training_set import TrainingSet

    most = len(list(TrainingSet(records, config.data, config.train.seed).sampler.epoch(0)))
    return next(epochs for epochs in count(1) if steps % epochs == 0 and steps // epochs <= most)


def rows(records: Path, out: Path, recipes: list[str], seeds: list[int], images: int) -> Iterator[str]:
    """Table rows, a run each."""
    from kreid.embedding.extract import embed
    from kreid.ranking.ordering import rank
    from kreid.ranking.statistics import compare, intervals
    from kreid.runs.folder import load_model

    for seed in seeds:
        first = None
        for recipe in recipes:
            run = run_folder(out, recipe, seed, images)
            seen = json.loads((run / "summary.json").read_text())["images_seen"]
            assert seen == images, f"{run}: {seen:,} images seen, wanted {images:,}"
            model = load_model(run)
            test, valid = (rank(embed(model, records / split)) for split in ("test", "valid"))
            scores = {name: intervals(ranking) for name, ranking in (("test", test), ("valid", valid))}
            cells = [recipe, str(seed), f"{model.count_params() / 1e6:.2f}"]
            for score in scores.values():
                mean, low, high = (100 * value for value in score["mAP"])
                cells.append(f"{mean:.1f} ({low:.1f}-{high:.1f}) / {100 * score['rank1'].mean:.1f}")
            if first is None:
                first = test
                cells.append("")
            else:
                change = compare(first, test)["mAP"]
                p = "p < 0.001" if change.p_value < 0.001 else f"p = {change.p_value:.3f}"
                cells.append(f"{100 * change.difference:+.1f} ({p})")
            yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="what kreid-convert wrote")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"), help="folder of runs")
    parser.add_argument("--recipes", default=",".join(RECIPES), help=f"of {', '.join(ALL_RECIPES)}")
    parser.add_argument("--images", type=int, default=23_040, help="images seen by each run, a multiple of 32")
    parser.add_argument("--seeds", default="1")
    options = parser.parse_args()
    recipes, seeds = options.recipes.split(","), [int(seed) for seed in options.seeds.split(",")]
    unknown = sorted(set(recipes) - set(ALL_RECIPES))
    if unknown:
        parser.error(f"--recipes: {unknown[0]} is not one of {', '.join(ALL_RECIPES)}")
    if options.images < BATCH or options.images % BATCH:
        parser.error(f"--images: expected a multiple of {BATCH}, the images of a batch, received {options.images}")
    for seed in seeds:
        for recipe in recipes:
            train(options.records, run_folder(options.out, recipe, seed, options.images), recipe, seed, options.images)
    print("| recipe | seed | M parameters | test mAP / rank-1 | valid mAP / rank-1 | test mAP, against the first |")
    print("|---|---|---|---|---|---|")
    for row in rows(options.records, options.out, recipes, seeds, options.images):
        print(row, flush=True)


if __name__ == "__main__":
    main()
