"""What it is worth that commands keep the memory they free: the same training steps by glibc's own ways and by ours.

    python benchmarks/freed_memory.py [--steps 12] [--rounds 3]

Steps of random images on the CPU, a process each, in turns; after three steps to begin with. In the table: milliseconds
a step, in the median of the rounds, pages that the system had to clear for it, in MB, and the process's peak of
resident memory. Linux with glibc. See `tfrecords_tools.console.memory`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

ROWS = (
    ("demo", []),
    ("resnet50", ["model.image_size=[128,64]"]),
    ("osnet", ["model.image_size=[128,64]"]),
    ("clip_vit_b16", ["model.image_size=[128,64]"]),
)
WARM_UP = 3


def main() -> None:
    """Print one row a configuration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row is not None:
        print(json.dumps(measure(*ROWS[asked.row], asked.steps)))
        return
    print("| configuration | ms a step: glibc's, ours | glibc's / ours | MB cleared a step | peak, MB |")
    print("|---|---|---|---|---|")
    for number, (name, changes) in enumerate(ROWS):
        line = [sys.executable, __file__, "--steps", str(asked.steps), "--row", str(number)]
        plain, kept = [], []
        for _ in range(asked.rounds):
            for figures, own in ((plain, {"MALLOC_PERTURB_": "0"}), (kept, {})):  # the first keeps ours away
                said = subprocess.run(line, env=os.environ | own, check=True, capture_output=True, text=True).stdout
                figures.append(json.loads(said.splitlines()[-1]))
        (a, cleared_a, peak_a), (b, cleared_b, peak_b) = (
            [statistics.median(column) for column in zip(*figures, strict=True)] for figures in (plain, kept)
        )
        ratios = [one[0] / other[0] for one, other in zip(plain, kept, strict=True)]
        cells = [f"`{name}` {' '.join(changes)}".strip(), f"{a:.0f}, {b:.0f}", f"{min(ratios):.2f}-{max(ratios):.2f}"]
        cells += [f"{cleared_a:.0f}, {cleared_b:.0f}", f"{peak_a:.0f}, {peak_b:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def measure(name: str, changes: list[str], steps: int) -> tuple[float, float, float]:
    """Milliseconds and MB of cleared pages a step, and the peak of resident memory in MB."""
    from tfrecords_tools.console.tensorflow import load_tensorflow

    load_tensorflow()
    import numpy as np
    import tensorflow as tf

    from kreid.config.loading import load_config
    from kreid.training.step import Step

    config = load_config(f"configs/{name}.yaml", ["model.appearance.weights=null", *changes])
    step = Step(config, tf.distribute.get_strategy())
    step.start_epoch(0)
    batch = config.data.persons * config.data.views
    images = tf.random.uniform((batch, *config.model.image_size, 3), 0, 255)
    labels = tf.constant(np.stack([np.arange(batch) // config.data.views, np.zeros(batch)], axis=1), tf.int32)
    for _ in range(WARM_UP):
        step(images, labels)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
    for _ in range(steps):
        step(images, labels)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cleared = (after.ru_minflt - before) * resource.getpagesize() / steps / 1e6
    return 1e3 * seconds / steps, cleared, after.ru_maxrss / 1024


if __name__ == "__main__":
    main()
