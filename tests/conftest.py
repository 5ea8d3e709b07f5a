"""Settings and fixtures that all tests share.

Keras and TensorFlow load where a test needs them: the others answer within a second.
"""

import gc
import os
import random
import signal
import sys

import lighter
import xla_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("JAX_THREEFRY_PARTITIONABLE", "0")  # JAX on a CPU compiles some random draws for half a minute
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling small networks takes longer than running them
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault("XLA_FLAGS", xla_flags.known_flags())
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # the suite is for the CPU, and equal everywhere
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell's background jobs have it, and pass on to commands
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest


def pytest_ignore_collect(collection_path, config):
    """Of the files without a test of any backend, `-m backend` need not import what they test."""
    if config.option.markexpr == "backend" and collection_path.suffix == ".py":
        return "mark.backend" not in collection_path.read_text(encoding="utf-8") or None
    return None


def pytest_collection_finish():
    """What is imported stays: without this the garbage collector looks through all of TensorFlow again and again."""
    if "keras" in sys.modules:
        lighter.lighten()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh():
    """Every test starts from one seed and without the graph state of the one before.

    Importing Keras draws random numbers, so a file whose tests build networks imports it at its head, not in a test.
    """
    random.seed(0)
    np.random.seed(0)
    if keras := sys.modules.get("keras"):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """A small synthetic set, converted: 8 training actions and two of each other split."""
    from tfrecords_tools import synthetic, writer

    folder = tmp_path_factory.mktemp("soccernet")
    synthetic.draw(folder / "tree", {"train": 8, "valid": 2, "test": 2, "challenge": 2}, seed=5)
    writer.convert(folder / "tree", folder / "records", progress=False)
    return folder / "records"


@pytest.fixture(scope="session")
def filmed(tmp_path_factory):
    """Records of Market-1501's kind: one action of three cameras."""
    from three_cameras import write_records

    return write_records(tmp_path_factory.mktemp("filmed"))


# Pictures of galleries take a quarter of so short a training.
TINY_TRAIN = {"epochs": 2, "steps_per_epoch": 3, "learning_rate": 1e-3, "schedule": "constant", "pictures": 0}


@pytest.fixture(scope="session")
def tiny():
    """A two-stream configuration at 64 x 32 pixels: narrow streams, ResNet as far as conv3, one stage of each map."""
    from kreid.config.loading import check

    appearance = {"backbone": "resnet50", "weights": None, "layer": "conv3", "width_divisor": 16}
    part = {"arch": "body_25", "paf_stages": 1, "confidence_stages": 1, "width_divisor": 32}
    model = {"embedder": "two_stream", "image_size": [64, 32], "appearance": appearance, "part": part}
    data = {"persons": 4, "views": 4}
    return check({"model": {**model, "bilinear": {"output_dim": 64}}, "data": data, "train": TINY_TRAIN})


@pytest.fixture(scope="session")
def tiny_one():
    """A one-stream configuration that trains within two seconds: ResNet's first convolution, at 32 x 32 pixels."""
    from kreid.config.loading import check

    appearance = {"backbone": "resnet50", "weights": None, "layer": "conv1", "width_divisor": 8}
    appearance["variant"] = "torchvision"  # its batch norms follow quickly
    model = {"embedder": "one_stream", "image_size": [32, 32], "appearance": appearance, "fc": [16]}
    return check({"model": model, "data": {"persons": 4, "views": 4}, "train": TINY_TRAIN})


@pytest.fixture(scope="session")
def tiny_vit():
    """One stream: a narrow Vision Transformer's first three blocks with a head, at 32 x 16 pixels."""
    from kreid.config.loading import check

    appearance = {"backbone": "vit_s16", "weights": None, "layer": "block_3", "width_divisor": 16}
    model = {"embedder": "one_stream", "image_size": [32, 16], "appearance": appearance}
    model["heads"] = {"layers": ["block_1"], "hidden": [4], "dim": 4}
    return check({"model": model, "data": {"persons": 4, "views": 4}, "train": TINY_TRAIN})


@pytest.fixture(scope="module")
def short_resnet():
    """A ResNet50 of one block in conv2 and one in conv3, and an OpenPose of one in each stage.

    All of 53 convolutions are built before a stream is trimmed, and 30 of a part stream are alike.

    For files whose network is `tiny`, and about something else; commands in processes of their own build the whole.
    """
    from tiny_runs import SHORT_STAGES

    from kreid.models import openpose, resnet

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resnet, "STAGES", SHORT_STAGES)
        patched.setattr(openpose, "BODY_25_BLOCKS", 1)
        yield


@pytest.fixture(scope="module")
def resnet_stem():
    """A ResNet50 of its stem alone, for files whose only network is `tiny_one`: a stream is trimmed to that."""
    from kreid.models import resnet

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(resnet, "STAGES", ())
        yield


@pytest.fixture(scope="module")
def short_vit():
    """A ViT-S/16 of four blocks, for files whose network is `tiny_vit`: a stream is trimmed to three of them."""
    from kreid.models import vit_origins

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(vit_origins.SIZES, "s16", vit_origins.SIZES["s16"]._replace(depth=4))
        yield


@pytest.fixture(scope="module")
def unsynced():
    """Databases that do not wait for the disk, for half the time of a search; a process that ends loses nothing."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def relax(connection, _):
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", relax)
    yield
    event.remove(Engine, "connect", relax)


@pytest.fixture
def two_alike(monkeypatch):
    """Backbones with two of what they repeat, not up to seven, and Transformers of one block: for sweeps.

    What is repeated in full is held by the tests of each backbone against its origin's outputs.
    """
    from tiny_runs import TWO_ALIKE

    from kreid.models import inception_v4, openpose, osnet, resnet, vit_origins

    monkeypatch.setattr(resnet, "STAGES", TWO_ALIKE)
    monkeypatch.setattr(openpose, "BODY_25_BLOCKS", 2)
    monkeypatch.setattr(openpose, "_COCO_LATER", openpose._COCO_LATER[3:])
    blocks = [(branches, min(count, 2), stage) for branches, count, stage in inception_v4.BLOCKS]
    monkeypatch.setattr(inception_v4, "BLOCKS", blocks)
    monkeypatch.setattr(osnet, "STREAMS", osnet.STREAMS[::3])  # of one convolution and of four in a row
    for name, size in vit_origins.SIZES.items():
        monkeypatch.setitem(vit_origins.SIZES, name, size._replace(depth=1))


@pytest.fixture
def eagerly():
    """Training steps of TensorFlow without tracing them, which takes as long as ten of a tiny network."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def run_folder(tiny_one, tmp_path_factory):
    """A run as training leaves it, but for the training."""
    from tiny_runs import make_run

    return make_run(tmp_path_factory.mktemp("run") / "run", tiny_one)
