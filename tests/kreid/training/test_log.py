"""What a run writes for people: the rows of log.csv, summary.json, and events that cannot be written."""

import errno
import json
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from kreid.training.log import RunLog, append_row, versions
from kreid.training.state import State

pytestmark = pytest.mark.usefixtures("resnet_stem")


def test_rows_widen_the_file_and_are_written_again(tmp_path):
    path = tmp_path / "log.csv"
    append_row(path, {"epoch": 1, "loss": 0.5})
    append_row(path, {"epoch": 2, "loss": 0.25, "valid_mAP": 0.1})
    append_row(path, {"epoch": 3, "loss": 0.125})
    assert path.read_text().splitlines() == ["epoch,loss,valid_mAP", "1,0.5,", "2,0.25,0.1", "3,0.125,"]
    append_row(path, {"epoch": 2, "loss": 0.75})  # a run that was resumed after the first epoch
    assert path.read_text().splitlines() == ["epoch,loss,valid_mAP", "1,0.5,", "2,0.75,"]


@pytest.mark.parametrize("best", [{}, {"valid_mAP": 0.5, "best_epoch": 2}])
def test_a_summary_by_hand(tiny_one, tmp_path, best):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    state = State(epoch=3, images=480, seconds=100.26, busy=64.0, data="242 images (abc)")
    state.best, state.best_epoch = best.get("valid_mAP", -1.0), best.get("best_epoch")
    log = RunLog(tmp_path, tiny_one)
    log.summary(state, 2, model)
    log.close()
    expected = {
        "epochs": 3,
        "images_seen": 480,
        **best,
        "seconds": 100.3,
        "images_per_second": 7.5,
        "devices": 2,
        "training_set": "242 images (abc)",
        "parameters": 8,
        "versions": versions(),
        "config": tiny_one.model_dump(mode="json"),
    }
    assert list(json.loads((tmp_path / "summary.json").read_text()).items()) == list(expected.items())


def test_other_machines_write_nothing(tiny_one, tmp_path):
    log = RunLog(tmp_path / "run", tiny_one, active=False)
    log.step(50, {"loss": 1.0})
    log.epoch({"epoch": 1, "loss": 1.0}, {}, None, None)
    log.summary(State(), 2, None)
    log.close()
    assert not (tmp_path / "run").exists()


def test_events_that_cannot_be_written_fail_as_any_other_file(tiny_one, tmp_path):
    log = RunLog(tmp_path, tiny_one, active=False)

    def full(step):
        raise tf.errors.ResourceExhaustedError(None, None, "{{node W}} events.v2; No space left on device")

    log._writer = SimpleNamespace(as_default=full)
    with pytest.raises(OSError, match="No space left on device") as error:
        log.step(50, {"loss": 1.0})
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "tensorboard"))
