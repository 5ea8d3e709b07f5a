"""Keras's settings of the environment: what would change figures or cannot be imported is told in a line."""

import builtins

import keras
import pytest

from kreid.cli.common import load_tensorflow
from kreid.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"), [("floatx", "float16"), ("floatx", "bfloat16"), ("image_data_format", "channels_first")]
)
def test_other_figures_are_refused(monkeypatch, name, value):
    monkeypatch.setattr(keras.config, name, lambda: value)
    with pytest.raises(
        ConfigError, match=rf"^Keras's settings \(KERAS_BACKEND, .*{name}: expected .*received {value}$"
    ):
        load_tensorflow()


@pytest.mark.parametrize("error", [AssertionError(), ModuleNotFoundError("No module named 'torch'")], ids=repr)
def test_a_keras_that_cannot_be_imported_is_told(monkeypatch, error):
    real = builtins.__import__

    def failing(name, *arguments, **options):
        if name == "keras":
            raise error
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(ConfigError, match=rf"cannot be imported \({type(error).__name__} {error}\); look at Keras"):
        load_tensorflow()


def test_ordinary_settings_pass(monkeypatch):
    load_tensorflow()
    monkeypatch.setattr(keras.config, "floatx", lambda: "float64")
    load_tensorflow()
