"""TensorFlow's start on several machines, and what each of them says; the meeting before it is in test_workers.py."""

import contextlib
import json
import socket

import pytest
import tensorflow as tf
from configurations import changed
from strategy_run import run_rounds

from kreid.cli.train import app
from kreid.config.loading import dump
from kreid.data.training_set import TrainingSet
from kreid.training import run as training
from kreid.training.worker_start import lost_workers
from kreid.training.workers import Cluster
from tfrecords_tools.console.command import run


def config_of(cluster, kind, index):
    return {"cluster": cluster, "task": {"type": kind, "index": index}}


def test_a_worker_that_does_not_start_is_named(tmp_path):
    """What is left of three clusters: without worker 1 of three, without worker 0, and without a free port."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(7)]
        chief, *workers = (f"127.0.0.1:{server.getsockname()[1]}" for server in servers)
        first = {"chief": [chief], "worker": workers[:2]}
        second, third = {"worker": workers[2:4]}, {"worker": workers[4:]}
        tasks = [(first, "chief", 0), (first, "worker", 1), (second, "worker", 1), (third, "worker", 0)]
        for server in servers[:5]:
            server.close()
        files = [tmp_path / f"said_{number}" for number in range(len(tasks))]
        run_rounds([("start", [str(file)], config_of(*task)) for file, task in zip(files, tasks, strict=True)])
    said = [file.read_text(encoding="utf-8") for file in files]
    for line, name in zip(said[:3], [f"worker 1 ({workers[0]})"] * 2 + [f"worker 0 ({workers[2]})"], strict=True):
        assert line == (
            f"{name} met the others but did not start TensorFlow within 0.05 minutes; look at what was said there, and "
            "start all workers again"
        )
    assert said[3] == (
        f"worker 0 ({workers[4]}): TensorFlow cannot start (Could not start gRPC server); see that nothing else uses "
        "the ports of TF_CONFIG, and start all workers again"
    )


def test_a_worker_lost_before_the_first_batch_is_one_line():
    error = tf.errors.UnavailableError(None, None, "no heartbeat\nfor ten seconds")
    lost = r"another worker was lost before the first batch \(no heartbeat\); look"
    with pytest.raises(ValueError, match=lost), lost_workers(Cluster(("a:1", "b:2"), 0)):
        raise error
    with pytest.raises(tf.errors.UnavailableError), lost_workers(None):
        raise error


def test_only_the_chief_prints_the_run_folder(records, tiny_one, tmp_path, monkeypatch, capsys):
    (tmp_path / "tiny.yaml").write_text(dump(tiny_one), encoding="utf-8")
    monkeypatch.setattr(training, "train", lambda config, data, out, **options: out)
    arguments = [str(tmp_path / "tiny.yaml"), "--data", str(records), "--out", str(tmp_path / "run")]
    for index, said in enumerate([(f"{tmp_path}/run\n", ""), ("", "done; worker 0 (a:1) wrote the run folder\n")]):
        monkeypatch.setenv("TF_CONFIG", json.dumps(config_of({"worker": ["a:1", "b:2"]}, "worker", index)))
        with pytest.raises(SystemExit) as end:
            run(app, arguments)
        assert (end.value.code, *capsys.readouterr()) == (0, *said)


def test_facts_hold_every_key_and_what_the_training_set_is(records, tiny_one, tmp_path):
    training_set = TrainingSet(records, tiny_one.data, 1)
    facts = training._facts(tiny_one, training_set, tmp_path)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["training images"] == len(training_set.rows)
    other = training._facts(changed(tiny_one, loss={"margin": 0.5}), training_set, tmp_path)
    assert {name: value for name, value in other.items() if facts[name] != value} == {"loss.margin": 0.5}
