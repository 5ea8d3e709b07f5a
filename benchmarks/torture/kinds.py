"""Every kind of tries: what plans it, and how many processes carry it out at a time."""

import importlib
import logging
import random
from collections.abc import Callable

from benchmarks.torture import damage, fuzz, fuzz_files, interrupted, servers, together
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import SCRIPTS
from benchmarks.torture.trials import Trial

KINDS: dict[str, tuple[Callable[[Bench, random.Random, float], list[Trial]], int]] = {
    "text": (fuzz.text, 2),
    "pictures": (fuzz_files.pictures, 2),
    "names": (fuzz.names, 2),
    "weights": (fuzz_files.weights, 2),
    "rankings": (fuzz.rankings, 2),
    "servers": (servers.servers, 2),
    "damage": (damage.damage, 2),
    "full-disk": (interrupted.full_disk, 2),
    "signals": (interrupted.signals, 2),
    "random-kills": (interrupted.random_kills, 2),
    "kills": (interrupted.kills, 2),
    "together": (together.together, 1),
}

# What commands import late; imported once, before there is anything to fork.
LATE = (
    "kreid.embedding.extract", "kreid.evaluation.scoring", "kreid.look.viewer", "kreid.models.embedders",
    "kreid.pictures.batch", "kreid.report.write", "kreid.report.looks", "kreid.search.crops", "kreid.search.page",
    "kreid.serving.client", "kreid.serving.export", "kreid.training.run", "kreid.tuning.space", "kreid.weights",
    "tfrecords_tools.split_writer", "tfrecords_tools.console.progress", "h5py",
)  # fmt: skip


def load() -> None:
    """Import TensorFlow and all of kreid, and compute nothing."""
    from tfrecords_tools.console.tensorflow import quiet

    logging.getLogger("tfrecords_tools").addHandler(logging.NullHandler())  # of what is read here, between commands
    with quiet():
        for name in (*LATE, *(target.partition(":")[0] for target in SCRIPTS.values())):
            importlib.import_module(name)
