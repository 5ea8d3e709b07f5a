"""One device, two replicas and two machines train the same network: all see the whole batch."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from configurations import changed
from paths import SUPPORT
from run_files import log_of, weights_of

from kreid.config.loading import dump
from kreid.evaluation.baselines import untrained
from kreid.training.run import train
from kreid.training.step import check_devices


def processes(config, records, outs, replicas, *options, clusters=(None,)):
    """Run `strategy_run.py` once for each of `outs`, all at a time."""
    file = outs[0].with_suffix(".yaml")
    file.write_text(dump(config), encoding="utf-8")
    line = [sys.executable, str(SUPPORT / "strategy_run.py"), str(file), str(records)]
    with contextlib.ExitStack() as stack:
        running = []
        for out, cluster in zip(outs, clusters, strict=True):
            environment = {**os.environ, **({"TF_CONFIG": json.dumps(cluster)} if cluster else {})}
            arguments = [*line, str(out), str(replicas), *options]
            process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
            running.append(stack.enter_context(process))
            stack.callback(process.kill)  # before the wait of its context, where another one failed
        for process in running:
            said = process.communicate(timeout=500)[1]
            assert process.returncode == 0, said[-3000:]


def two_workers(config, records, outs, *options):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        workers = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in (0, 1)]
    processes(config, records, outs, 2, *options, clusters=tasks)


def assert_alike(run, other):
    """Every figure of the log to 1e-4, relative; every weight to 1e-4, and to a hundredth of what training moved."""
    for row, expected in zip(log_of(run), log_of(other), strict=True):
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            assert float(row[name]) == pytest.approx(float(value), rel=1e-4), name
    ours, theirs = weights_of(run), weights_of(other)
    before = {variable.path: np.asarray(variable) for variable in untrained(run).trainable_variables}
    moved = max(np.abs(theirs[path] - value).max() for path, value in before.items())
    for path, value in theirs.items():
        np.testing.assert_allclose(ours[path], value, rtol=0, atol=min(1e-4, 1e-2 * moved), err_msg=path)


# SGD, since Adam would turn the last bits of a zero gradient into a whole step; few and small steps, since mining turns
# last bits into other triplets: on one device, weights 1e-7 apart give losses 1e-2 apart after four steps.
SETTINGS = {"epochs": 1, "steps_per_epoch": 4, "optimizer": "sgd", "learning_rate": 0.01, "validate_every": 0}
UPDATE = {"accumulate": 2, "clip_norm": 0.5, "ema": 0.5, "rates": {"fc": 2.0}}


@pytest.mark.parametrize("sampler", ["same_action", "persons"])
def test_two_replicas_equal_one_device(records, tiny_one, tmp_path, sampler):
    """`persons` compares people of all actions, so an anchor's hardest negative often lies on the other replica."""
    same = sampler == "same_action"
    config = changed(
        tiny_one,
        # Among people of the whole set more distances are close to each other, and more triplets turn.
        train={**SETTINGS, **(UPDATE if same else {"steps_per_epoch": 2})},
        data={"sampler": sampler},
        loss={"same_action": same, "identity_weight": 0.2},
    )
    processes(config, records, [tmp_path / "two"], 2)
    assert_alike(tmp_path / "two", train(config, records, tmp_path / "one", quiet=True))


def test_two_workers_equal_one_device_and_resume(records, tiny_one, tmp_path):
    settings = {**SETTINGS, "learning_rate": 1e-3}
    config = changed(tiny_one, train=settings, loss={"identity_weight": 0.2, "mining": "all"})
    chief, other = tmp_path / "two", tmp_path / "nothing"
    two_workers(config, records, [chief, other])
    assert not other.exists(), "only the chief writes"
    longer = changed(config, train={"epochs": 2})
    two_workers(longer, records, [chief, chief], "--resume")
    assert_alike(chief, train(longer, records, tmp_path / "one", quiet=True))
    assert json.loads((chief / "summary.json").read_text())["devices"] == 2


def test_what_devices_cannot_do_is_refused(tiny_one):
    with pytest.raises(ValueError, match="16 images a batch, which 3 devices cannot share .* multiple of 3"):
        check_devices(tiny_one, SimpleNamespace(num_replicas_in_sync=3))
    compiled = changed(tiny_one, train={"xla": True})
    check_devices(compiled, SimpleNamespace(num_replicas_in_sync=1))
    with pytest.raises(ValueError, match="train.xla: TensorFlow compiles for one device only, and here are 2"):
        check_devices(compiled, SimpleNamespace(num_replicas_in_sync=2))
