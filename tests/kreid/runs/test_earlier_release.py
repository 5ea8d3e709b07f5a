"""What release 0.1 wrote, before its modules moved into rooms, is read as it was: `run_0_1.zip`, see golden/README."""

import json
import zipfile

import keras
import numpy as np
import pytest
from paths import GOLDEN

from kreid import runs
from kreid.losses.objective import build_losses
from kreid.training.state import State
from kreid.training.step import Step, make_strategy
from tfrecords_tools.arrays import read_arrays

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")
LABELS = np.array([[0, 0], [0, 0], [1, 0]])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of release 0.1: two steps of a narrow two-stream network with every loss, neck, head and average."""
    folder = tmp_path_factory.mktemp("earlier") / "run"
    with zipfile.ZipFile(GOLDEN / "run_0_1.zip") as archive:
        archive.extractall(folder)
    (folder / runs.CHECKPOINTS).mkdir()
    (state,) = folder.glob("state-*.npz")
    state.rename(folder / runs.CHECKPOINTS / state.name)
    return folder


def outputs(model):
    return {name: np.asarray(value) for name, value in model(IMAGES, training=False).items()}


def check_outputs(found, recorded):
    for name, value in found.items():
        np.testing.assert_allclose(value, recorded[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_run_folder_gives_the_same_vectors(run):
    found = outputs(runs.load_model(run))
    assert set(found) == {"embedding", "final", "conv2", "logits"}
    check_outputs(found, read_arrays(run / "outputs.npz"))


def test_a_state_goes_back_into_network_and_optimiser(run):
    """Its variables have the same names in the same order; the moving average is what the run's weights were."""
    step = Step(runs.load_config_of(run), make_strategy(), pretrained=False)
    progress = runs.checkpoints.restore(run / runs.CHECKPOINTS, step.variables, runs.checkpoints.plain)
    assert (progress["epoch"], progress["step"], progress["images"]) == (1, 0, 32)
    assert State.parse(progress).valid == "", "which validation set it was, it did not say"
    (state,) = (run / runs.CHECKPOINTS).glob("state-*.npz")
    saved = read_arrays(state)
    assert json.loads(str(saved.pop("progress"))) == progress
    for variable, (name, value) in zip(step.variables, saved.items(), strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value, err_msg=name)
    averages = [np.asarray(value) for value in step.updater.averages]
    for variable, average in zip(step.updater.learning, averages, strict=True):
        variable.assign(average)
    check_outputs(outputs(step.model), read_arrays(run / "outputs.npz"))


@pytest.mark.usefixtures("eagerly")
def test_a_keras_file_gives_the_same_vectors_and_losses(run):
    """Its classes are found by their registered names, though their modules are others now."""
    model = keras.models.load_model(run / "model.keras")
    recorded = read_arrays(run / "outputs.npz")
    check_outputs(outputs(model), recorded)
    losses = build_losses(runs.load_config_of(run).loss, model.output)
    found = model.test_on_batch(IMAGES, dict.fromkeys(losses, LABELS))
    np.testing.assert_allclose(found, recorded["loss"], rtol=1e-4, atol=1e-5)
