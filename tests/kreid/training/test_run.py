"""The training loop: it learns, resumes to the same bits, and stops with a reason."""

import io
import json
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from configurations import changed
from PIL import Image
from run_files import log_of, weights_of
from sets import write_tracks
from tensorboard.backend.event_processing import event_accumulator
from tiny_runs import make_run

from kreid import runs
from kreid.data.training_set import TrainingSet
from kreid.errors import ConfigError
from kreid.losses.objective import build_losses
from kreid.training.loop import Trainer
from kreid.training.run import load_training_set, train
from kreid.training.step import make_strategy
from kreid.training.validation import validate
from tfrecords_tools.arrays import read_arrays
from tfrecords_tools.index import read_index
from tfrecords_tools.writer import convert

pytestmark = pytest.mark.usefixtures("short_resnet", "short_vit")


def test_a_run_leaves_what_its_readme_says(records, tiny_one, tmp_path):
    run = train(tiny_one, records, tmp_path / "run", quiet=True)
    assert runs.load_config_of(run) == tiny_one
    rows = log_of(run)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    figures = {
        "loss",
        "learning_rate",
        "images",
        "active",
        "positive",
        "negative",
        "spread",
        "valid_mAP",
        "valid_rank1",
    }
    assert figures <= set(rows[0])
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["images_seen"] == 2 * 3 * 16
    best = max(rows, key=lambda row: float(row["valid_mAP"]))
    assert summary["valid_mAP"] == pytest.approx(float(best["valid_mAP"]))
    assert summary["best_epoch"] == int(best["epoch"])
    assert 0 < summary["images_seen"] / summary["seconds"] < summary["images_per_second"]
    assert summary["versions"]["keras"] == keras.__version__
    assert summary["training_set"].startswith("242 images (")
    assert not list(run.rglob(".partial*"))
    vectors = runs.load_model(run)(np.full((2, 32, 32, 3), 128.0))["embedding"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_tensorboard_gets_batches_epochs_pictures_and_histograms(records, tiny_one, tmp_path):
    train_settings = {"log_steps": 2, "histograms": True, "pictures": 2, "validate_actions": 1}
    run = train(changed(tiny_one, train=train_settings), records, tmp_path / "run", quiet=True)
    events = event_accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance={"tensors": 0}).Reload()

    def values(tag):
        return {event.step: tf.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}

    rows = log_of(run)
    for name in ("loss", "valid_mAP", "learning_rate"):
        assert values(name) == {int(row["epoch"]): pytest.approx(float(row[name]), rel=1e-6) for row in rows}
    assert sorted(values("batch/loss")) == [2, 4, 6]  # of 3 steps an epoch
    assert all(value > 0 for value in values("images_per_second").values())
    width, height, png = values("ranked gallery")[2]
    assert (int(width), int(height)) == Image.open(io.BytesIO(png)).size == (9 * 72, 2 * 136)
    histogram = values("conv1/kernel")[2]  # (buckets, 3): left edge, right edge, count
    assert histogram[:, 2].sum() == 7 * 7 * 3 * 8


@pytest.mark.usefixtures("eagerly")
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
    rows = log_of(tmp_path / "run")
    assert seen == [(int(row["epoch"]), pytest.approx(float(row["valid_mAP"]))) for row in rows if row["valid_mAP"]]
    assert [epoch for epoch, _ in seen] == [2, 4]
    assert (tmp_path / "run" / "checkpoints" / "state-00004-0000000.npz").exists()


@pytest.mark.usefixtures("eagerly")
def test_held_out_actions_are_validated_on_and_not_trained_on(records, tiny_one, tmp_path):
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 1})
    seen = []
    run = train(
        config, records, tmp_path / "run", quiet=True, held_out=[1, 6], on_validation=lambda *one: seen.append(one)
    )
    training_set = TrainingSet(records, config.data, config.train.seed, held_out=[1, 6])
    scores, _ = validate(runs.load_model(run), records / "train", rows=training_set.held_out)
    assert [(epoch, logs["valid_mAP"]) for epoch, logs in seen] == [(1, pytest.approx(scores["valid_mAP"]))]


def test_people_of_a_single_action_are_held_out(filmed, tiny_one):
    index = read_index(filmed / "train")
    wanted = np.unique(index.person)[:5]
    training_set = TrainingSet(filmed, tiny_one.data, tiny_one.train.seed, held_out=wanted)
    assert set(index.person[training_set.held_out]) == set(wanted)
    assert not set(index.person[training_set.rows]) & set(wanted)
    assert len(training_set.rows) + len(training_set.held_out) == len(index)


def test_a_valid_split_without_labels_is_noticed_before_the_first_step(records, tiny_one, tmp_path):
    shutil.copytree(records, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "valid")
    shutil.copytree(records / "challenge", tmp_path / "data" / "valid")
    info = json.loads((tmp_path / "data" / "info.json").read_text())
    info["splits"]["valid"] = info["splits"]["challenge"]
    (tmp_path / "data" / "info.json").write_text(json.dumps(info))
    message = r"data/valid: .* labels are withheld; give others, or set train.validate_every=0"
    with pytest.raises(ValueError, match=message):
        train(tiny_one, tmp_path / "data", tmp_path / "run", quiet=True)


def test_a_run_must_be_long_enough_for_an_update(records, tiny_one, tmp_path, caplog):
    rules = {"train": {"epochs": 2, "steps_per_epoch": 99, "accumulate": 99}, "loss": {"label_smoothing": 0.1}}
    config = changed(tiny_one, **rules)
    with pytest.raises(ConfigError, match=r"train.accumulate: expected at most the \d+ steps of the run, received 99"):
        train(config, records, tmp_path / "run", quiet=True)
    assert re.search(r"train.steps_per_epoch is 99, but an epoch has \d+ batches", caplog.text)
    assert "without effect in this configuration: loss.label_smoothing without loss.identity_weight" in caplog.text


def test_the_loss_falls(records, tiny_one, tmp_path):
    """Of vectors, by a network that can tell people apart, as one convolution cannot.

    With five seeds InfoNCE falls by 7 to 19 %; the loss of triplets, of which harder ones come up, by 1 to 30 %.
    """
    appearance = {**tiny_one.model.appearance.model_dump(), "layer": "conv2"}
    train_as = {"epochs": 2, "steps_per_epoch": 20, "validate_every": 0, "learning_rate": 1e-2}
    loss = {"triplet_weight": 0.0, "info_nce_weight": 1.0, "same_action": False}
    model, data = {"appearance": appearance}, {"sampler": "persons", "persons": 8}
    config = changed(tiny_one, model=model, data=data, train=train_as, loss=loss)
    first, last = (float(row["loss"]) for row in log_of(train(config, records, tmp_path / "run", quiet=True)))
    assert last < 0.96 * first


@pytest.mark.usefixtures("eagerly")
def test_collapse_is_said_once(records, tiny_one, tmp_path, caplog, monkeypatch):
    """In the second of three epochs, by a watch that follows quickly, and not again at the validation."""
    monkeypatch.setattr("kreid.training.collapse._MEMORY", 0.3)
    config = changed(tiny_one, train={"epochs": 3, "steps_per_epoch": 2, "learning_rate": 1e-9, "validate_every": 3})
    trainer = Trainer(config, TrainingSet(records, config.data, 1), make_strategy(), tmp_path / "run")
    trainer.step.model.get_layer("fc.1").gamma.assign(np.zeros(16))  # all vectors are alike
    trainer.run(records / "valid", quiet=True)
    assert caplog.text.count("the embedding has collapsed: all distances are alike, to 0.00") == 1
    assert "collapsed" not in "".join(
        str(record) for record in caplog.records if record.name != "kreid.training.collapse"
    )


def test_frozen_layers_wait_and_averages_are_saved(records, tiny_one, tmp_path, monkeypatch):
    settings = {"freeze": ["appearance"], "freeze_epochs": 1, "ema": 0.5, "pictures": 0}
    scores = iter([0.25, 0.5])  # the second epoch is the best
    monkeypatch.setattr("kreid.training.epoch_end.validate", lambda *_: ({"valid_mAP": next(scores)}, []))
    config = changed(tiny_one, train=settings)
    trainer = Trainer(config, TrainingSet(records, config.data, 1), make_strategy(), tmp_path / "run")
    trainer.write_config()
    kernel, head = (
        trainer.step.model.get_layer("appearance").get_layer("conv1").kernel,
        trainer.step.model.get_layer("fc.0").kernel,
    )
    seen = [(np.asarray(kernel), np.asarray(head))]
    trainer.run(records / "valid", True, lambda epoch, logs: seen.append((np.asarray(kernel), np.asarray(head))))
    np.testing.assert_array_equal(seen[1][0], seen[0][0])
    assert np.abs(seen[1][1] - seen[0][1]).max() > 0
    assert np.abs(seen[2][0] - seen[1][0]).max() > 0
    averages = dict(zip((v.path for v in trainer.step.updater.learning), trainer.step.updater.averages, strict=True))
    assert trainer.state.best_epoch == 2
    np.testing.assert_array_equal(weights_of(trainer.out)[head.path], averages[head.path])
    assert np.abs(np.asarray(averages[head.path]) - seen[2][1]).max() > 0


SHORT = {"epochs": 1, "steps_per_epoch": 2, "validate_every": 0}


@pytest.fixture(scope="module")
def plain(records, tiny_one, tmp_path_factory):
    """The log of a short run in float32, not compiled."""
    run = train(changed(tiny_one, train=SHORT), records, tmp_path_factory.mktemp("plain") / "run", quiet=True)
    return log_of(run)[0]


@pytest.mark.parametrize("settings", [{"precision": "mixed_bfloat16"}, {"precision": "mixed_float16"}, {"xla": True}])
def test_half_precision_and_compilation_train_alike(records, tiny_one, tmp_path, settings, plain):
    config = changed(tiny_one, train={**SHORT, **settings})
    trainer = Trainer(config, TrainingSet(records, config.data, 1), make_strategy(), tmp_path / "run")
    trainer.write_config()
    compute = trainer.step.model.get_layer("appearance").get_layer("conv1").compute_dtype
    assert compute == settings.get("precision", "float32").removeprefix("mixed_")
    trainer.run(records / "valid", quiet=True)
    assert getattr(trainer.step._compute, "_jit_compile", False) == settings.get("xla", False)
    (row,) = log_of(trainer.out)
    assert float(row["loss"]) == pytest.approx(float(plain["loss"]), rel=1e-4 if "xla" in settings else 0.05)
    assert ("loss_scale" in row) == (settings.get("precision") == "mixed_float16")
    model = runs.load_model(trainer.out)
    assert {variable.dtype for variable in model.variables} == {"float32"}
    assert model.get_layer("appearance").get_layer("conv1").compute_dtype == "float32"


@pytest.mark.usefixtures("eagerly")
def test_identity_loss_gets_its_classes_from_the_data(records, tiny_one, tmp_path):
    config = changed(tiny_one, loss={"identity_weight": 0.5}, train={**SHORT, "steps_per_epoch": 1})
    run = train(config, records, tmp_path / "run", quiet=True)
    classes = TrainingSet(records, config.data, 0).num_classes
    assert runs.load_config_of(run).model.num_classes == classes
    assert runs.load_model(run).output["logits"].shape == (None, classes)
    row = log_of(run)[0]
    assert float(row["loss"]) == pytest.approx(float(row["loss_embedding"]) + float(row["loss_logits"]), rel=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_a_transformer_learns_with_all_that_is_for_it_and_goes_on_from_a_state(records, tiny_vit, tmp_path):
    """Blocks computed anew and left out at random, rates by depth, a learnt temperature, roles and jersey numbers."""
    loss = {"triplet_weight": 0.0, "info_nce_weight": 1.0, "learn_temperature": True, "role_weight": 0.5}
    own = {"remat": True, "layer_decay": 0.5, "learning_rate": 0.01, **SHORT, "epochs": 2, "steps_per_epoch": 1}
    config = changed(
        tiny_vit,
        model={"appearance": {**tiny_vit.model.appearance.model_dump(), "drop_path": 0.3}},
        loss={**loss, "jersey_weight": 0.5},
        train=own,
    )
    unbroken = train(config, records, tmp_path / "unbroken", quiet=True)
    run, last = shutil.copytree(unbroken, tmp_path / "run"), "checkpoints/state-00002-0000000.npz"
    (run / last).unlink()
    (run / "log.csv").unlink()
    train(config, records, run, resume=True, quiet=True)
    rows = log_of(unbroken)
    assert log_of(run) == rows
    ours, theirs = (read_arrays(one / last) for one in (run, unbroken))
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"progress"}:  # which tells seconds too
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert rows[0]["temperature"] != rows[1]["temperature"]
    parts = [f"loss_{name}" for name in ("embedding", "block_1", "role_logits", "jersey_logits")]
    assert float(rows[0]["loss"]) == pytest.approx(sum(float(rows[0][name]) for name in parts), rel=1e-5)
    found = TrainingSet(records, config.data, 0, attributes=True)
    resolved = runs.load_config_of(run).model
    assert (resolved.num_roles, resolved.num_jerseys) == (found.num_roles, found.num_jerseys)
    assert runs.load_model(run).output["jersey_logits"].shape == (None, found.num_jerseys)


def test_a_role_loss_without_roles_is_refused(filmed, tiny_one):
    config = changed(tiny_one, loss={"role_weight": 0.5})
    with pytest.raises(ConfigError, match=r"loss.role_weight: .*: expected images of two roles or more, received 0"):
        load_training_set(config, filmed)


def test_weights_of_another_run_give_one_line(tiny_one, tmp_path):
    run = make_run(tmp_path / "run", tiny_one)
    other = (run / "config.yaml").read_text().replace("width_divisor: 8", "width_divisor: 4")
    (run / "config.yaml").write_text(other)
    with pytest.raises(ValueError, match="not weights of the model that config.yaml beside it describes") as error:
        runs.load_model(run)
    assert "\n" not in str(error.value)


def test_plain_compile_and_fit_works(records, tiny_one):
    from kreid.data.training_set import training_batches
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


def test_a_test_split_that_cannot_be_scored_is_told_before_the_first_step(
    tiny_one, filmed, tmp_path, monkeypatch, caplog
):
    crops, _ = write_tracks(tmp_path)
    convert(crops, tmp_path / "records")
    monkeypatch.setattr("kreid.training.run._start", lambda *_: (_ for _ in ()).throw(InterruptedError))
    config = changed(tiny_one, data={"persons": 3, "views": 2, "sampler": "persons"}, loss={"same_action": False})
    for data, told in ((tmp_path / "records", True), (filmed, False)):
        caplog.clear()
        with pytest.raises(InterruptedError):
            train(config, data, tmp_path / "run", quiet=True)
        said = [
            message for message in caplog.messages if message.startswith(f"{data}/test: it has no queries to score")
        ]
        assert bool(said) == told
        assert not told or said[0].endswith("; training goes on, and kreid-evaluate will refuse this split")


def test_the_train_split_s_own_folder_stands_for_its_set(tiny_one, records, tmp_path, monkeypatch, caplog):
    validated = []
    monkeypatch.setattr("kreid.training.run._start", lambda *_: SimpleNamespace(write_config=lambda: None, run=ran))

    def ran(valid, *_):
        validated.append(valid.resolve())

    (tmp_path / "linked").symlink_to(records / "train")
    monkeypatch.chdir(records / "train")
    for data in (records, records / "train", tmp_path / "linked", "."):
        train(tiny_one, data, tmp_path / "run", quiet=True)
    assert validated == [(records / "valid").resolve()] * 4
    assert caplog.messages == []
    with pytest.raises(
        ValueError, match=f"no such folder of records; .*; {records}/test is one split, give the folder"
    ):
        train(tiny_one, records / "test", tmp_path / "run", quiet=True)
