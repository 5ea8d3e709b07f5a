"""Pictures and files of weights, of every format, changed at random: for tracebacks and hangs.

A changed file of weights of another program may be another file of weights, since most of these formats have no
checksum; so a result that comes without complaint is right here, but for embeddings, which are of length one.
"""

import io
import json
import random
from pathlib import Path

import h5py
import numpy as np
from PIL import ExifTags, Image

from benchmarks.torture.batches import call, invoke, told
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import ROOT, run
from benchmarks.torture.fuzz import batches, draw_times
from benchmarks.torture.mutations import garble
from benchmarks.torture.outcomes import SILENT, Outcome, outcome_of
from benchmarks.torture.trials import Trial
from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.images import load_images

_GOLDEN = ROOT / "tests" / "golden"
_FORMATS = (*["PNG", "JPEG"] * 6, "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA")
_ENDINGS = (".png", ".jpg", ".jpeg", ".PNG", ".webp", ".gif", ".txt", "")


def pictures(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Pictures of many formats under any name."""
    return batches({"fuzzed: pictures": (_decoded, 1000)}, scale) + [
        Trial("fuzzed: pictures, embedded", _embedded) for _ in range(max(1, round(40 * scale)))
    ]


def weights(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Files of weights of every format that is read."""
    rows = {"fuzzed: weights, inspected": (_inspected, 1000), "fuzzed: weights, converted": (_converted, 80)}
    trained = [Trial("fuzzed: weights, trained from", _trained_from)] * max(1, round(20 * scale))
    return [*batches(rows, scale), *trained]


def _picture(rng: random.Random) -> bytes:
    """A small picture of any kind, changed or not."""
    size = rng.choice([(16, 24), (1, 1), (3, 200), (64, 64)])
    pixels = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (size[1], size[0], 4), np.uint8)
    mode = rng.choice(["RGB", "L", "1", "P", "RGBA", "LA", "I;16", "CMYK", "F"])
    image = Image.fromarray(pixels).convert("RGB").convert(mode if mode not in ("I;16", "F") else "L")
    image = image.convert(mode) if mode in ("I;16", "F") else image
    buffer = io.BytesIO()
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = rng.randint(0, 9)
    options = rng.choice([{}, {"progressive": True}, {"quality": 5}, {"optimize": True}, {"exif": turned}])
    try:
        image.save(buffer, rng.choice(_FORMATS), **options)
    except (OSError, ValueError):
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG")
    data = buffer.getvalue()
    return data if rng.random() < 0.3 else garble(data, rng, draw_times(rng))


def _decoded(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    """What conversion takes, the network's decoder takes; nothing else."""
    from kreid.data.images import decode_and_resize  # only now: both import TensorFlow
    from tfrecords_tools.decoding import Decoder

    path = folder / f"x{rng.choice(_ENDINGS)}"
    path.write_bytes(_picture(rng))
    taken: list[bytes] = []

    def load() -> None:
        for image in load_images([path], check=Decoder().check):
            if isinstance(image, Exception):
                raise image
            taken.append(image.data)

    outcome = call(load)
    if taken:
        try:
            decode_and_resize(taken[0], (32, 32))
        except Exception as error:
            return Outcome(SILENT, f"{path}: converted, but not decoded: {error}")
    return outcome


def _embedded(bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    """Vectors of a folder of pictures: one for each, of length one."""
    (folder / "images").mkdir()
    count = rng.choice([1, 1, 3])
    for number in range(count):
        (folder / "images" / f"{number}{rng.choice(_ENDINGS[:3])}").write_bytes(_picture(rng))
    ended = run(["kreid-embed", bench.run, "images", "--out", "x.npz"], folder)
    right = False
    if not ended.code:
        vectors = read_arrays(folder / "x.npz")["vectors"]
        right = len(vectors) == count and bool(np.all(np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3))
    return [outcome_of(ended, right)]


def _weight_file(folder: Path, rng: random.Random) -> Path:
    """A file of weights in one of the formats, whole."""
    arrays = {"conv.weight": np.ones((4, 3, 3, 3), np.float32), "fc.bias": np.arange(5, dtype=np.float32)}
    kind = rng.choice(["golden", "golden", "golden", ".npz", ".safetensors", ".h5", ".weights.h5"])
    if kind == "golden":
        small = [path for ending in ("*.pth", "*.caffemodel", "*.npz") for path in _GOLDEN.glob(ending)]
        return rng.choice([path for path in sorted(small) if path.stat().st_size < 200_000])
    path = folder / f"whole{kind}"
    if kind == ".npz":
        write_arrays(path, arrays)
    elif kind == ".safetensors":
        path.write_bytes(_safetensors(arrays))
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[f"layers/{name.replace('.', '/vars/')}"] = array
    return path


def _safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of a .safetensors file: the length of a header of JSON, the header, the arrays."""
    header, data = {}, b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), end]}
        data += array.tobytes()
    said = json.dumps(header).encode()
    return len(said).to_bytes(8, "little") + said + data


def _changed_weights(folder: Path, rng: random.Random) -> Path:
    source = _weight_file(folder, rng)
    ending = source.name[source.name.index(".") :]
    path = folder / f"changed{ending if rng.random() < 0.9 else rng.choice(['.pth', '.npz', '.h5', '.caffemodel'])}"
    path.write_bytes(garble(source.read_bytes(), rng, draw_times(rng)))
    return path


def _inspected(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    return told(invoke("kreid-weights", "inspect", _changed_weights(folder, rng)))


def _converted(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    source = _GOLDEN / f"openpose_coco_div32_{rng.choice(['v1', 'v2', 'v2_legacyshape'])}.caffemodel"
    path = folder / "changed.caffemodel"
    path.write_bytes(garble(source.read_bytes(), rng, draw_times(rng)))
    line = ["kreid-weights", "convert", path, "--to", "openpose_coco", "--width-divisor", "32"]
    return told(invoke(*line, "--out", folder / "x.weights.h5"))


def _trained_from(bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    """A file that a configuration names, mostly of the network's own weights."""
    path = _changed_weights(folder, rng) if rng.random() < 0.3 else folder / "changed.weights.h5"
    if not path.exists():
        path.write_bytes(garble(bench.backbone.read_bytes(), rng, draw_times(rng)))
    few = ["--set", "train.epochs=1", "--set", "train.steps_per_epoch=1", "--set", f"model.appearance.weights={path}"]
    ended = run(["kreid-train", bench.config, "--data", bench.records, "--out", "run", "--quiet", *few], folder)
    return [outcome_of(ended, right=True)]
