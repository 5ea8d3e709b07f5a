"""Training step and embedding on a GPU, kreid on JAX beside the same networks in PyTorch, in turns.

    python benchmarks/gpu.py [--networks osnet ...] [--batches 64 256 32 128] [--minutes 8] [--peak TFLOPS]

Needs `pip install 'kreid[jax]' 'jax[cuda13]'` and PyTorch for CUDA, which is no dependency of kreid; without PyTorch
its rows, and the ratios to it, are missing. Ours are the configurations on JAX, whatever `KERAS_BACKEND` says; their
peers are those of torch_peer.py, torch_osnet.py and torch_vit.py under `torch.compile`, channels last. All have random
weights, compute in bfloat16 at 256 x 128 (`clip_vit_l14` at 252 x 126) and find their images on the card. A pair must
have as many parameters, to 0.1 %, and as many multiply-accumulates, to 1 %.

Each network, batch and side is a process of its own, so that peak memory is its own: what its framework had of the card
at most, with JAX what trying out kernels took too. Those of one batch compile beside each other, `--together` networks
at a time; then in every round each side of a network computes for about `--seconds` while all others wait. Images a
second are of the median round, a ratio is the median over the rounds. MFU counts two operations a multiply-accumulate,
and a training step as three times the forward pass, over what the card's data sheet promises for dense bfloat16.

No batch is begun that the `--minutes` would not suffice for, going by those before it; what is ready when they end is
printed. Wanted: at least 1.2 times PyTorch's images a second everywhere. It runs without a card too, which says nothing
of speed:

    python benchmarks/gpu.py --networks osnet --batches 4 --size 64 32 --rounds 1 --eager
"""

import argparse
import contextlib
import importlib.util
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from gpu_sides import NETWORKS, SIDES

WANTED_RATIO = 1.2
LABELS = {"kreid": "kreid, JAX", "torch": "PyTorch"}
PEAKS = {  # TFLOP/s of dense bfloat16 by the data sheets
    "B200": 2250,
    "H200": 989,
    "H100 PCIe": 756,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
}


def serve(asked):
    """Be one side of one network at one batch: compile, then compute for every line `seconds` that comes in."""
    replies, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no reply

    def reply(**values):
        print(json.dumps(values), file=replies, flush=True)

    try:
        begin, batch, times = time.perf_counter(), asked.batches[0], 0
        options = {"eager": asked.eager} if asked.serve == "torch" else {}
        side = SIDES[asked.serve](asked.networks[0], asked.mode == "training", batch, asked.size, **options)
        names = ("device", "parameters", "gmacs")
        reply(ready=time.perf_counter() - begin, **{name: getattr(side, name) for name in names})
        for line in sys.stdin:
            if not times:
                side.run(3)
                begin = time.perf_counter()
                side.run(2)
                times = max(1, round(2 * float(line) / (time.perf_counter() - begin)))
            begin = time.perf_counter()
            side.run(times)
            reply(seconds=(time.perf_counter() - begin) / times, peak=side.peak())
    except Exception as error:  # an exhausted card says so in many ways
        reply(failed=f"{type(error).__name__}: {error}".splitlines()[0][:200])


def start(side, network, mode, batch, asked):
    """Start a process; the sides share the card, so JAX must not take it whole."""
    command = [sys.executable, __file__, "--serve", side, "--mode", mode, "--networks", network]
    command += ["--batches", str(batch), "--size", *map(str, asked.size), *["--eager"] * asked.eager]
    threads = max(1, os.cpu_count() // (2 * asked.together))
    own = {
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": asked.folder,  # what draws first weights is the same at every batch
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TORCHINDUCTOR_COMPILE_THREADS": str(threads),
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, env={**os.environ, **own})


def answer(process, end):
    """The next reply of a process, or why there is none."""
    if not select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
        return {"failed": "time was up"}
    return json.loads(process.stdout.readline() or '{"failed": "the process ended"}')


def ask(process, seconds, end):
    """Let a process compute for about so many seconds; return its reply."""
    with contextlib.suppress(BrokenPipeError):  # of a process that the machine has ended
        print(seconds, file=process.stdin, flush=True)
    return answer(process, end)


def stop(process):
    """Let a process end by itself, with those it has started, or at last without its doing."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def measure(networks, mode, batch, sides, asked, end):
    """Return {(network, side): what is known of it}: `seconds` of each round and `peak`, or why it `failed`."""
    found, processes = {}, {}
    try:
        for network in networks:
            for side in sides:
                processes[network, side] = start(side, network, mode, batch, asked)
        for key, process in processes.items():
            found[key] = answer(process, end)
        for network in networks:
            check_alike([found[network, side] for side in sides])
            take_turns({side: (processes[network, side], found[network, side]) for side in sides}, asked, end)
            for side in sides:
                stop(processes[network, side])  # its memory is free for the next
    finally:
        for process in processes.values():
            process.kill()
    return found


def take_turns(sides, asked, end):
    """Let each side that is ready compute once a round; its seconds go to what is known of it."""
    for _, known in sides.values():
        known["seconds"] = []
    for _ in range(asked.rounds):
        for process, known in sides.values():
            if "failed" not in known:
                reply = ask(process, asked.seconds, end)
                known["seconds"] += [reply.pop("seconds")] if "seconds" in reply else []
                known |= reply


def check_alike(found):
    """Let both sides fail that do not compute the same, or not on the same card."""
    if len(found) < 2 or any("failed" in known for known in found):
        return
    ours, theirs = found
    for what, slack in (("parameters", 1e-3), ("gmacs", 1e-2)):
        if abs(ours[what] - theirs[what]) > slack * theirs[what]:
            ours["failed"] = theirs["failed"] = f"not alike: {ours[what]:.6g} and {theirs[what]:.6g} {what}"
    if "cpu" in (ours["device"], theirs["device"]) and ours["device"] != theirs["device"]:
        ours["failed"] = theirs["failed"] = f"not on one card: {ours['device']} and {theirs['device']}"


def promised_rate(device, asked):
    """10^12 operations a second that the card promises; None where nothing tells."""
    words = set(re.split(r"[\s-]+", device))
    return asked.peak or next((rate for name, rate in PEAKS.items() if words.issuperset(name.split())), None)


def ratio_of(found, network):
    """Images a second of kreid over PyTorch's, the median over the rounds; None where either is missing."""
    ours, theirs = (found.get((network, side), {}).get("seconds", []) for side in SIDES)
    return float(np.median([b / a for a, b in zip(ours, theirs, strict=False)])) if ours and theirs else None


def print_table(found, networks, sides, mode, batch, asked):
    """Print the rows of one batch, and why any is missing."""
    print(f"\n{mode.capitalize()}, batches of {batch}:\n")
    print("| network | by | images/s | MFU | peak GB | ready s | kreid / PyTorch |\n|---|---|---|---|---|---|---|")
    for network in networks:
        ratio = ratio_of(found, network)
        for side in sides:
            known = found[network, side]
            if not known["seconds"]:
                print(f"| `{network}` | {LABELS[side]} | {known['failed']} | | | | |")
                continue
            rate, promised = batch / np.median(known["seconds"]), promised_rate(known["device"], asked)
            operations = 2 * (3 if mode == "training" else 1) * known["gmacs"] * rate / 1e3
            share = f"{100 * operations / promised:.1f} %" if promised else ""
            peak = f"{known['peak'] / 1e9:.1f}" if known["peak"] else ""
            last = f"{ratio:.2f}" if side == "kreid" and ratio else ""
            print(f"| `{network}` | {LABELS[side]} | {rate:.4g} | {share} | {peak} | {known['ready']:.0f} | {last} |")
    sys.stdout.flush()


def print_ratios(columns, networks, device):
    """Print every ratio, and whether what is wanted is reached."""
    ratios = {network: [ratio_of(found, network) for found in columns.values()] for network in networks}
    there = [value for values in ratios.values() for value in values if value]
    if not there:
        return
    print("\nImages a second over PyTorch's:\n")
    print(f"| | {' | '.join(f'{mode}, {batch}' for mode, batch in columns)} |\n" + "|---" * (1 + len(columns)) + "|")
    for network, values in ratios.items():
        print(f"| `{network}` | {' | '.join(f'{value:.2f}' if value else '' for value in values)} |")
    if device != "cpu":
        print(f"\nleast of {len(there)}, wanted {WANTED_RATIO:g} at each: {min(there):.2f}")


def compare(asked, sides):
    """Print the table of one batch after the other, as far as the minutes suffice, then all ratios."""
    begin, longest, columns, left = time.monotonic(), 0.0, {}, []
    for mode, batch in [(mode, batch) for batch in asked.batches for mode in asked.modes]:
        now, end = time.monotonic(), begin + 60 * asked.minutes
        if now + longest > end:
            left.append(f"{mode}, {batch}")
            continue
        found = {}
        for first in range(0, len(asked.networks), asked.together):
            some = asked.networks[first : first + asked.together]
            found |= measure(some, mode, batch, sides, asked, end)
        if not columns:
            device = next((known["device"] for known in found.values() if "device" in known), "cpu")
            print(f"On {device}, {asked.size[0]} x {asked.size[1]} pixels:")
        columns[mode, batch] = found
        print_table(found, asked.networks, sides, mode, batch, asked)
        longest = max(longest, time.monotonic() - now)
    print_ratios(columns, asked.networks, device)
    if left:
        print(f"\nnot begun, {asked.minutes:g} minutes were too few: {'; '.join(left)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256, 32, 128], help="in this order")
    parser.add_argument("--modes", nargs="+", choices=["training", "embedding"], default=["training", "embedding"])
    parser.add_argument("--size", nargs=2, type=int, default=[256, 128], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument(
        "--together", type=int, default=max(1, os.cpu_count() // 3), help="networks that compile at once"
    )
    parser.add_argument("--peak", type=float, help="TFLOP/s of the card in dense bfloat16, where it is not known")
    parser.add_argument("--eager", action="store_true", help="PyTorch without its compiler")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked)
    if importlib.util.find_spec("jax") is None:
        parser.error("JAX is not there: pip install 'kreid[jax]' 'jax[cuda13]'")
    with tempfile.TemporaryDirectory() as asked.folder:
        compare(asked, [side for side in SIDES if side == "kreid" or importlib.util.find_spec(side)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
