"""A page of docs/ whose steps are carried out as they stand, in a copy of the project.

A step is a line that ends in a colon and names a file, and the code block below it: `Write` makes the file; `In` finds
the block's first line in it, which must stand there once, and puts the others below.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from paths import ROOT

_STEP = re.compile(
    r"(Write|In)\s`([\w./]+)`[^\n]*:\n\n(?:<!-- fmt: off -->\n)?```\w+\n(.*?)^```", flags=re.MULTILINE | re.DOTALL
)


class Step(NamedTuple):
    """What a page says is to be done to a file."""

    verb: str
    file: str
    block: str


def read_steps(page: str) -> list[Step]:
    """The steps of a page, in its order."""
    return [Step(*found) for found in _STEP.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))]


def read_script(page: str) -> str:
    """The one `sh` block of a page: what is run once its steps are done."""
    (script,) = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return script


def copy_project(folder: Path, *names: str) -> None:
    """Copy files and folders of the project, by their paths from its root, into a folder."""
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, target)


def carry_out(project: Path, step: Step) -> None:
    """Do in a copy of the project what a step says."""
    path = project / step.file
    if step.verb == "Write":
        assert not path.exists(), f"{step.file} is there already; the page needs another example"
        path.write_text(step.block, encoding="utf-8")
        return
    first, _, others = step.block.partition("\n")
    text = path.read_text(encoding="utf-8")
    assert text.count(f"{first}\n") == 1, f"{step.file}: the page's line is not there once: {first}"
    path.write_text(text.replace(f"{first}\n", f"{first}\n{others}"), encoding="utf-8")


def run_script(project: Path, script: str) -> str:
    """Run a page's script in a copy of the project, which its commands then take for kreid; return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(project)}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]  # of the run that this test is part of
    done = subprocess.run(
        ["bash", "-euc", script], cwd=project, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout
