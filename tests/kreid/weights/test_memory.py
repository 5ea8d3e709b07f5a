"""Keras's weights in memory: the same bytes as in a file, and one line where they are no weights of the model."""

import keras
import numpy as np
import pytest

from kreid.weights.memory import from_bytes, to_bytes

pytestmark = pytest.mark.backend


def network(units=2):
    keras.utils.set_random_seed(units)
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.BatchNormalization()])
    return keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(units)])


def test_files_and_memory_read_each_other(tmp_path):
    model, other = network(), network()
    path = tmp_path / "a.weights.h5"
    path.write_bytes(to_bytes(model))
    other.load_weights(path)
    for one, same in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, same)
    for variable in other.variables:
        variable.assign(variable + 1.0)
    other.save_weights(path)
    from_bytes(model, path.read_bytes())
    for one, same in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, same)


def test_nothing_is_written_to_the_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    to_bytes(network())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [lambda: b"", lambda: b"no file of HDF5", lambda: to_bytes(network(3)), lambda: to_bytes(network())[:3000]],
    ids=["empty", "text", "another network", "cut"],
)
def test_what_is_no_weights_of_the_model_is_one_line(content):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        from_bytes(network(), content())
