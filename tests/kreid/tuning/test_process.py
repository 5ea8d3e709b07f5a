"""The process that trains: what it raises reaches the search, and it outlives none. Whole searches: test_commands."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from short_trainings import Shortening

from kreid.errors import ConfigError, DivergedError
from kreid.tuning.process import TrainingProcess

# Keeps a training process busy for ten minutes, and is killed.
PARENT = """
import os, signal, time
from kreid.tuning.process import TrainingProcess

class Busy:
    def __reduce__(self):
        return time.sleep, (600,)

if __name__ == "__main__":
    child = TrainingProcess()._start()
    child.connection.send(Busy())
    print(child.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_training_that_the_system_ends_is_told_from_one_that_cannot_be():
    with TrainingProcess() as process:
        os.kill(process._start().process.pid, signal.SIGKILL)
        with pytest.raises(ValueError, match="process was ended by SIGKILL; is the memory or the disk full") as error:
            process.train(None, "records", None, False, [], print)
    assert type(error.value) is ValueError


def test_what_a_training_raises_keeps_its_kind(records, tiny_one, tmp_path, caplog):
    """One process after another fault of the configuration, the training, the data and the disk; then it trains.

    From the second on trainings are short there.
    """
    calm = tiny_one.train.model_copy(update={"epochs": 1, "steps_per_epoch": 1})
    wild = calm.model_copy(update={"steps_per_epoch": None, "learning_rate": 1e30, "optimizer": "sgd"})
    large = tiny_one.data.model_copy(update={"persons": 64})
    (tmp_path / "taken").touch()
    faults = [
        (ConfigError, {"train": calm, "data": large}, records, "run", "256 images a batch"),
        (DivergedError, {"train": wild}, Shortening(records), "run", "the loss is (nan|inf) at epoch 1"),
        (ValueError, {"train": calm}, tmp_path / "moved", "run", "moved/train: no such folder"),
        (OSError, {"train": calm}, records, "taken/run", "taken"),
    ]
    with TrainingProcess() as process:
        for kind, changes, data, run, message in faults:
            config = tiny_one.model_copy(update=changes)
            with pytest.raises(kind, match=message) as error:
                process.train(config, data, tmp_path / run, False, [0, 1], print)
            assert type(error.value) is kind
        validated = []
        with caplog.at_level("INFO", "kreid"):
            for epochs in (1, 2):
                train = calm.model_copy(update={"epochs": epochs})
                config = tiny_one.model_copy(update={"train": train})
                job = (config, records, tmp_path / "run", epochs > 1, [0, 1])
                process.train(*job, lambda *of: validated.append(of))
            with pytest.raises(ConfigError, match="held_out: expected numbers of training actions"):
                process.train(config, records, tmp_path / "other", False, [0.5], print)
    assert (tmp_path / "run" / "model.weights.h5").exists()
    assert [epoch for epoch, _ in validated] == [1, 1, 2], "the second goes on from the first, and tells what that said"
    assert all(0 < figures["valid_mAP"] <= 1 for _, figures in validated)
    assert "appearance stream: random weights" in caplog.text


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux which processes run")
def test_no_training_goes_on_without_its_search(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    parent = subprocess.run([sys.executable, tmp_path / "parent.py"], capture_output=True, text=True, timeout=120)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid, ends = int(parent.stdout), time.monotonic() + 60
    while is_running(pid) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not is_running(pid)


def test_the_end_of_the_block_ends_a_training():
    with TrainingProcess() as process:
        child = process._start().process
        assert child.is_alive()
    assert not child.is_alive()
