"""One device and two replicas train the same network: mining, loss and batch norm see the whole batch on both."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from configurations import changed

from kreid.config import dump


def run_on(devices, config, records, folder):
    (folder / "config.yaml").write_text(dump(config), encoding="utf-8")
    out = folder / f"on_{devices}"
    script = Path(__file__).with_name("strategy_run.py")
    line = [sys.executable, str(script), str(folder / "config.yaml"), str(records), str(out), str(devices)]
    done = subprocess.run(line, env={**os.environ}, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = list(csv.DictReader((out / "log.csv").read_text().splitlines()))
    return rows, *(weights(out / f"{name}.npz") for name in ("before", "after"))


def weights(path):
    with np.load(path) as file:
        return np.concatenate([file[name].ravel() for name in file.files])


@pytest.mark.parametrize("sampler", ["same_action", "persons"])
def test_two_replicas_equal_one_device(records, tiny_one, tmp_path, sampler):
    """`persons` compares people of all actions, so an anchor's hardest negative often lies on the other replica."""
    config = changed(
        tiny_one,
        # SGD, since Adam would turn the last bits of a zero gradient into a whole step; few and small steps, since
        # mining turns last bits into other triplets.
        train={"epochs": 1, "optimizer": "sgd", "learning_rate": 0.01, "validate_every": 0},
        data={"sampler": sampler},
        loss={"same_action": sampler == "same_action", "identity_weight": 0.2},
    )
    rows_one, before, after_one = run_on(1, config, records, tmp_path)
    rows_two, before_too, after_two = run_on(2, config, records, tmp_path)
    np.testing.assert_array_equal(before, before_too)
    assert rows_one[0].keys() == rows_two[0].keys()
    for name, value in rows_one[0].items():
        assert float(rows_two[0][name]) == pytest.approx(float(value), rel=1e-4), name
    # Against the change that training made: mining each half alone would be off by about as much as that.
    assert np.abs(after_one - after_two).max() < 1e-2 * np.abs(after_one - before).max()


def test_a_batch_that_devices_cannot_share_is_refused(tiny_one):
    from types import SimpleNamespace

    from kreid.training import _check_batch

    with pytest.raises(ValueError, match="16 images a batch, which 3 devices cannot share .* multiple of 3"):
        _check_batch(tiny_one, SimpleNamespace(num_replicas_in_sync=3))
