"""What `kreid-batch --cost` says of a training step's memory, beside what a process takes for it.

    python benchmarks/memory.py [--batch 8]

Each configuration takes two training steps of random images in a process of its own; its peak of resident memory, less
what it had before the network was built, stands beside the estimate. On a CPU, where TensorFlow's allocator keeps pages
and runs branches at once, the peak is an upper bound of what a GPU would need.
"""

import argparse
import json
import os
import resource
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

ROWS = (
    ("osnet", []),
    ("resnet50", []),
    ("clip_vit_b16", []),
    ("clip_vit_b16", ["train.remat=true"]),
)


def main() -> None:
    """Print one row a configuration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row is not None:
        print(json.dumps(measure(*ROWS[asked.row], asked.batch)))
        return
    print(f"| configuration, {asked.batch} images | estimate, MB | peak, MB | peak / estimate |\n|---|---|---|---|")
    for number, (name, changes) in enumerate(ROWS):
        command = [sys.executable, __file__, "--batch", str(asked.batch), "--row", str(number)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        estimate, peak = json.loads(said.splitlines()[-1])
        print(f"| `{name}` {' '.join(changes)} | {estimate:.0f} | {peak:.0f} | {peak / estimate:.2f} |", flush=True)


def measure(name: str, changes: list[str], batch: int) -> tuple[float, float]:
    """Estimate and peak of a step, in MB."""
    import numpy as np
    import tensorflow as tf

    from kreid.config.loading import load_config
    from kreid.models.memory import training_memory
    from kreid.training.step import Step

    overrides = ["model.appearance.weights=null", "data.views=4", f"data.persons={batch // 4}", *changes]
    config = load_config(f"configs/{name}.yaml", overrides)
    before = _peak()
    step = Step(config, tf.distribute.get_strategy())
    step.start_epoch(0)
    images = tf.random.uniform((batch, *config.model.image_size, 3), 0, 255)
    labels = tf.constant(np.stack([np.arange(batch) // 4, np.zeros(batch)], axis=1), tf.int32)
    for _ in range(2):
        step(images, labels)
    return training_memory(step.model, config.train, batch).total / 1e6, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kilobytes on Linux


if __name__ == "__main__":
    main()
