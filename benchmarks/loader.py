"""What a training batch costs before the network sees it, beside Pillow and NumPy; python benchmarks/loader.py.

    python benchmarks/loader.py [TREE] [--rounds 5] [--no-step] [--no-memory]

TREE is a folder of thumbnails for kreid-convert; without it a synthetic set is drawn. It is converted twice, with the
files' own bytes and uncompressed. Three parts, each in a process of its own:

- per core: records to batches at 256 x 128, bound to one core, loaders taking turns over the same batches; the time is
  the processor's (all threads), the best of the rounds. The peer does the same work with Pillow and NumPy: the same
  records, decoded, resized, flipped, erased and stacked to float32. Wanted: 3 times as many images. What decoding
  alone costs is told beside it: no loader built on TensorFlow's decoder can be faster; and what our loader would do if
  it did not hold records against their checksums. Then the same over records that
  `kreid-convert --image-format uncompressed` wrote.
- beside the network: the loader on all cores, and training steps of ResNet50 that it feeds. Wanted: the loader is never
  waited for.
- memory: 10 epochs over a set as large and mixed as the real one (248,234 images, 9,189 actions), whose records are
  small pictures told again and again. Wanted: as much memory after the last epoch as after the first.
"""

import argparse
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

SIZE = (256, 128)
STEPS = 8  # of training
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
VIEWS = ([1, 2, 3, 4, 6], [0.548, 0.335, 0.081, 0.026, 0.010])  # images of a person and their shares in the real set
ALL = {"hue": 0.05, "saturation": 0.3, "contrast": 0.3, "brightness": 0.2, "crop_padding": 10, "erase": 0.5}


def make_tree(folder: Path) -> Path:
    """Draw a small synthetic training set."""
    from tfrecords_tools import synthetic

    synthetic.draw(folder, {"train": 40})
    return folder


def make_records(tree: Path, folder: Path, **options) -> Path:
    """Convert its training images."""
    from tfrecords_tools import writer

    writer.convert(tree, folder, ["train"], **options)
    return folder


def training_set(records: Path, **data):
    """The training images, and two epochs of batches."""
    from kreid.config.sections import Data
    from kreid.data.training_set import TrainingSet

    drawn = TrainingSet(records, Data(**data), seed=1)
    return drawn, [batch for epoch in range(2) for batch in drawn.sampler.epoch(epoch)]


def with_kreid(records: Path, **data) -> Iterator[np.ndarray]:
    """Our loader."""
    from kreid.data.training_set import training_batches

    drawn, plan = training_set(records, **data)
    yield from (images for images, _ in training_batches(drawn, SIZE, plan))


def without_checksums(records: Path, **data) -> Iterator[np.ndarray]:
    """Our loader, were records believed as they come."""
    from unittest import mock

    from tfrecords_tools.records import FOOTER, HEADER

    with mock.patch("tfrecords_tools.index.unframe", lambda framed: framed[HEADER:-FOOTER]):
        yield from with_kreid(records, **data)


def with_keras_layers(records: Path) -> Iterator[np.ndarray]:
    """Our decoding; the flip and the erasing by Keras's layers, on whole batches."""
    import keras

    from kreid.data.training_set import training_batches

    drawn, plan = training_set(records, flip=0.0)
    flip = keras.layers.RandomFlip("horizontal", seed=1)
    erase = keras.layers.RandomErasing((0.5, 0.5), scale=(0.02, 0.4), fill_value=float(MEAN.mean()), seed=1)
    batches = training_batches(drawn, SIZE, plan)
    yield from batches.map(lambda images, _: erase(flip(images, training=True), training=True))


def with_pillow(records: Path) -> Iterator[np.ndarray]:
    """Pillow and NumPy, image by image."""
    import tensorflow as tf

    drawn, plan = training_set(records)
    rng = np.random.default_rng(1)
    for batch in plan:
        read = drawn.index.read(drawn.rows[batch])
        examples = (tf.train.Example.FromString(record) for record in read)
        encoded = [example.features.feature["image"].bytes_list.value[0] for example in examples]
        yield np.stack([one_with_pillow(image, rng) for image in encoded])


def decoding_alone(records: Path) -> Iterator[np.ndarray]:
    """Records read and their images decoded by TensorFlow, nothing else: one pixel of each."""
    import tensorflow as tf

    from kreid.data.images import decode
    from tfrecords_tools import schema

    shards = [str(path) for path in training_set(records)[0].index.shards]
    pixels = tf.data.TFRecordDataset(shards).map(lambda record: decode(schema.parse(record)["image"])[0, 0])
    yield from pixels.batch(32, drop_remainder=True)


def one_with_pillow(encoded: bytes, rng: np.random.Generator) -> np.ndarray:
    """Decode, resize, flip and erase one image."""
    from PIL import Image

    image = Image.open(io.BytesIO(encoded)).convert("RGB").resize(SIZE[::-1], Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.array(image, np.float32)
    if rng.random() >= 0.5:
        return pixels
    while True:
        area, aspect = rng.uniform(0.02, 0.4) * SIZE[0] * SIZE[1], np.exp(rng.uniform(-1, 1) * np.log(0.3))
        height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if height <= SIZE[0] and width <= SIZE[1]:
            top, left = rng.integers(SIZE[0] - height + 1), rng.integers(SIZE[1] - width + 1)
            pixels[top : top + height, left : left + width] = MEAN
            return pixels


LOADERS: dict[str, Callable[[Path], Iterator[np.ndarray]]] = {
    "kreid, flip and erase": lambda records: with_kreid(records, erase=0.5),
    "kreid, the same without checksums": lambda records: without_checksums(records, erase=0.5),
    "kreid, flip alone": with_kreid,
    "kreid, every change": lambda records: with_kreid(records, **ALL),
    "kreid, Keras's layers on the batch": with_keras_layers,
    "Pillow and NumPy, flip and erase": with_pillow,
    "TensorFlow, decoding alone": decoding_alone,
}
UNCOMPRESSED = (
    "kreid, flip and erase",
    "kreid, the same without checksums",
    "Pillow and NumPy, flip and erase",
    "TensorFlow, decoding alone",
)


def per_core(records: Path, rounds: int, names: Iterable[str] = tuple(LOADERS)) -> dict[str, float]:
    """Images of each loader per second of one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name in names:
            batches = LOADERS[name](records)
            next(batches)
            start, images = time.process_time(), 0
            for batch in batches:
                images += len(batch)
            best[name] = max(best.get(name, 0), images / (time.process_time() - start))
    return best


def beside_the_network(records: Path) -> dict[str, float]:
    """Images a second by the clock of the loader alone and of training fed by it, and how long that waited for it."""
    import keras

    from kreid.config.loading import check
    from kreid.data.training_set import training_batches
    from kreid.losses.objective import build_losses
    from kreid.models.embedders import build_model

    config = check({"model": {"embedder": "one_stream", "appearance": {"weights": None}}})
    drawn, plan = training_set(records, erase=0.5)
    batches, images = iter(training_batches(drawn, SIZE, plan)), 0
    next(batches)
    start = time.perf_counter()
    for batch, _ in batches:
        images += len(batch)
    figures = {"loader alone": images / (time.perf_counter() - start)}
    model = build_model(config.model)
    model.compile(keras.optimizers.Adam(1e-5), loss=build_losses(config.loss, model.output))
    batches, waited = iter(training_batches(drawn, SIZE, plan)), []
    for step in range(STEPS + 1):
        if step == 1:  # the first one compiles
            start = time.perf_counter()
        before = time.perf_counter()
        batch, label = next(batches)
        waited.append(time.perf_counter() - before)
        model.train_on_batch(batch, {"embedding": label})
    seconds = time.perf_counter() - start
    figures["training, fed by the loader"] = STEPS * len(batch) / seconds
    figures["% of the time waited for it"] = 100 * sum(waited[1:]) / seconds
    return figures


def make_large(records: Path) -> Path:
    """Give small records an index as long and as mixed as the real training set's."""
    from tfrecords_tools.index import COLUMNS, read_index, write_index

    index = read_index(records / "train")
    rng = np.random.default_rng(0)
    views = rng.choice(VIEWS[0], 170_000, p=VIEWS[1])
    person = np.repeat(np.arange(len(views)), views)[:248_234]
    first = np.sort(rng.choice(np.arange(1, person[-1] + 1), 9_188, replace=False))  # of each action but the first
    action = np.searchsorted(first, person, side="right")
    rows = np.arange(len(person)) % len(index)
    columns = {name: getattr(index, name)[rows] for name in COLUMNS} | {"person": person, "action": action}
    shards = {path.name: path.stat().st_size for path in index.shards}
    write_index(records / "train", shards, columns, list(index.games), 1.0, int(action[-1]))
    return records


def memory(records: Path, epochs: int = 10) -> dict[str, float]:
    """Megabytes in use after epochs of a set of the real size, and images and seconds of one."""
    from kreid.data.training_set import training_batches

    drawn, _ = training_set(make_large(records), erase=0.5)
    lengths = []

    def plans() -> Iterator[np.ndarray]:
        for epoch in range(epochs):
            plan = list(drawn.sampler.epoch(epoch))
            lengths.append(len(plan))
            yield from plan

    figures, start = {"images of the set": len(drawn.rows)}, time.perf_counter()
    batches = iter(training_batches(drawn, (32, 16), plans()))
    for epoch in range(epochs):
        next(batches)
        for _ in islice(batches, lengths[epoch] - 1):
            pass
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        figures[f"MB after epoch {epoch + 1}"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return figures | {"seconds an epoch": (time.perf_counter() - start) / epochs}


def alone(work: Callable, *arguments) -> dict[str, float]:
    """Call in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def show(figures: dict[str, float]) -> None:
    """Print a line a figure."""
    for name, value in figures.items():
        print(f"{name:<38}{value:>10,.0f}" if value >= 100 else f"{name:<38}{value:>10.1f}", flush=True)


def main() -> None:
    """Measure part by part and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path, nargs="?", help="folder of thumbnails, as kreid-convert reads it")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each loader (5)")
    parser.add_argument("--no-step", action="store_true", help="leave the training step out")
    parser.add_argument("--no-memory", action="store_true", help="leave the epochs of the real size out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = arguments.tree or make_tree(Path(folder) / "tree")
        records = make_records(tree, Path(folder) / "original")
        uncompressed = make_records(tree, Path(folder) / "uncompressed", image_format="uncompressed")
        print("images per second of one core")
        figures = alone(per_core, records, arguments.rounds)
        show(figures)
        best, peer = figures["kreid, flip and erase"], figures["Pillow and NumPy, flip and erase"]
        print(f"kreid / Pillow and NumPy: {best / peer:.2f}")
        print(f"kreid / kreid without checksums: {best / figures['kreid, the same without checksums']:.3f}")
        size = sum(path.stat().st_size for path in (uncompressed / "train").iterdir())
        size /= sum(path.stat().st_size for path in (records / "train").iterdir())
        print(f"\nthe same of uncompressed records, {size:.1f} times as large")
        figures = alone(per_core, uncompressed, arguments.rounds, UNCOMPRESSED)
        show(figures)
        ours, theirs = figures["kreid, flip and erase"], figures["Pillow and NumPy, flip and erase"]
        print(f"kreid / kreid with the files' own bytes: {ours / best:.2f}")
        print(f"kreid / kreid without checksums: {ours / figures['kreid, the same without checksums']:.3f}")
        print(f"kreid / Pillow and NumPy: {ours / theirs:.2f}; with the files' own bytes: {ours / peer:.2f}")
        if not arguments.no_step:
            print("\nimages per second of all cores, ResNet50 at 256 x 128, batches of 32")
            figures = alone(beside_the_network, records)
            show(figures)
            print(f"loader / training: {figures['loader alone'] / figures['training, fed by the loader']:.0f}")
        if not arguments.no_memory:
            print("\nmemory")
            small = make_records(make_tree(Path(folder) / "drawn"), Path(folder) / "small", resize=(16, 8))
            show(alone(memory, small))


if __name__ == "__main__":
    main()
