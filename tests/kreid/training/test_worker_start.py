"""What machines say and share as TensorFlow starts; that it starts, or not, is in test_strategies.py."""

import json

import pytest
import tensorflow as tf
from configurations import changed

from kreid.cli.train import app
from kreid.config.loading import dump
from kreid.data.training_set import TrainingSet
from kreid.training import run as training
from kreid.training.worker_start import lost_workers
from kreid.training.workers import Cluster
from tfrecords_tools.console.command import run


def config_of(cluster, kind, index):
    return {"cluster": cluster, "task": {"type": kind, "index": index}}


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
