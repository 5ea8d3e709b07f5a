"""`kreid-train --resume` goes on from the newest state that is whole, and ends with the weights of an unbroken run."""

import json

import numpy as np
import pytest
from configurations import changed
from run_files import weights_of
from tiny_runs import invoke

from kreid.cli.train import app
from kreid.config.loading import dump
from kreid.training.run import train
from tfrecords_tools.arrays import read_arrays, write_arrays

pytestmark = pytest.mark.usefixtures("short_resnet")


def spoil_header(path):
    """Leave a bracket of an array's header open, under a checksum that fits: NumPy's parser ends in TokenError."""
    content = path.read_bytes()
    assert content.count(b"'shape': ()") >= 1
    path.write_bytes(content.replace(b"'shape': ()", b"'shape': (("))


@pytest.fixture(scope="module")
def config(tiny_one):
    settings = {"epochs": 1, "steps_per_epoch": 2, "validate_every": 0, "checkpoint_minutes": 1e-9, "log_steps": 0}
    return changed(tiny_one, train=settings)


@pytest.fixture(scope="module")
def run(records, config, tmp_path_factory):
    return train(config, records, tmp_path_factory.mktemp("states") / "run", quiet=True)


def test_an_older_state_is_gone_on_from(records, config, run, capsys):
    """What else a state can be damaged by, test_state tries without a training."""
    (run.parent / "tiny.yaml").write_text(dump(config), encoding="utf-8")
    expected = weights_of(run)
    older, newest = sorted((run / "checkpoints").iterdir())
    spoil_header(newest)
    line = [run.parent / "tiny.yaml", "--data", records, "--out", run, "--resume", "--quiet"]
    code, printed, said = invoke(capsys, app, *line)
    assert (code, printed) == (0, [str(run)]), said
    assert f"warning: {newest}: damaged (" in said
    assert f"resuming from {older}" in said
    assert newest.read_bytes()[:4] == b"PK\3\4"
    for path, value in weights_of(run).items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)


@pytest.mark.usefixtures("eagerly")
def test_changed_weights_of_the_best_epoch_end_a_resume(records, config, tmp_path, capsys):
    config = changed(config, train={"validate_every": 1, "validate_actions": 1})
    run = train(config, records, tmp_path / "run", quiet=True)
    (tmp_path / "tiny.yaml").write_text(dump(changed(config, train={"epochs": 2})), encoding="utf-8")
    best = sorted((run / "checkpoints").iterdir())[-1]
    arrays = read_arrays(best)
    progress = json.loads(str(arrays["progress"])) | {"best": 0.5, "best_epoch": 1, "steps": 0, "sums": {}}
    write_arrays(best, {**arrays, "progress": json.dumps(progress)})  # as after an epoch that was not the best
    weights = bytearray((run / "model.weights.h5").read_bytes())
    weights[-1] ^= 1
    (run / "model.weights.h5").write_bytes(weights)
    line = [tmp_path / "tiny.yaml", "--data", records, "--out", run, "--resume", "--quiet"]
    code, printed, said = invoke(capsys, app, *line)
    assert (code, printed) == (1, [])
    assert said.splitlines()[-1].startswith(f"error: {run / 'model.weights.h5'}: not what was written")
    (run / "model.weights.h5").unlink()
    code, _, said = invoke(capsys, app, *line)
    assert code == 1
    assert said.splitlines()[-1].startswith(f"error: {run}: no model.weights.h5; ")
