"""Run folders without training, and commands in the test's own process: both cost a second where others cost ten."""

import contextlib
import importlib
import io
import subprocess
import sys
import tomllib

import pytest
from configurations import changed
from paths import ROOT

from kreid import runs
from kreid.config.loading import dump
from tfrecords_tools.console.command import run as run_app

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]

# ResNets shorter than ResNet50: of one block in conv2 and one in conv3; and whole, but for blocks that are alike (of
# the last stage each block is a map of its own).
SHORT_STAGES = ((2, 64, 1), (3, 128, 1))
TWO_ALIKE = ((2, 64, 2), (3, 128, 2), (4, 256, 2), (5, 512, 3))


def with_heads(config):
    """The configuration with one layer-wise head of 8 numbers."""
    return changed(config, model={"heads": {"layers": ["conv1"], "hidden": [4], "dim": 8}})


def make_run(folder, config, seed=0):
    """A run folder with random weights, as `kreid-train` leaves it; returns the folder."""
    import keras

    from kreid.models.embedders import build_model

    keras.utils.set_random_seed(seed)
    folder.mkdir(parents=True)
    (folder / runs.CONFIG).write_text(dump(config), encoding="utf-8")
    build_model(config.model, pretrained=False).save_weights(folder / runs.WEIGHTS)
    return folder


def invoke(capsys, app, *arguments):
    """Run a command in this process: its exit code, lines of standard output, and standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        run_app(app, [str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return left.value.code, captured.out.splitlines(), captured.err


def command(app, *arguments):
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_app(app, list(map(str, arguments)))
    return ended.value.code


def script(name, *arguments, cwd):
    """Run a console script in this process as `subprocess.run` does in another: the function that pyproject.toml names.

    It sees the command line and the folder that a shell would give it; what it says is kept, without pytest's fixtures.
    """
    module, _, function = SCRIPTS[name].partition(":")
    line = [name, *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main = getattr(importlib.import_module(module), function)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "argv", line)
            with pytest.raises(SystemExit) as left:
                main()
    return subprocess.CompletedProcess(line, left.value.code, out.getvalue(), err.getvalue())
