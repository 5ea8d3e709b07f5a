"""OSNet at 256 x 128 pixels as it is run: kreid's exports, `model.predict`, PyTorch and its own ONNX export, in turns.

    python benchmarks/inference.py [--batches 1 8 32] [--rounds 7] [--cores 1 2]

Each way is a process of its own with the same weights, bound to the same cores; in every round each computes for about
`--seconds` while the others wait. Pixels are resized and, for the contract `tracker`, normalised beforehand. Images a
second are of the median call, p99 of all calls; a ratio is the median over the rounds of that round's images a second
to another way's: to PyTorch's, and of float16 and int8 to the same format's float32. `ready` is how long packages and
file take to load (Keras among the packages, which draws the images), `first` the first answer. The embeddings of all in
float32 must agree; of float16 and int8 the largest cosine distance is printed, what they cost in mAP is told by
`kreid-export --check`. PyTorch is no dependency of kreid: `pip install torch==2.13` (on Linux its plain wheel would
bring CUDA); without it these rows, and the ratios to it, are missing.

Wanted: the best of ours at least 3 times PyTorch's eager mode at each number of images; the SavedModel within 20 % of
onnxruntime.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

ROOT = Path(__file__).parents[1]
SIZE = (256, 128)
OURS = {"onnx": "onnxruntime", "openvino": "OpenVINO, f32", "litert": "LiteRT", "saved_model": "SavedModel, C API"}
OTHERS = {"predict": "model.predict", "torch": "PyTorch, eager", "torch_onnx": "PyTorch's ONNX, onnxruntime"}
PEER = "torch"
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite"}
SMALLER = {  # side: the same format in float32, and the precision
    f"{name}-{precision}": (name, precision)
    for precision, names in (("float16", ("onnx", "openvino", "litert")), ("int8", ("onnx", "litert")))
    for name in names
}
SIDES = {**OURS, **{side: f"{OURS[name].split(',')[0]}, {kind}" for side, (name, kind) in SMALLER.items()}, **OTHERS}


def draw(count):
    """Images of noise, RGB 0-255."""
    return np.random.default_rng(0).uniform(0, 255, (count, *SIZE, 3)).astype("float32")


def as_trackers_feed(images):
    """The same as the contract `tracker` takes them."""
    from kreid.serving.contracts import CONTRACTS

    return np.ascontiguousarray(CONTRACTS["tracker"].feed(images))


def prepare_torch(folder):
    """Leave PyTorch's weights and its own ONNX export."""
    import torch
    from torch_osnet import seeded

    model = seeded()
    torch.save(model.state_dict(), folder / "osnet.pth")
    names = {"input_names": ["images"], "output_names": ["embedding"]}
    axes = {"images": {0: "n"}, "embedding": {0: "n"}}
    path = folder / "torch_onnx.onnx"
    torch.onnx.export(model, torch.zeros(2, 3, *SIZE), path, dynamic_axes=axes, dynamo=False, **names)


def load_network(folder):
    """The network of configs/osnet.yaml, with PyTorch's weights if there are any."""
    from kreid.config.loading import load_config
    from kreid.models.embedders import build_model

    weights = folder / "osnet.pth"
    value = weights if weights.exists() else "null"
    return build_model(load_config(ROOT / "configs/osnet.yaml", [f"model.appearance.weights={value}"]).model)


def prepare_kreid(folder):
    """Leave every export of the same network."""
    import keras

    from kreid.serving.export import export
    from kreid.serving.export_file import export_file

    keras.utils.set_random_seed(1)
    model = load_network(folder)
    model.save_weights(folder / "osnet.weights.h5")
    export(model, folder / "serving")
    for side, (name, precision) in {**{name: (name, "float32") for name in SUFFIXES}, **SMALLER}.items():
        export_file(model, folder / f"{side}{SUFFIXES[name]}", name, contract="tracker", precision=precision)


def load(side, folder):
    """What a side takes instead of pixels, and the function to embeddings."""
    if side == "torch":
        import torch
        from torch_osnet import OSNet

        model = OSNet()
        model.load_state_dict(torch.load(folder / "osnet.pth"))
        model.eval()

        def run(images):
            with torch.inference_mode():
                return model(images).numpy()

        return lambda images: torch.from_numpy(as_trackers_feed(images)), run
    name, _ = SMALLER.get(side, (side, "float32"))
    if name in ("onnx", "torch_onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()  # of itself it would pin its threads to cores beyond this process's
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        session = onnxruntime.InferenceSession(folder / f"{side}.onnx", options, providers=["CPUExecutionProvider"])
        return as_trackers_feed, lambda images: session.run(["embedding"], {"images": images})[0]
    if side == "saved_model":
        sys.path.insert(0, str(ROOT / "tests/support"))
        from c_api import SavedModel

        model = SavedModel(folder / "serving" / "1")
        return (lambda images: images), lambda images: model.run("pixels", image=images)["embedding"]
    if side == "predict":
        model = load_network(folder)
        model.load_weights(folder / "osnet.weights.h5")
        return (lambda images: images), lambda images: model.predict(images, len(images), verbose=0)["embedding"]
    from kreid.serving.formats import FILES

    return as_trackers_feed, FILES[name].load().read(folder / f"{side}{SUFFIXES[name]}")


def serve(side, folder, cores):
    """Be one of the ways: for every line `images seconds` that comes in, print how long each call took."""
    os.sched_setaffinity(0, cores)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(len(cores))
    begin = time.perf_counter()
    feed, run = load(side, folder)
    ready = time.perf_counter() - begin
    inputs = feed(draw(1))
    begin = time.perf_counter()
    run(inputs)
    print(json.dumps({"ready": ready, "first": time.perf_counter() - begin}), flush=True)
    np.save(folder / f"{side}.npy", run(feed(draw(7))))
    warm = set()
    for line in sys.stdin:
        count, seconds = line.split()
        inputs = feed(draw(int(count)))
        if count not in warm:
            warm.add(count)
            run(inputs), run(inputs)
        taken, end = [], time.perf_counter() + float(seconds)
        while not taken or time.perf_counter() < end:
            begin = time.perf_counter()
            run(inputs)
            taken.append(time.perf_counter() - begin)
        print(json.dumps(taken), flush=True)


def compare(sides, folder, cores, batches, rounds, seconds):
    """Print the table of one number of cores; return {(batch, side): seconds of the median call, of each round}."""
    processes, starts = {}, {}
    try:
        for side in sides:
            command = [sys.executable, __file__, "--serve", side, "--folder", str(folder), "--cores", *map(str, cores)]
            processes[side] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            starts[side] = json.loads(processes[side].stdout.readline())
        calls = {(side, batch): [] for side in sides for batch in batches}
        for batch in batches:
            for _ in range(rounds):
                for side, process in processes.items():
                    print(batch, seconds, file=process.stdin, flush=True)
                    calls[side, batch].append(json.loads(process.stdout.readline()))
        distances = distances_of(sides, folder)
    finally:
        for process in processes.values():
            process.kill()
    print_table(sides, starts, calls, batches, len(cores))
    print("\nCosine distance from model.predict: " + ", ".join(f"{SIDES[s]} {distances[s]:.0e}" for s in SMALLER))
    return {key: np.array([np.median(turn) for turn in turns]) for key, turns in calls.items()}


def distances_of(sides, folder):
    """Return each way's largest cosine distance from `model.predict`; stop where one in float32 is off by 1e-5."""
    found = {side: np.load(folder / f"{side}.npy") for side in sides}
    distances = {side: float((1 - (vectors * found["predict"]).sum(1)).max()) for side, vectors in found.items()}
    for side in set(sides) - set(SMALLER):
        assert distances[side] < 1e-5, f"{side}: {distances[side]:.1e} from model.predict"
    return distances


def print_table(sides, starts, calls, batches, cores):
    heads = [f"{batch}: images/s (p50, p99 ms)" for batch in batches]
    print(f"\n{cores} core{'s' if cores > 1 else ''}:\n\n| | ready s | first s | {' | '.join(heads)} |")
    print("|---" * (3 + len(batches)) + "|")
    for side in sides:
        cells = []
        for batch in batches:
            taken = np.concatenate(calls[side, batch])
            low, high = 1e3 * np.percentile(taken, [50, 99])
            cells.append(f"{batch / np.median(taken):.0f} ({low:.0f}, {high:.0f})")
        start = starts[side]
        print(f"| {SIDES[side]} | {start['ready']:.1f} | {start['first']:.2f} | {' | '.join(cells)} |", flush=True)


def print_ratios(seconds, sides, batches, cores):
    """Print ways' images a second over others', and whether what is wanted is reached."""

    def over(side, other, batch):
        return float(np.median(seconds[other, batch] / seconds[side, batch]))

    def print_all(title, pairs):
        print(f"\nImages a second over {title}, {cores} core{'s' if cores > 1 else ''}:\n")
        print(f"| | {' | '.join(map(str, batches))} |\n" + "|---" * (1 + len(batches)) + "|")
        for side, other in pairs.items():
            print(f"| {SIDES[side]} | {' | '.join(f'{over(side, other, batch):.2f}' for batch in batches)} |")

    print_all("the same format's float32", {side: name for side, (name, _) in SMALLER.items()})
    beside = min(over("saved_model", "onnx", batch) for batch in batches)
    print(f"\nSavedModel over onnxruntime, wanted 0.8 at each: {beside:.2f}")
    if PEER in sides:
        print_all("PyTorch's eager mode", dict.fromkeys((side for side in sides if side != PEER), PEER))
        best = [min(max(over(side, PEER, batch) for side in ours) for batch in batches) for ours in (OURS, SMALLER)]
        print(f"\nbest of ours, wanted 3.0 at each: {best[0]:.2f} in float32, {best[1]:.2f} in float16 or int8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn")
    parser.add_argument("--cores", nargs="+", type=int, default=[1, 2], help="how many, one table each")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--prepare", choices=["torch", "kreid"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve, asked.folder, asked.cores)
    if asked.prepare:
        return {"torch": prepare_torch, "kreid": prepare_kreid}[asked.prepare](asked.folder)
    there = importlib.util.find_spec("torch") is not None
    sides = [side for side in SIDES if there or not side.startswith("torch")]
    with tempfile.TemporaryDirectory() as folder:
        for what in ["torch", "kreid"] if there else ["kreid"]:
            command = [sys.executable, __file__, "--prepare", what, "--folder", folder]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for count in asked.cores:
            cores = sorted(os.sched_getaffinity(0))[:count]
            medians = compare(sides, Path(folder), cores, asked.batches, asked.rounds, asked.seconds)
            print_ratios(medians, sides, asked.batches, len(cores))
    return None


if __name__ == "__main__":
    main()
