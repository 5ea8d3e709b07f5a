"""What ends a run, and how it goes on: stopped, out of disk, with records or weights that do not fit.

Killed: test_strategies.py, which has the processes.
"""

import errno
import os
import re
import resource
import shutil
import signal
import sys

import numpy as np
import pytest
from configurations import changed
from run_files import log_of

from kreid import runs
from kreid.config.loading import dump
from kreid.data.training_set import TrainingSet
from kreid.errors import ConfigError
from kreid.runs import checkpoints
from kreid.training.loop import Trainer
from kreid.training.run import train
from kreid.training.step import make_strategy
from kreid.training.stopping import Stop
from tfrecords_tools import synthetic, writer
from tfrecords_tools.arrays import read_arrays, write_arrays

pytestmark = pytest.mark.usefixtures("short_resnet")


def full_disk(model, run):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run / runs.WEIGHTS))


def test_what_stops_a_run_names_the_last_good_state(records, tiny_one, tmp_path, monkeypatch):
    """A gradient that is not finite, a full disk, a vanished file, each after the first epoch; then it goes on."""
    copy = tmp_path / "records"
    shutil.copytree(records, copy)
    config = changed(tiny_one, train={"epochs": 2, "steps_per_epoch": None, "validate_actions": 1, "log_steps": 0})
    training_set = TrainingSet(copy, config.data, config.train.seed)
    trainer = Trainer(config, training_set, make_strategy(), tmp_path / "run")
    trainer.write_config()
    state = tmp_path / "run" / "checkpoints" / "state-00001-0000000.npz"
    last_good = f"; the last good state is {state}, to go on from (--resume, in Python resume=True)"

    def fails(spoil, message):
        with pytest.raises(ValueError, match=message + re.escape(last_good)) as error:
            trainer.run(copy / "valid", quiet=True, on_validation=lambda epoch, logs: spoil())
        assert "\n" not in str(error.value)
        assert checkpoints.newest(state.parent) == state
        trainer.restore()

    weight = trainer.step.model.trainable_variables[0]
    name = r"\d+-\d+-\d+-\d+-[A-Za-z_]+-\w+-\w+-\d+x\d+\.png"
    fails(
        lambda: weight.assign(np.full(weight.shape, np.nan)),
        rf"the loss is nan at epoch 2 step 1 \(batch: ({name}, ){{8}}\.\.\.\); lower train.learning_rate .*",
    )
    with monkeypatch.context() as patched:
        patched.setattr(runs, "write_weights", full_disk)
        trainer.state.best = -1.0
        with pytest.raises(ValueError, match=r"run/model.weights.h5: No space left on device; the last"):
            trainer.run(copy / "valid", quiet=True)
    trainer.restore()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        fails(
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1])),
            rf"{state.parent}/state-00002-0000000.npz: File too large",
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "run").rglob(".partial*"))

    def vanish():
        training_set.index.close()
        training_set.index.shards[0].unlink()

    fails(vanish, rf"{training_set.index.shards[0]}: No such file or directory; run kreid-convert again.*")
    shutil.copytree(records, copy, dirs_exist_ok=True)
    trainer.run(copy / "valid", quiet=True)
    assert checkpoints.newest(state.parent).name == "state-00002-0000000.npz"


@pytest.mark.usefixtures("eagerly")
def test_a_loss_that_is_not_finite_at_once_leaves_no_run_folder(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"learning_rate": 1e30, "optimizer": "sgd", "validate_every": 0})
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to("mine")
    for name in ("run", "link"):
        with pytest.raises(ValueError, match=r"the loss is (nan|inf) at epoch 1 step \d .*; there is no state yet"):
            train(config, records, tmp_path / name, quiet=True)
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "link").iterdir()), "a folder of the user's stays, as empty as it was"


@pytest.mark.usefixtures("eagerly")
def test_mistakes_leave_no_run_folder(records, tiny, tiny_one, tmp_path):
    with pytest.raises(ValueError, match="256 images a batch, but the training set has"):
        train(changed(tiny_one, data={"persons": 64}), records, tmp_path / "run", quiet=True)
    part = {**tiny.model.part.model_dump(), "weights": str(tmp_path / "nothing.caffemodel")}
    with pytest.raises(ValueError, match="model.part.weights: .*nothing.caffemodel"):
        train(changed(tiny, model={"part": part}), records, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def damaged(records, tmp_path, split):
    """A copy of the records in which bytes inside images of one split are overwritten; sizes stay."""
    copy = tmp_path / "damaged"
    shutil.copytree(records, copy)
    shard = next((copy / split).glob("*.tfrecord"))
    content = bytearray(shard.read_bytes())
    with np.load(copy / split / "index.npz") as index:
        for offset, length in zip(index["offset"], index["length"], strict=True):
            content[offset + length // 3 : offset + length // 3 + 60] = b"x" * 60
    shard.write_bytes(content)
    return copy


@pytest.mark.usefixtures("eagerly")
def test_damaged_images_are_named_and_leave_no_run_folder(records, tiny_one, tmp_path):
    with pytest.raises(ValueError, match=r"tfrecord: action \d+ bbox \d+: the record is damaged"):
        train(tiny_one, damaged(records, tmp_path, "train"), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("eagerly")
def test_an_epoch_outlives_a_validation_that_fails(records, tiny_one, tmp_path):
    copy, config = damaged(records, tmp_path, "valid"), changed(tiny_one, train={"steps_per_epoch": 1})
    with pytest.raises(ValueError, match=r"valid.*tfrecord: action \d+ bbox \d+: the record is damaged"):
        train(config, copy, tmp_path / "run", quiet=True)
    run = tmp_path / "run"
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["state-00001-0000000.npz"]
    assert not (run / "log.csv").exists()
    shutil.rmtree(copy)
    shutil.copytree(records, copy)
    train(config, copy, run, resume=True, quiet=True)
    assert all(row["valid_mAP"] for row in log_of(run)), "it is validated after all"
    assert len(log_of(run)) == 2


@pytest.mark.usefixtures("eagerly")
def test_resume_passes_over_a_damaged_state(records, tiny_one, tmp_path, caplog):
    config = changed(tiny_one, train={"steps_per_epoch": 1, "validate_every": 0})
    run = train(config, records, tmp_path / "run", quiet=True)
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-2000])
    train(config, records, run, resume=True, quiet=True)
    assert f"{newest}: damaged" in caplog.text
    assert caplog.text.count("appearance stream: random weights") == 1, "nothing random in the second session"
    assert len(list((run / "checkpoints").iterdir())) == 2
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of its 2 states can be read"):
        train(config, records, run, resume=True, quiet=True)


@pytest.mark.usefixtures("eagerly")
def test_a_run_without_a_state_is_kept(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1, "validate_every": 0})
    run = train(config, records, tmp_path / "run", quiet=True)
    shutil.rmtree(run / "checkpoints")
    weights = (run / "model.weights.h5").read_bytes()
    with pytest.raises(ConfigError, match="run: has model.weights.h5, but no state in checkpoints to go on from"):
        train(config, records, run, resume=True, quiet=True)
    assert (run / "model.weights.h5").read_bytes() == weights


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.usefixtures("eagerly")
def test_a_signal_to_stop_waits_for_a_state(records, tiny_one, tmp_path, caplog, number, raised):
    """The step is finished and a state written before the signal does what it does."""
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 3, "validate_every": 0})
    trainer = Trainer(config, TrainingSet(records, config.data, 1), make_strategy(), tmp_path / "run")
    trainer.write_config()
    count, kept = trainer._count, signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))

    def interrupted(*arguments):
        if trainer.state.step == 1:
            signal.raise_signal(number)
        count(*arguments)

    trainer._count = interrupted
    try:
        with pytest.raises(raised):
            trainer.run(None, quiet=True)
    finally:
        signal.signal(signal.SIGTERM, kept)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    state = tmp_path / "run" / "checkpoints" / "state-00000-0000002.npz"
    assert checkpoints.newest(state.parent) == state
    assert f"stopped; the last good state is {state}, to go on from (--resume, in Python resume=True)" in caplog.text
    trainer._count = count
    trainer.restore()
    trainer.run(None, quiet=True)
    assert trainer.state.step == 0
    assert trainer.state.images == 3 * trainer.training_set.sampler.batch_size


def test_a_second_signal_acts_at_once():
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.asked is None, "what is ignored stays ignored"
    finally:
        signal.signal(signal.SIGINT, ignored)


@pytest.mark.usefixtures("eagerly")
def test_a_run_folder_is_not_written_over(records, tiny_one, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        train(tiny_one, records, tmp_path / "run", quiet=True)
    runs_config = tmp_path / "run" / "config.yaml"
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1, "validate_every": 0})
    train(config, records, tmp_path / "other", quiet=True)
    runs_config.write_text((tmp_path / "other" / "config.yaml").read_text())
    with pytest.raises(ConfigError, match=r"another configuration \(data.flip: 0.5 -> 0.1\)"):
        train(changed(config, data={"flip": 0.1}), records, tmp_path / "run", resume=True, quiet=True)


def test_what_a_resumed_run_may_have_otherwise(records, tiny_one, tmp_path):
    (tmp_path / "config.yaml").write_text(dump(tiny_one), encoding="utf-8")
    free = {"epochs": 9, "keep": 5, "checkpoint_minutes": 1, "validate_every": 3, "histograms": True, "log_steps": 1}
    runs.check_resume(tmp_path, changed(tiny_one, train=free, evaluation={"flip": True, "rerank": {"k1": 5}}))
    for settings in ({"seed": 2}, {"freeze": ["fc"]}, {"rates": {"fc": 2.0}}, {"learning_rate": 1.0}):
        (key,) = settings
        with pytest.raises(ConfigError, match=rf"cannot resume with another configuration \(train.{key}"):
            runs.check_resume(tmp_path, changed(tiny_one, train=settings))
    cosine = changed(tiny_one, train={"schedule": "cosine"})
    (tmp_path / "config.yaml").write_text(dump(cosine), encoding="utf-8")
    with pytest.raises(ConfigError, match="train.epochs: 2 -> 9"):  # every rate so far would have been another
        runs.check_resume(tmp_path, changed(cosine, train={"epochs": 9}))


@pytest.mark.usefixtures("eagerly")
def test_other_records_are_no_way_to_resume(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1, "validate_every": 0})
    run = train(config, records, tmp_path / "run", quiet=True)
    synthetic.draw(tmp_path / "tree", {"train": 3}, seed=6)
    writer.convert(tmp_path / "tree", tmp_path / "others", progress=False)
    with pytest.raises(ConfigError, match=r"data: .*run was trained on 242 images \(\w+\), received \d+ images"):
        train(config, tmp_path / "others", run, resume=True, quiet=True)


@pytest.mark.usefixtures("eagerly")
def test_another_valid_split_is_no_way_to_resume(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1, "validate_actions": 1})
    copy = shutil.copytree(records, tmp_path / "records")
    run = train(config, copy, tmp_path / "run", quiet=True)
    longer, path = changed(config, train={"epochs": 2}), copy / "valid" / "index.npz"
    before, arrays = path.read_bytes(), read_arrays(path)
    arrays["checksum"] = arrays["checksum"] + 1  # other images of the same labels
    write_arrays(path, arrays)
    logged, kept = (run / "log.csv").read_text(), (run / "config.yaml").read_text()
    words = r"data: .*run was validated on \d+ images \(\w+, by action\), received \d+ images"
    with pytest.raises(ConfigError, match=words):
        train(longer, copy, run, resume=True, quiet=True)
    assert ((run / "log.csv").read_text(), (run / "config.yaml").read_text()) == (logged, kept)
    train(changed(config, train={"validate_every": 0}), copy, run, resume=True, quiet=True)  # nothing is mixed
    path.write_bytes(before)
    train(longer, copy, run, resume=True, quiet=True)
    assert len((run / "log.csv").read_text().splitlines()) == 3
