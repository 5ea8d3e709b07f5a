"""How long OpenPose BODY_25 takes to read from a full-size file of every format, beside reading its plain bytes.

    python benchmarks/weights.py [--repeats 5] [--folder FOLDER]

The files (105 MB each) are written here from random weights; the disk's cache is warm. `peer` is what else reads the
format: NumPy its archives, PyTorch, where it is installed (`pip install torch==2.13.0`), its two containers. Wanted: a
.caffemodel read in less than 2 s, after which the exit status is 0, otherwise 1. Peak memory is what one `read` adds
(Linux only). The table is Markdown.
"""

import argparse
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

WANTED_SECONDS = 2.0
CAFFE_TYPES = {"weight": "Convolution", "bias": "Convolution", "slope": "PReLU"}


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def block(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def write_caffemodel(path, layers, legacy=False):
    """Write `{layer: {kind: array}}` as the current generation of layers, or as the old one."""
    with path.open("wb") as file:
        for name, arrays in layers.items():
            blobs = b""
            for array in arrays.values():
                if legacy:
                    dims = (1,) * (4 - array.ndim) + array.shape
                    shape = b"".join(varint((i + 1) << 3) + varint(dim) for i, dim in enumerate(dims))
                else:
                    shape = block(7, block(1, b"".join(map(varint, array.shape))))
                blobs += block(6 if legacy else 7, shape + block(5, array.astype("<f4").tobytes()))
            if legacy:
                file.write(block(2, block(4, name.encode()) + varint(5 << 3) + varint(4) + blobs))
            else:
                kind = CAFFE_TYPES[next(iter(arrays))].encode()
                file.write(block(100, block(1, name.encode()) + block(2, kind) + blobs))


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"".join(a.tobytes() for a in tensors.values()))


def write_files(folder):
    """Write one file of every format that needs no other framework; return their paths and the model."""
    from kreid.models.openpose import body_25

    model = body_25()
    layers = {}
    for layer in model.layers:
        values = layer.get_weights()
        if len(values) == 2:
            layers[layer.name] = {"weight": np.ascontiguousarray(values[0].transpose(3, 2, 0, 1)), "bias": values[1]}
        elif values:
            layers[layer.name] = {"slope": values[0].ravel()}
    tensors = {f"{layer}.{kind}": array for layer, arrays in layers.items() for kind, array in arrays.items()}
    names = ["new.caffemodel", "old.caffemodel", "x.npz", "x.safetensors", "x.weights.h5"]
    paths = [folder / name for name in names]
    write_caffemodel(paths[0], layers)
    write_caffemodel(paths[1], layers, legacy=True)
    np.savez(paths[2], **tensors)
    write_safetensors(paths[3], tensors)
    model.save_weights(paths[4])
    if importlib.util.find_spec("torch"):
        paths += write_checkpoints(folder, tensors)
    return paths, model


def write_checkpoints(folder, tensors):
    """Write PyTorch's two containers, which PyTorch itself must do."""
    import torch

    state = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    return [folder / "zip.pth", folder / "legacy.pth"]


def peer_reader(path):
    """Return what else reads a format into arrays, or None."""
    if path.suffix == ".npz":
        return lambda path: dict(np.load(path))
    if path.suffix == ".pth":
        import torch

        return lambda path: torch.load(path, weights_only=True)
    return None


def measure(path, repeats):
    """Time `read` in this process, which imports neither Keras nor TensorFlow; return seconds and peak memory in MB."""
    from kreid.weights import identify, read

    start = peak_memory()
    functions = {"read": read, "bytes": lambda path: np.fromfile(path, np.uint8), "identify": identify}
    rows = {name: [] for name in functions}
    for repeat in range(repeats):
        for name, function in functions.items():
            begin = time.perf_counter()
            result = function(path)
            rows.setdefault(name, []).append(time.perf_counter() - begin)
            del result
            if len(rows["bytes"]) == 0:
                added = peak_memory() - start
        if repeat == 0 and (peer := peer_reader(path)):  # later than the first, whose memory is measured
            functions["peer"] = peer
    return {**{name: (seconds[0], float(np.median(seconds))) for name, seconds in rows.items()}, "peak": added}


def peak_memory():
    """Return the largest memory of this process so far, in MB; `getrusage` would count the parent's too."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else ["VmHWM: nan kB"]
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files go (735 MB); by default a temporary folder")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.repeats)))
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        paths, model = write_files(Path(name))
        print("| file | MB | read, s | first read, s | its time / the bytes' | / the peer's | MD5, s | peak MB |")
        print("|---|---|---|---|---|---|---|---|")
        slowest = 0.0
        for path in paths:
            command = [sys.executable, __file__, "--measure", str(path), "--repeats", str(arguments.repeats)]
            row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            size = path.stat().st_size / 1e6
            first, read = row["read"]
            peer = f"{read / row['peer'][1]:.1f}" if "peer" in row else "–"
            cells = [f"{read:.3f}", f"{first:.3f}", f"{read / row['bytes'][1]:.1f}", peer, f"{row['identify'][1]:.3f}"]
            print(f"| `{path.name}` | {size:.1f} | {' | '.join(cells)} | {row['peak']:.0f} |", flush=True)
            if path.suffix == ".caffemodel":
                slowest = max(slowest, *row["read"])
        report_assign(paths[0], model)
    print(f"\na .caffemodel took at most {slowest:.3f} s, wanted less than {WANTED_SECONDS:g} s")
    return 0 if slowest < WANTED_SECONDS else 1


def report_assign(path, model):
    from kreid.weights import assign, read

    tensors = read(path)
    begin = time.perf_counter()
    report = assign(model, tensors)
    print(f"\nassign: {time.perf_counter() - begin:.3f} s for {len(report.loaded)} tensors")


if __name__ == "__main__":
    sys.exit(main())
