"""Text and names that people or other programs write, changed at random: for tracebacks and hangs.

Text has no checksum, so a result that comes without complaint is right here.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import yaml

from benchmarks.torture.batches import Small, batch, call, invoke, told
from benchmarks.torture.bench import Bench
from benchmarks.torture.children import run
from benchmarks.torture.mutations import ODD, garble, warp
from benchmarks.torture.outcomes import SILENT, Outcome, outcome_of
from benchmarks.torture.trials import Trial
from kreid.cli.sources import check_data, check_split
from kreid.config.dotted import flatten
from kreid.config.loading import load_config
from kreid.tuning.space import read_space
from tfrecords_tools.index import read_index
from tfrecords_tools.naming import format_name, parse_name

Draw = Callable[[Bench, random.Random, Path], Outcome]


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
    return [*batches(rows, scale), *trained]


def names(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """File names of thumbnails, alone and in a tree; label lists."""
    rows = {
        "fuzzed: names": (thumbnail_name, 4000),
        "fuzzed: a tree's names": (_tree_name, 200),
        "fuzzed: label lists": (_label_list, 200),
    }
    return batches(rows, scale)


def rankings(bench: Bench, rng: random.Random, scale: float) -> list[Trial]:
    """Rankings and what they are scored by."""
    return batches({"fuzzed: rankings": (ranking, 800), "fuzzed: ground truths": (_truth, 400)}, scale)


def batches(rows: dict[str, tuple[Draw, int]], scale: float) -> list[Trial]:
    """Tries of each row, in a batch for either process."""
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


def draw_times(rng: random.Random) -> int:
    """How many changes a file has, mostly one: more are noticed too soon."""
    return rng.choice([1, 1, 1, 2, 5])


def _changed_json(path: Path, source: Path, rng: random.Random) -> Path:
    """A JSON file whose text or whose values are changed."""
    data = source.read_bytes()
    if rng.random() < 0.7:
        changed = warp(json.loads(data), rng, draw_times(rng))
        data = json.dumps(changed, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if rng.random() < 0.4:
        data = garble(data, rng, draw_times(rng))
    path.write_bytes(data)
    return path


def _changed_yaml(path: Path, value: object, rng: random.Random) -> Path:
    data = yaml.safe_dump(value).encode()
    if rng.random() < 0.7:
        data = json.dumps(warp(value, rng, draw_times(rng))).encode()  # which is YAML too, and holds every value
    if rng.random() < 0.5:
        data = garble(data, rng, draw_times(rng))
    path.write_bytes(data)
    return path


def _train(config: Path, folder: Path, *options: str) -> Outcome:
    """Training as far as it goes without data, which are asked for once the configuration is checked."""
    return told(invoke("kreid-train", config, "--data", folder / "none", "--out", folder / "run", *options))


def _configuration(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    value = yaml.safe_load(bench.config.read_text(encoding="utf-8"))
    return _train(_changed_yaml(folder / "config.yaml", value, rng), folder)


def _override(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
    options = [part for _ in range(draw_times(rng)) for part in ("--set", _setting(bench, rng))]
    return _train(bench.config, folder, *options)


def _keys(bench: Bench) -> list[str]:
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
    value = {
        "loss.margin": {"low": 0.1, "high": 0.5},
        "model.fc": {"choice": [[16], [8, 8]]},
        "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "data.views": {"low": 2, "high": 4, "step": 1},
    }
    path = _changed_yaml(folder / "space.yaml", value, rng)
    return call(lambda: read_space(path, bench.config, []))


def _info(bench: Bench, rng: random.Random, folder: Path) -> Outcome:
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
    name = _changed_name("54404-1940-33397-5089-Player_team_right-9-014r002_00858c3b0003-775x449.png", rng)
    said: list[str] = []
    outcome = call(lambda: said.append(format_name(parse_name(name))))
    if said and said[0].lower().lstrip("0") != name.rpartition("/")[2].lower().lstrip("0") and "-0" not in name:
        return Outcome(SILENT, f"{name!r} was read as {said[0]!r}")
    return outcome


def _changed_name(name: str, rng: random.Random) -> str:
    changed = garble(name.encode(), rng, draw_times(rng)).replace(b"\0", b"").replace(b"/", b"")
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
        path.write_bytes(garble((bench.records / "test" / "index.npz").read_bytes(), rng, draw_times(rng)))
    return told(invoke("kreid-score", bench.ranking, path, "--out", folder / "scores.json"))
