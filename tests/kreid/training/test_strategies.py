"""One device, two replicas and two machines train the same network: all see the whole batch."""

import json
import socket
from types import SimpleNamespace

import numpy as np
import pytest
from configurations import changed
from run_files import log_of, weights_of
from strategy_run import run_rounds

from kreid.config.loading import dump
from kreid.evaluation.baselines import untrained
from kreid.training.run import train
from kreid.training.step import check_devices


def written(config, file):
    """The configuration as a file, for another process."""
    file.write_text(dump(config), encoding="utf-8")
    return str(file)


def two_workers():
    """TF_CONFIG of each of two workers on this machine, on ports that are free."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        workers = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    return [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in (0, 1)]


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


def config_of(tiny_one, sampler):
    """`persons` compares people of all actions, so an anchor's hardest negative often lies on the other replica."""
    same = sampler == "same_action"
    return changed(
        tiny_one,
        # Among people of the whole set more distances are close to each other, and more triplets turn.
        train={**SETTINGS, **(UPDATE if same else {"steps_per_epoch": 2})},
        data={"sampler": sampler},
        loss={"same_action": same, "identity_weight": 0.2},
    )


@pytest.fixture(scope="module")
def replicas(records, tiny_one, tmp_path_factory):
    """The folder of two runs on two replicas, named after their samplers."""
    folder = tmp_path_factory.mktemp("replicas")
    jobs = []
    for sampler in ("same_action", "persons"):
        file = written(config_of(tiny_one, sampler), folder / f"{sampler}.yaml")
        jobs.append(("train_run", [file, str(records), str(folder / sampler), 2], None))
    run_rounds(jobs)
    return folder


@pytest.mark.parametrize("sampler", ["same_action", "persons"])
def test_two_replicas_equal_one_device(records, tiny_one, replicas, tmp_path, sampler):
    one = train(config_of(tiny_one, sampler), records, tmp_path / "one", quiet=True)
    assert_alike(replicas / sampler, one)


def test_two_workers_equal_one_device_and_resume(records, tiny_one, tmp_path):
    settings = {**SETTINGS, "learning_rate": 1e-3}
    config = changed(tiny_one, train=settings, loss={"identity_weight": 0.2, "mining": "all"})
    longer = changed(config, train={"epochs": 2})
    file, more = written(config, tmp_path / "config.yaml"), written(longer, tmp_path / "longer.yaml")
    chief, other = tmp_path / "two", tmp_path / "nothing"
    run_rounds(
        [
            ("train_run", [file, str(records), str(out), 2], cluster)
            for out, cluster in zip((chief, other), two_workers(), strict=True)
        ],
        [("train_run", [more, str(records), str(chief), 2, True], cluster) for cluster in two_workers()],
    )
    assert not other.exists(), "only the chief writes"
    assert_alike(chief, train(longer, records, tmp_path / "one", quiet=True))
    assert json.loads((chief / "summary.json").read_text())["devices"] == 2


def test_what_devices_cannot_do_is_refused(tiny_one):
    with pytest.raises(ValueError, match="16 images a batch, which 3 devices cannot share .* multiple of 3"):
        check_devices(tiny_one, SimpleNamespace(num_replicas_in_sync=3))
    compiled = changed(tiny_one, train={"xla": True})
    check_devices(compiled, SimpleNamespace(num_replicas_in_sync=1))
    with pytest.raises(ValueError, match="train.xla: TensorFlow compiles for one device only, and here are 2"):
        check_devices(compiled, SimpleNamespace(num_replicas_in_sync=2))
