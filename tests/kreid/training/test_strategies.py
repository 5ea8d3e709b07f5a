"""One device, two replicas and two machines train the same network, all seeing the whole batch; who does not start; and
a run that is killed and goes on.

The processes work while the tests of one device do, and wait for each other's ends together.
"""

import contextlib
import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from configurations import changed
from run_files import log_of, weights_of
from strategy_run import Rounds

from kreid.config.loading import dump
from kreid.evaluation.baselines import untrained
from kreid.runs import checkpoints
from kreid.training.run import train
from kreid.training.step import check_devices

pytestmark = pytest.mark.usefixtures("short_resnet")


def written(config, file):
    """The configuration as a file, for another process."""
    file.write_text(dump(config), encoding="utf-8")
    return str(file)


def task(cluster, kind, index):
    """TF_CONFIG of a machine."""
    return {"cluster": cluster, "task": {"type": kind, "index": index}}


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
# Of two updates the first has a gradient that is clipped, the second one that is not.
UPDATE = {"accumulate": 2, "clip_norm": 4.0, "ema": 0.5, "rates": {"fc": 2.0}}


def replicas_config(tiny_one):
    """People of all actions are compared, so that half of an anchor's negatives lie on the other replica."""
    loss = {"same_action": False, "identity_weight": 0.2, "mining": "all"}
    return changed(tiny_one, train={**SETTINGS, **UPDATE}, data={"sampler": "persons"}, loss=loss)


def workers_config(tiny_one, epochs):
    settings = {**SETTINGS, "learning_rate": 1e-3, "epochs": epochs}
    return changed(tiny_one, train=settings, loss={"identity_weight": 0.2, "mining": "all"})


KILLED = {"optimizer": "adamw", "weight_decay": 0.1, "accumulate": 2, "ema": 0.9, "freeze": ["appearance.conv1"]}
KILLED |= {"freeze_epochs": 1, "steps_per_epoch": 5, "validate_every": 0, "checkpoint_minutes": 1e-9, "keep": 3}


class Others(NamedTuple):
    """What other processes do: runs in `folder`, named below, and what those say that do not start."""

    folder: Path
    rounds: Rounds
    absent: list[str]  # addresses of the workers of three clusters that do not start


@pytest.fixture(scope="module")
def others(records, tiny_one, tmp_path_factory):
    """A run on two replicas, one of two workers that goes on, one that is killed, three clusters that do not start."""
    folder = tmp_path_factory.mktemp("others")
    configs = {f"workers_{epochs}": workers_config(tiny_one, epochs) for epochs in (1, 2)}
    configs["replicas"] = replicas_config(tiny_one)
    configs["killed"] = changed(tiny_one, train={**KILLED, "epochs": 10**6})
    files = {name: written(config, folder / f"{name}.yaml") for name, config in configs.items()}

    def job(config, out, *resume):
        return "train_run", [files[config], str(records), str(folder / out), 2, *resume]

    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(11)]
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
        two, again, (chief, *absent) = addresses[:2], addresses[2:4], addresses[4:]
        for server in servers[:9]:
            server.close()
        # What is left of them: the first lacks worker 1 of three, the second worker 0, the third a port that is free.
        first = {"chief": [chief], "worker": absent[:2]}
        second, third = {"worker": absent[2:4]}, {"worker": absent[4:]}
        tasks = [task(first, "chief", 0), task(first, "worker", 1), task(second, "worker", 1), task(third, "worker", 0)]
        jobs = [("start", [str(folder / f"said_{number}")], tf_config) for number, tf_config in enumerate(tasks)]
        jobs.append((*job("replicas", "replicas"), None))
        jobs += [
            (*job("workers_1", out), task({"worker": two}, "worker", index))
            for index, out in enumerate(("two", "nothing"))
        ]
        killed = [files["killed"], str(records), str(folder / "killed"), "state-00001-0000003"]
        jobs.append(("train_killed", killed, None))
        more = [(*job("workers_2", "two", True), task({"worker": again}, "worker", index)) for index in (0, 1)]
        rounds = Rounds(jobs, more)
        stack.callback(rounds.stop)
        yield Others(folder, rounds, absent)


def test_two_replicas_equal_one_device(records, tiny_one, others, tmp_path):
    alone = train(replicas_config(tiny_one), records, tmp_path / "alone", quiet=True)
    others.rounds.wait()
    assert_alike(others.folder / "replicas", alone)


def test_two_workers_equal_one_device_and_resume(records, tiny_one, others, tmp_path):
    alone = train(workers_config(tiny_one, 2), records, tmp_path / "alone", quiet=True)
    others.rounds.wait()
    assert not (others.folder / "nothing").exists(), "only the chief writes"
    assert_alike(others.folder / "two", alone)
    assert json.loads((others.folder / "two" / "summary.json").read_text())["devices"] == 2


def newest_of(run):
    """Epochs and steps that the newest state has done."""
    return tuple(map(int, checkpoints.newest(run / "checkpoints").stem.split("-")[1:]))


def test_a_killed_run_resumes_to_the_same_bits(records, tiny_one, others, tmp_path):
    """A process of `kreid-train`, killed in the middle of an epoch and of an accumulated gradient."""
    others.rounds.wait()
    run = shutil.copytree(others.folder / "killed", tmp_path / "run")
    (run / "checkpoints" / ".partial-1-state-00001-0000004.npz").write_bytes(b"half")
    (run / ".partial-1-model.weights.h5").write_bytes(b"half")
    (run / ".partial-1-report_test.html").write_bytes(b"another command's")
    while sum(done := newest_of(run)) % 2 == 0:  # of five steps an epoch, two an update: none is half done
        checkpoints.newest(run / "checkpoints").unlink()  # at an epoch's end two in a row are
    assert done >= (1, 2)
    assert sum(done) % 2 == 1
    epoch = done[0]

    config = changed(tiny_one, train={**KILLED, "epochs": epoch + 1})
    unbroken = train(changed(config, train={"checkpoint_minutes": 0}), records, tmp_path / "unbroken", quiet=True)
    train(config, records, run, resume=True, quiet=True)
    expected = weights_of(unbroken)
    for path, value in weights_of(run).items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)
    assert (run / "log.csv").read_text() == (unbroken / "log.csv").read_text()
    assert [path.name for path in run.rglob(".partial*")] == [".partial-1-report_test.html"]


def test_a_worker_that_does_not_start_is_named(others):
    others.rounds.wait()
    said = [(others.folder / f"said_{number}").read_text(encoding="utf-8") for number in range(4)]
    workers = others.absent
    for line, name in zip(said[:3], [f"worker 1 ({workers[0]})"] * 2 + [f"worker 0 ({workers[2]})"], strict=True):
        assert line == (
            f"{name} met the others but did not start TensorFlow within 0.05 minutes; look at what was said there, and "
            "start all workers again"
        )
    assert said[3] == (
        f"worker 0 ({workers[4]}): TensorFlow cannot start (Could not start gRPC server); see that nothing else uses "
        "the ports of TF_CONFIG, and start all workers again"
    )


def test_what_devices_cannot_do_is_refused(tiny_one):
    with pytest.raises(ValueError, match="16 images a batch, which 3 devices cannot share .* multiple of 3"):
        check_devices(tiny_one, SimpleNamespace(num_replicas_in_sync=3))
    compiled = changed(tiny_one, train={"xla": True})
    check_devices(compiled, SimpleNamespace(num_replicas_in_sync=1))
    with pytest.raises(ValueError, match="train.xla: TensorFlow compiles for one device only, and here are 2"):
        check_devices(compiled, SimpleNamespace(num_replicas_in_sync=2))
