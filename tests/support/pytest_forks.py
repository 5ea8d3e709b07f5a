"""Runs pytest in folders, one after another, as `python -m pytest` does there; started by `steps.run_scripts`.

Each run is a fork of this process, which has imported TensorFlow, because that takes longer than a few tests. The
argument is a list in JSON: of each run its folder, pytest's arguments, and the file that takes what it says.
"""

import json
import os
import runpy
import sys
from pathlib import Path

import pytest  # noqa: F401
import tensorflow  # noqa: F401
from forks import fork


def _run(folder, arguments, said):
    """Become a run of pytest in a folder; returns its exit code."""
    with Path(said).open("wb") as file:
        os.dup2(file.fileno(), 1), os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = sys.path[0] = folder
    sys.argv = ["pytest", *arguments]
    try:
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as left:
        return int(left.code or 0)


for job in json.loads(sys.argv[1]):
    print(os.waitstatus_to_exitcode(os.waitpid(fork(_run, *job), 0)[1]), flush=True)
