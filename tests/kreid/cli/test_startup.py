"""Help and wrong arguments come at once: before anything that takes long to load."""

import re
import subprocess
import sys
import tomllib

import pytest
from paths import ROOT

SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
HEAVY = ("tensorflow", "keras", "numpy", "pydantic", "rich.console")

# Runs commands one after another in a process that has loaded nothing yet, and prints their codes and what was loaded.
PROGRAM = """
import contextlib, importlib, io, sys
from tfrecords_tools.console.command import run
for place in sys.argv[2:]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            run(importlib.import_module(place).app, sys.argv[1].split())
        except SystemExit as left:
            code = left.code
    print(place, code, *(name for name in %r if name in sys.modules))
"""


@pytest.mark.parametrize(("arguments", "code"), [("--help", 0), ("--such-an-option", 2)])
def test_every_command_answers_at_once(arguments, code):
    places = [place.partition(":")[0] for place in SCRIPTS.values()]
    line = [sys.executable, "-c", PROGRAM % (HEAVY,), arguments, *places]
    said = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said.splitlines() == [f"{place} {code}" for place in places]


def test_every_command_stands_in_the_readme():
    named = re.findall(r"^\| `(kreid-\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M)
    assert set(named) == SCRIPTS.keys()
