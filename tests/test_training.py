"""The training loop: it learns, resumes to the same bits, and stops with a reason."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
from configurations import changed

from kreid import runs
from kreid.data import TrainingSet
from kreid.objective import build_losses
from kreid.training import Trainer, make_strategy, train
from kreid.validation import validate


def weights_of(run):
    return {v.path: v.numpy() for v in runs.load_model(run).variables}


def test_a_run_leaves_what_its_readme_says(records, tiny_one, tmp_path):
    run = train(tiny_one, records, tmp_path / "run", quiet=True)
    assert runs.load_config_of(run) == tiny_one
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "learning_rate", "images", "active", "positive", "negative", "valid_mAP", "valid_rank1"} <= set(
        rows[0]
    )
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["images_seen"] == 2 * 3 * 16
    best = max(rows, key=lambda row: float(row["valid_mAP"]))
    assert summary["valid_mAP"] == pytest.approx(float(best["valid_mAP"]))
    assert list((run / "tensorboard").iterdir())
    assert not list(run.rglob(".partial*"))
    vectors = runs.load_model(run)(np.full((2, 32, 32, 3), 128.0))["embedding"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_hook_sees_every_validation_and_may_stop_the_run(records, tiny_one, tmp_path):
    class Enough(Exception):
        pass

    seen = []

    def stop_at_the_second(epoch, logs):
        seen.append((epoch, logs["valid_mAP"]))
        if len(seen) == 2:
            raise Enough

    config = changed(tiny_one, train={"epochs": 5, "steps_per_epoch": 1, "validate_every": 2, "validate_actions": 1})
    with pytest.raises(Enough):
        train(config, records, tmp_path / "run", quiet=True, on_validation=stop_at_the_second)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert seen == [(int(row["epoch"]), pytest.approx(float(row["valid_mAP"]))) for row in rows if row["valid_mAP"]]
    assert [epoch for epoch, _ in seen] == [2, 4]
    assert (tmp_path / "run" / "checkpoints" / "state-00004-0000000.npz").exists()


def test_held_out_actions_are_validated_on_and_not_trained_on(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1})
    seen = []
    run = train(
        config, records, tmp_path / "run", quiet=True, held_out=[1, 6], on_validation=lambda *one: seen.append(one)
    )
    training_set = TrainingSet(records, config.data, config.train.seed, held_out=[1, 6])
    scores = validate(runs.load_model(run), records / "train", rows=training_set.held_out)
    assert [(epoch, logs["valid_mAP"]) for epoch, logs in seen] == [(1, pytest.approx(scores["valid_mAP"]))]


def test_the_loss_falls(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"epochs": 4, "steps_per_epoch": 10, "validate_every": 0})
    run = train(config, records, tmp_path / "run", quiet=True)
    loss = [float(row["loss"]) for row in csv.DictReader((run / "log.csv").read_text().splitlines())]
    assert loss[-1] < 0.9 * loss[0]


def test_a_resumed_run_ends_with_the_same_bits(records, tiny_one, tmp_path):
    unbroken = train(
        changed(tiny_one, train={"epochs": 3, "validate_every": 0}), records, tmp_path / "unbroken", quiet=True
    )
    broken = changed(tiny_one, train={"epochs": 3, "validate_every": 0})
    trainer = Trainer(
        broken, TrainingSet(records, broken.data, broken.train.seed), make_strategy(), tmp_path / "broken"
    )
    trainer.write_config()

    class PowerCut(Exception):
        pass

    count, step = 0, trainer._step

    def fails_in_the_second_epoch(*batch):
        nonlocal count
        count += 1
        if count == 5:
            raise PowerCut
        return step(*batch)

    trainer._step = fails_in_the_second_epoch
    with pytest.raises(PowerCut):
        trainer.run(records / "valid", quiet=True)
    train(broken, records, tmp_path / "broken", resume=True, quiet=True)
    for path, value in weights_of(unbroken).items():
        np.testing.assert_array_equal(value, weights_of(tmp_path / "broken")[path], err_msg=path)
    assert (tmp_path / "broken" / "log.csv").read_text() == (unbroken / "log.csv").read_text()


def test_layer_wise_losses_train_hidden_layers(tiny):
    """The gradient of a head's loss alone reaches the backbone below its layer, and not the layers above."""
    import tensorflow as tf

    from kreid.models.embedders import build_model

    config = changed(tiny, model={"heads": {"layers": ["conv2"], "hidden": [16], "dim": 8}})
    model = build_model(config.model)
    loss = build_losses(config.loss, model.output)["conv2"]
    labels = np.array([[0, 0], [0, 0], [1, 0], [1, 0]])
    with tf.GradientTape() as tape:
        value = loss(labels, model(np.random.default_rng(0).uniform(0, 255, (4, 64, 32, 3)), training=True)["conv2"])
    stream = model.get_layer("appearance")
    below, above = (stream.get_layer(name).trainable_variables for name in ("conv1_conv", "conv3_block4_3_conv"))
    gradients = tape.gradient(value, [*below, *above])
    assert float(tf.reduce_sum(tf.abs(gradients[0]))) > 0
    assert gradients[len(below)] is None


def test_identity_loss_gets_its_classes_from_the_data(records, tiny_one, tmp_path):
    config = changed(tiny_one, loss={"identity_weight": 0.5}, train={"epochs": 1, "validate_every": 0})
    run = train(config, records, tmp_path / "run", quiet=True)
    classes = TrainingSet(records, config.data, 0).num_classes
    assert runs.load_config_of(run).model.num_classes == classes
    assert runs.load_model(run).output["logits"].shape == (None, classes)
    row = next(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert float(row["loss"]) == pytest.approx(float(row["loss_embedding"]) + float(row["loss_logits"]), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_with_the_batch(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"learning_rate": 1e30, "optimizer": "sgd", "validate_every": 0})
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) at epoch 1 step \d \(batch: action \d+ bbox \d+"):
        train(config, records, tmp_path / "run", quiet=True)


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


def test_damaged_images_are_named_and_leave_no_run_folder(records, tiny_one, tmp_path):
    with pytest.raises(ValueError, match=r"tfrecord: action \d+ bbox \d+: the record is damaged"):
        train(tiny_one, damaged(records, tmp_path, "train"), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_an_epoch_outlives_a_validation_that_fails(records, tiny_one, tmp_path):
    copy = damaged(records, tmp_path, "valid")
    with pytest.raises(ValueError, match=r"valid.*tfrecord: action \d+ bbox \d+: the record is damaged"):
        train(tiny_one, copy, tmp_path / "run", quiet=True)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["state-00001-0000000.npz"]


def test_resume_passes_over_a_damaged_state(records, tiny_one, tmp_path, caplog):
    run = train(changed(tiny_one, train={"validate_every": 0}), records, tmp_path / "run", quiet=True)
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-2000])
    train(changed(tiny_one, train={"validate_every": 0}), records, run, resume=True, quiet=True)
    assert f"{newest}: damaged" in caplog.text
    assert len(list((run / "checkpoints").iterdir())) == 2
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of its 2 states can be read"):
        train(changed(tiny_one, train={"validate_every": 0}), records, run, resume=True, quiet=True)


def test_weights_of_another_run_give_one_line(records, tiny_one, tiny, tmp_path):
    run = train(changed(tiny_one, train={"epochs": 1, "validate_every": 0}), records, tmp_path / "run", quiet=True)
    other = (run / "config.yaml").read_text().replace("width_divisor: 8", "width_divisor: 4")
    (run / "config.yaml").write_text(other)
    with pytest.raises(ValueError, match="not weights of the model that config.yaml beside it describes") as error:
        runs.load_model(run)
    assert "\n" not in str(error.value)


def test_a_run_folder_is_not_written_over(records, tiny_one, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        train(tiny_one, records, tmp_path / "run", quiet=True)
    runs_config = tmp_path / "run" / "config.yaml"
    train(tiny_one, records, tmp_path / "other", quiet=True)
    runs_config.write_text((tmp_path / "other" / "config.yaml").read_text())
    with pytest.raises(ValueError, match=r"another configuration \(train.epochs: 2 -> 7\)"):
        train(changed(tiny_one, train={"epochs": 7}), records, tmp_path / "run", resume=True, quiet=True)
    # How a run is evaluated may change, also where its configuration is older than that section.
    other = tmp_path / "other"
    (other / "config.yaml").write_text((other / "config.yaml").read_text().split("evaluation:")[0])
    train(changed(tiny_one, evaluation={"flip": True, "rerank": {"k1": 5}}), records, other, resume=True, quiet=True)
    assert runs.load_config_of(other).evaluation.rerank.k1 == 5


def test_plain_compile_and_fit_works(records, tiny_one):
    from kreid.data import training_batches
    from kreid.models.embedders import build_model

    training_set = TrainingSet(records, tiny_one.data, 0)
    batches = training_batches(training_set, (32, 32), list(training_set.sampler.epoch(0))[:3]).repeat()
    model = build_model(tiny_one.model)
    model.compile("adam", loss=build_losses(tiny_one.loss, model.output))
    history = model.fit(
        batches.map(lambda image, label: (image, {"embedding": label})), steps_per_epoch=4, shuffle=False, verbose=0
    )
    assert np.isfinite(history.history["loss"][0])
    assert isinstance(model, keras.Model)
