"""What every configuration costs on this machine: building, one forward pass, one training step.

    python benchmarks/models.py [--configs configs/osnet.yaml ...] [--batch 8] [--steps 5] [--threads N]

TensorFlow in graph mode, on the GPU if there is one, random weights and random images; each configuration in a process
of its own. Times are the shortest of `--steps`, after a first step that traces. A training step is forward, the
configuration's losses, backward and its optimiser; its work is counted as three times the forward pass. The table is
Markdown. Wanted: every configuration built in less than 10 s; then the exit status is 0, otherwise 1.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

CONFIGS = Path(__file__).parents[1] / "configs"
WANTED_SECONDS = 10.0
RANDOM = "model.appearance.weights=null"  # nothing is downloaded, and no file has to be there


def draw_batch(batch, image_size):
    """Return images of `batch // 2` people, two of each, all of one action, and their labels."""
    images = np.random.default_rng(0).uniform(0, 255, (batch, *image_size, 3)).astype("float32")
    return images, np.stack([np.arange(batch) // 2, np.zeros(batch)], axis=1).astype("int32")


def forward_pass(model):
    """Return the model as a graph from images to embeddings."""
    import tensorflow as tf

    return tf.function(lambda images: model(images, training=False)["embedding"])


def training_step(model, config):
    """Return a step of the configuration's losses and optimiser as a graph, from images and labels to the loss."""
    import tensorflow as tf

    from kreid.losses.objective import build_losses
    from kreid.training.optimizers import build_optimizer

    losses, optimizer = build_losses(config.loss, model.output), build_optimizer(config.train)
    optimizer.build(model.trainable_variables)

    def step(images, labels):
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = sum(loss(labels, outputs[name]) for name, loss in losses.items())
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return tf.function(step)


def set_threads(count):
    """Let TensorFlow compute with so many threads; it takes every core by default."""
    import tensorflow as tf

    if count:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)


def fewest_seconds(function, *inputs, steps):
    """Return the shortest of `steps` calls after a first one: what else runs on the machine only adds to it."""
    seconds = []
    for _ in range(steps + 1):
        begin = time.perf_counter()
        function(*inputs).numpy()
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def measure(path, batch, steps, threads):
    """Return the row of one configuration."""
    import tensorflow as tf

    from kreid.config.loading import load_config
    from kreid.models.cost import cost
    from kreid.models.embedders import build_model

    set_threads(threads)
    config = load_config(path, [RANDOM])
    begin = time.perf_counter()
    model = build_model(config.model, pretrained=False)
    built = time.perf_counter() - begin
    images, labels = (tf.constant(array) for array in draw_batch(batch, config.model.image_size))
    return {
        "device": "GPU" if tf.config.list_physical_devices("GPU") else "CPU",
        "built": built,
        "gmacs": cost(model).gmacs,
        "forward": fewest_seconds(forward_pass(model), images, steps=steps),
        "training": fewest_seconds(training_step(model, config), images, labels, steps=steps),
    }


def table_row(name, row, batch):
    """Return a line of the table; a multiply-accumulate is two operations."""
    cells = [f"{row['built']:.1f}", f"{row['gmacs']:.2f}"]
    for key, passes in (("forward", 1), ("training", 3)):
        rate = batch / row[key]
        cells += [f"{rate:.3g}", f"{2 * passes * row['gmacs'] * rate:.0f}"]
    return f"| `{name}` | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=Path, nargs="+", default=sorted(CONFIGS.glob("*.yaml")))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow (every core)")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    options = {key: getattr(arguments, key) for key in ("batch", "steps", "threads")}
    if arguments.measure:
        print(json.dumps(measure(arguments.configs[0], **options)))
        return 0
    slowest = 0.0
    for number, path in enumerate(arguments.configs):
        flags = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        command = [sys.executable, __file__, "--measure", "--configs", str(path), *flags]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        if number == 0:
            print(f"On the {row['device']}, batches of {arguments.batch}:\n")
            print("| configuration | built in s | GMACs | forward images/s | GFLOP/s | training images/s | GFLOP/s |")
            print("|---|---|---|---|---|---|---|")
        print(table_row(path.stem, row, arguments.batch), flush=True)
        slowest = max(slowest, row["built"])
    print(f"\nbuilding took at most {slowest:.1f} s, wanted less than {WANTED_SECONDS:g} s")
    return 0 if slowest < WANTED_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
