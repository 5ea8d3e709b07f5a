"""What tries begin from: a drawn set, its records, a run and its results, made once, by kreid's own commands."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.torture.children import Child, run
from kreid.config.loading import check, dump
from tfrecords_tools.sources.soccernet import find_root
from tfrecords_tools.synthetic.tree import draw

_ACTIONS = {"train": 6, "valid": 2, "test": 2, "challenge": 1}
# A state after every step: there is more to be killed at.
_TRAIN = {
    "epochs": 2,
    "steps_per_epoch": 3,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "checkpoint_minutes": 1e-6,
    "validate_actions": 1,
    "pictures": 0,
}


@dataclass(frozen=True)
class Bench:
    """Folders and files that tries copy; nobody writes into them once they are made.

    Args:
        folder: that holds them all, and the folders of tries.
    """

    folder: Path

    @property
    def tree(self) -> Path:
        """A drawn SoccerNet tree."""
        return self.folder / "tree"

    @property
    def small_tree(self) -> Path:
        """One of two splits, quick to convert."""
        return self.folder / "small"

    @property
    def records(self) -> Path:
        """The records of the tree."""
        return self.folder / "records"

    @property
    def config(self) -> Path:
        """A configuration that trains in two seconds."""
        return self.folder / "config.yaml"

    @property
    def run(self) -> Path:
        """A trained run."""
        return self.folder / "run"

    @property
    def images(self) -> Path:
        """A folder of a few images."""
        return self.folder / "images"

    @property
    def vectors(self) -> Path:
        """The embeddings of the test split."""
        return self.folder / "vectors.npz"

    @property
    def ranking(self) -> Path:
        """The ranking of the test split."""
        return self.run / "ranking_test.json"

    @property
    def small_records(self) -> Path:
        """The records of the small tree."""
        return self.folder / "small_records"

    @property
    def backbone(self) -> Path:
        """Weights for the run's backbone, which a configuration may name."""
        return self.folder / "backbone.weights.h5"

    @property
    def metrics(self) -> Path:
        """The figures of the run."""
        return self.run / "metrics_test.json"

    def must(self, *line: str | Path) -> None:
        """Run a command that nothing disturbs."""
        ended = run(line, self.folder)
        if ended.code:
            raise RuntimeError(f"{' '.join(map(str, line))}: {ended.code}\n{ended.out}\n{ended.err}")


def make(folder: Path) -> Bench:
    """Make the bench in an empty folder."""
    bench = Bench(folder)
    for work in (_draw, _build):
        ended = Child(partial(work, bench)).wait()
        if ended.code:
            raise RuntimeError(ended.err)
    bench.config.write_text(dump(check(_configuration())), encoding="utf-8")
    bench.must("kreid-convert", bench.tree, bench.records)
    bench.must("kreid-train", bench.config, "--data", bench.records, "--out", bench.run, "--quiet")
    bench.must("kreid-embed", bench.run, bench.records / "test", "--out", bench.vectors)
    bench.must("kreid-rank", bench.run, "--data", bench.records, "--no-look")
    bench.must("kreid-evaluate", bench.run, "--data", bench.records)
    bench.must("kreid-convert", bench.small_tree, bench.small_records)
    return bench


def _configuration() -> dict:
    appearance = {"backbone": "resnet50", "weights": None, "layer": "conv1", "width_divisor": 8}
    appearance["variant"] = "torchvision"
    model = {"embedder": "one_stream", "image_size": [32, 32], "appearance": appearance, "fc": [16]}
    return {"model": model, "data": {"persons": 4, "views": 4}, "train": _TRAIN}


def _build(bench: Bench) -> None:
    from kreid.models import build_backbone

    options = _configuration()["model"]["appearance"]
    backbone = build_backbone("resnet50", variant=options["variant"], width_divisor=options["width_divisor"])
    backbone.save_weights(bench.backbone)


def _draw(bench: Bench) -> None:
    draw(bench.tree, _ACTIONS, seed=5)
    for split in ("valid", "challenge"):
        shutil.copytree(find_root(bench.tree) / split, bench.small_tree / split)
    bench.images.mkdir()
    for path in sorted((find_root(bench.tree) / "test").rglob("*.png"))[:6]:
        shutil.copy(path, bench.images)
