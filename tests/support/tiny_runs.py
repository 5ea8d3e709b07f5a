"""Run folders without training, and commands in the test's own process: both cost a second where others cost ten."""

import contextlib
import importlib
import io
import logging
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from configurations import changed
from paths import ROOT

from kreid import runs
from kreid.config.loading import dump
from tfrecords_tools.console.command import run as run_app

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


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


def script(name, *arguments, cwd=None):
    """Run a console script in this process, as `subprocess.run` would in another: what pyproject.toml says it is.

    It sees the command line and the folder that a shell would give it, and leaves this process as it was.
    """
    module, _, function = SCRIPTS[name].partition(":")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_same_log_after())
        stack.enter_context(contextlib.chdir(cwd or Path.cwd()))
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(sys, "argv", [name, *map(str, arguments)])
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        with pytest.raises(SystemExit) as left:
            getattr(importlib.import_module(module), function)()
    return subprocess.CompletedProcess([name, *arguments], left.value.code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _same_log_after():
    """A command that logs to standard error keeps the log from all who ask for it later, such as pytest's caplog."""
    log = logging.getLogger("kreid")
    level, propagate, handlers = log.level, log.propagate, list(log.handlers)
    try:
        yield
    finally:
        log.setLevel(level)
        log.propagate, log.handlers[:] = propagate, handlers
