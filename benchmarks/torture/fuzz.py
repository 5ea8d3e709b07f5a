"""Files and names that people or other programs write, changed at random: for tracebacks and hangs.

A changed file of weights of another program may be another file of weights, since most of these formats have no
checksum; so a result that comes without complaint is right here, but for embeddings, which are of length one.
"""

import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import yaml
from PIL import ExifTags, Image

from benchmarks.torture.batches import Small, batch, call, invoke, told
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import ROOT, run
from benchmarks.torture.mutations import ODD, garble, warp
from benchmarks.torture.outcomes import SILENT, Outcome, outcome_of
from benchmarks.torture.trials import Trial
from tfrecords_tools.arrays import read_arrays, write_arrays

Draw = Callable[[Bench, random.Random, Path], Outcome]
_GOLDEN = ROOT / "tests" / "golden"


def text(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Configurations, overrides, spaces, and the JSON files of folders."""
    rows = {
        "fuzzed: configurations": (_configuration, 800),
        "fuzzed: --set": (_override, 800),
        "fuzzed: spaces": (_space, 400),
        "fuzzed: info.json": (_info, 300),
        "fuzzed: metrics": (_metrics, 300),
    }
    trained = [Trial("fuzzed: --set, trained with", _trained)] * max(1, round(40 * scale))
    return [*_batches(rows, scale), *trained]


def names(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """File names of thumbnails, alone and in a tree; label lists."""
    rows = {
        "fuzzed: names": (thumbnail_name, 4000),
        "fuzzed: a tree's names": (_tree_name, 200),
        "fuzzed: label lists": (_label_list, 200),
    }
    return _batches(rows, scale)


def pictures(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Pictures of many formats under any name."""
    return _batches({"fuzzed: pictures": (_decoded, 1000)}, scale) + [
        Trial("fuzzed: pictures, embedded", _embedded) for _ in range(max(1, round(40 * scale)))
    ]


def weights(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Files of weights of every format that is read."""
    rows = {"fuzzed: weights, inspected": (_inspected, 1000), "fuzzed: weights, converted": (_converted, 80)}
    return _batches(rows, scale)


def rankings(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Rankings and what they are scored by."""
    return _batches({"fuzzed: rankings": (ranking, 800), "fuzzed: ground truths": (_truth, 400)}, scale)


def _batches(rows: dict[str, tuple[Draw, int]], scale: float) -> list[Trial]:
    return [
        Trial(row, partial(_batch, draw, max(1, round(times * scale / 2))))
        for row, (draw, times) in rows.items()
        for _ in range(2)
    ]


def _batch(draw: Draw, times: int, bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    def tries() -> Iterator[tuple[str, Small]]:
        for number in range(times):
            inner = folder / f"{number}"
            inner.mkdir()
            yield f"{inner}", partial(draw, bench, random.Random(rng.random()), inner)

    return batch(tries(), folder)


def _times(rng: random.Random) -> int:
    return rng.choice([1, 1, 1, 2, 5])


def _changed_json(path: Path, source: Path, rng: random.Random) -> Path:
    """A JSON file whose text or whose values are changed."""
    data = source.read_bytes()
    if rng.random() < 0.7:
        changed = warp(json.loads(data), rng, _times(rng))
        data = json.dumps(changed, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.4:
        data = garble(data, rng, _times(rng))
    path.write_bytes(data)
    return path


def _changed_yaml(path: Path, value: object, rng: random.Random) -> Path:
    data = yaml.safe_dump(value).encode()
    if rng.random() < 0.7:
        data = json.dumps(warp(value, rng, _times(rng))).encode()  # which is YAML too, and holds every value
    if rng.random() < 0.5:
        data = garble(data, rng, _times(rng))
    path.write_bytes(data)
    return path


def _train(config: Path, folder: Path, *options: str) -> Outcome:
    """Training as far as it goes without data, which are asked for once the configuration is checked."""
    return told(invoke("kreid-train", config, "--data", folder / "none", "--out", folder / "run", *options))


def _configuration(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    value = yaml.safe_load(bench.config.read_text(encoding="utf-8"))
    return _train(_changed_yaml(folder / "config.yaml", value, rng), folder)


def _override(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    options = [part for _ in range(_times(rng)) for part in ("--set", _setting(bench, rng))]
    return _train(bench.config, folder, *options)


def _keys(bench: Bench) -> list[str]:
    from kreid.config.dotted import flatten
    from kreid.config.loading import load_config

    return list(flatten(load_config(bench.config).model_dump(mode="json")))


def _setting(bench: Bench, rng: random.Random) -> str:
    value = rng.choice(ODD)
    said = value if isinstance(value, str) else json.dumps(value)
    key = rng.choice(_keys(bench))
    if rng.random() < 0.2:
        key = rng.choice([key.rpartition(".")[0], key + ".x", key.upper(), "", ".", key + ".", "model", "x.y"])
    text = f"{key}={said}" if rng.random() < 0.95 else rng.choice([key, f"{key}:{said}", "=", f"={said}"])
    return text.replace("\0", "").encode("utf-8", "replace").decode()  # what a command line can hold


_SIZES = [
    0,
    1,
    -1,
    2,
    3,
    5,
    16,
    100,
    0.5,
    1.0,
    1e-3,
    -0.5,
    1e6,
    None,
    True,
    False,
    "",
    [1],
    [],
    [2, 2],
    "conv1",
    "conv2",
]
_HUGE = [2**20, 2**31, 2**62, 1e30]  # sizes that no memory has


def _trained(bench: Bench, rng: random.Random, folder: Path) -> list[Outcome]:
    """Train some steps with keys at the ends of what is allowed."""
    keys = [key for key in _keys(bench) if key not in ("train.epochs", "train.steps_per_epoch", "model.image_size")]
    options = []
    for _ in range(rng.choice([1, 1, 2])):
        value = rng.choice(_HUGE if rng.random() < 0.15 else _SIZES)
        options += ["--set", f"{rng.choice(keys)}={value if isinstance(value, str) else json.dumps(value)}"]
    line = ["kreid-train", bench.config, "--data", bench.records, "--out", "run", "--quiet"]
    few = ["--set", "train.epochs=1", "--set", "train.steps_per_epoch=1"]
    ended = run([*line, *few, *options], folder)
    outcome = outcome_of(ended, right=True)
    return [Outcome(outcome.what, f"{' '.join(options)}: {outcome.note}")]


def _space(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    from kreid.tuning.space import read_space

    value = {
        "loss.margin": {"low": 0.1, "high": 0.5},
        "model.fc": {"choice": [[16], [8, 8]]},
        "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "data.views": {"low": 2, "high": 4, "step": 1},
    }
    path = _changed_yaml(folder / "space.yaml", value, rng)
    return call(lambda: read_space(path, bench.config, []))


def _info(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    from kreid.cli.sources import check_data, check_split
    from tfrecords_tools.index import read_index

    shutil.copytree(bench.small_records, folder / "records")
    _changed_json(folder / "records" / "info.json", bench.small_records / "info.json", rng)
    return call(
        lambda: (
            check_data(folder / "records", "valid"),
            check_split(folder / "records", "valid"),
            read_index(folder / "records" / "valid"),
        )
    )


def _metrics(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    path = _changed_json(folder / "metrics_test.json", bench.metrics, rng)
    return told(invoke("kreid-compare", bench.metrics, path, "--out", folder / "x.md"))


def thumbnail_name(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    """A name that is read says what it is made of."""
    from tfrecords_tools.naming import format_name, parse_name

    name = _changed_name("54404-1940-33397-5089-Player_team_right-9-014r002_00858c3b0003-775x449.png", rng)
    said: list[str] = []
    outcome = call(lambda: said.append(format_name(parse_name(name))))
    if said and said[0].lower().lstrip("0") != name.rpartition("/")[2].lower().lstrip("0") and "-0" not in name:
        return Outcome(SILENT, f"{name!r} was read as {said[0]!r}")
    return outcome


def _changed_name(name: str, rng: random.Random) -> str:
    changed = garble(name.encode(), rng, _times(rng)).replace(b"\0", b"").replace(b"/", b"")
    return changed[:250].decode(errors="surrogateescape") or "x"


def _copy_tree(bench: Bench, folder: Path) -> list[Path]:
    """A tree of one split."""
    shutil.copytree(bench.small_tree / "valid", folder / "tree" / "valid")
    return sorted((folder / "tree").rglob("*.png"))


def _tree_name(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    path = rng.choice(_copy_tree(bench, folder))
    path.rename(path.with_name(_changed_name(path.name, rng)))
    return told(invoke("kreid-convert", folder / "tree", folder / "out"))


def _label_list(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    _copy_tree(bench, folder)
    for path in (folder / "tree" / "valid").glob("*.json"):
        _changed_json(path, path, rng)
    return told(invoke("kreid-convert", folder / "tree", folder / "out"))


_FORMATS = (*["PNG", "JPEG"] * 6, "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA")
_ENDINGS = (".png", ".jpg", ".jpeg", ".PNG", ".webp", ".gif", ".txt", "")


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
    return data if rng.random() < 0.3 else garble(data, rng, _times(rng))


def _decoded(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    """What conversion takes, the network's decoder takes; nothing else."""
    from kreid.data.images import decode_and_resize
    from tfrecords_tools.decoding import Decoder
    from tfrecords_tools.images import load_images

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
    path.write_bytes(garble(source.read_bytes(), rng, _times(rng)))
    return path


def _inspected(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    return told(invoke("kreid-weights", "inspect", _changed_weights(folder, rng)))


def _converted(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    source = _GOLDEN / f"openpose_coco_div32_{rng.choice(['v1', 'v2', 'v2_legacyshape'])}.caffemodel"
    path = folder / "changed.caffemodel"
    path.write_bytes(garble(source.read_bytes(), rng, _times(rng)))
    line = ["kreid-weights", "convert", path, "--to", "openpose_coco", "--width-divisor", "32"]
    return told(invoke(*line, "--out", folder / "x.weights.h5"))


def ranking(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    path = _changed_json(folder / "ranking.json", bench.ranking, rng)
    return told(invoke("kreid-score", path, bench.records / "test", "--out", folder / "scores.json"))


def _truth(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    """Labels as SoccerNet has them, or as an archive."""
    lists = sorted(bench.tree.rglob("test/*.json"))
    if lists and rng.random() < 0.7:
        path = _changed_json(folder / "bbox_info.json", lists[0], rng)
    else:
        path = folder / "index.npz"
        path.write_bytes(garble((bench.records / "test" / "index.npz").read_bytes(), rng, _times(rng)))
    return told(invoke("kreid-score", bench.ranking, path, "--out", folder / "scores.json"))
