"""One training step beside PyTorch's: the same network, weights and images, two processes that take turns.

    python benchmarks/torch_steps.py [--networks resnet50 two_stream] [--batch 8] [--rounds 9] [--threads N]

PyTorch is no dependency of kreid; this needs `pip install torch==2.13.0` (on Linux its plain wheel would bring CUDA).
kreid runs configs/<network>.yaml with torchvision's form of ResNet50 in TensorFlow's graph mode, PyTorch runs
benchmarks/torch_peer.py eagerly, in both memory layouts. A step is forward, the batch-hard triplet loss, backward and
Adam. kreid loads the peer's weights, and the embeddings of both must agree. In every round each process makes one step
while the others wait; a ratio is the median over the rounds. Wanted for resnet50 beside PyTorch as it comes: 1.4; then
the exit status is 0, otherwise 1.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from models import CONFIGS, draw_batch, set_threads, training_step

WANTED_RATIO = 1.4
SIDES = {"kreid": "kreid", "torch": "PyTorch", "torch-channels-last": "PyTorch, channels last"}
WEIGHTS, IMAGE_SIZE = "weights.pth", (256, 128)


def make_peer(side, name, images, labels, threads, folder):
    """Build the peer; return its embeddings and its step. The one as it comes leaves its weights for kreid."""
    import torch
    from torch_peer import Peer

    peer = Peer(name, images, labels, threads, channels_last=side.endswith("last"))
    if side == "torch":
        torch.save(peer.model.state_dict(), folder / WEIGHTS)
    return peer.embeddings(), peer.step


def make_kreid(name, images, labels, threads, folder):
    """Build the configuration's model with the peer's weights; return its embeddings and its step."""
    import tensorflow as tf

    from kreid import weights
    from kreid.config.loading import load_config
    from kreid.models.embedders import build_model

    set_threads(threads)
    keys = {"appearance.weights": "null", "appearance.variant": "torchvision"}
    config = load_config(CONFIGS / f"{name}.yaml", [f"model.{key}={value}" for key, value in keys.items()])
    model = build_model(config.model, pretrained=False)
    tensors = weights.read(folder / WEIGHTS)
    for stream in ("appearance", "part"):
        if any(name.startswith(stream) for name in tensors):
            weights.assign(model.get_layer(stream), tensors, prefix=f"{stream}.")
    if "fc.0.weight" in tensors:
        weights.assign(model, tensors, names=lambda layer: layer if layer.startswith("fc.") else None)
    else:
        model.get_layer("fusion").set_weights([tensors[hashes] for hashes in ("h1", "s1", "h2", "s2")])
    step, inputs = training_step(model, config), [tf.constant(images), tf.constant(labels)]
    return model(images, training=False)["embedding"].numpy(), lambda: step(*inputs).numpy()


def serve(side, name, batch, threads, folder):
    """Be one of the processes: leave the embeddings, warm up, then make a step for every line that comes in."""
    images, labels = draw_batch(batch, IMAGE_SIZE)
    if side == "kreid":
        embeddings, step = make_kreid(name, images, labels, threads, folder)
    else:
        embeddings, step = make_peer(side, name, images, labels, threads, folder)
    np.save(folder / f"{side}.npy", embeddings)
    step(), step()
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        step()
        print(time.perf_counter() - begin, flush=True)


def ask(process):
    """Let a process make its step; return the seconds."""
    print("step", file=process.stdin, flush=True)
    return float(process.stdout.readline())


def compare(name, batch, rounds, threads, folder):
    """Return {side: seconds of every round}, having checked that the embeddings agree."""
    processes = {}
    try:
        for side in ("torch", "torch-channels-last", "kreid"):
            command = [sys.executable, __file__, "--serve", side, "--networks", name, "--folder", str(folder)]
            command += ["--batch", str(batch), "--threads", str(threads)]
            processes[side] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if processes[side].stdout.readline() != "ready\n":
                raise SystemExit(f"{name}: {SIDES[side]} could not be set up")
        ours, theirs = (np.load(folder / f"{side}.npy") for side in ("kreid", "torch"))
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max(), "the embeddings differ"
        turns = [{side: ask(processes[side]) for side in SIDES} for _ in range(rounds)]
    finally:
        for process in processes.values():
            process.kill()
    return {side: np.array([turn[side] for turn in turns]) for side in SIDES}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["resnet50", "two_stream"], choices=["resnet50", "two_stream"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0, help="of each process (every core)")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        parser.error("PyTorch is not there: pip install torch==2.13.0")
    if arguments.serve:
        serve(arguments.serve, arguments.networks[0], arguments.batch, arguments.threads, arguments.folder)
        return 0
    print(f"Batches of {arguments.batch}:\n\n| network | by | s a step | its time / kreid's |\n|---|---|---|---|")
    reached = True
    for name in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            seconds = compare(name, arguments.batch, arguments.rounds, arguments.threads, Path(folder))
        for side, label in SIDES.items():
            ratio = float(np.median(seconds[side] / seconds["kreid"]))
            print(f"| `{name}` | {label} | {np.median(seconds[side]):.2f} | {ratio:.2f} |", flush=True)
            if (name, side) == ("resnet50", "torch"):
                reached = ratio >= WANTED_RATIO
    if "resnet50" in arguments.networks:
        verdict = "reached" if reached else "missed"
        print(f"\nwanted for resnet50: {WANTED_RATIO:g} times as fast as PyTorch: {verdict}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
