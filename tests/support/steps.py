"""A page of docs/ whose steps are carried out as they stand, in a copy of the project.

A step is a line that ends in a colon and names a file, and the code block below it: `Write` makes the file; `In` finds
the block's first line in it, which must stand there once, and puts the others below.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
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
            # With what Python has compiled, but for what it is just writing.
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("*.pyc.*", "*.egg-info"))
        else:
            shutil.copy2(ROOT / name, target)


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


def run_scripts(scripts: Mapping[Path, str]) -> dict[Path, str]:
    """Run the scripts of pages, each in its copy of the project, which it then takes for kreid.

    Every line must be one of pytest's: they run as it does, but for the import of TensorFlow, which they share.

    Returns:
        What they printed, by copy.
    """
    jobs = []
    for project, script in scripts.items():
        for number, line in enumerate(script.replace("\\\n", " ").splitlines()):
            words = shlex.split(line)
            assert words[:3] == ["python", "-m", "pytest"], f"{line}: expected python -m pytest ..."
            jobs.append((str(project), words[3:], f"{project}-{number}.txt"))
    # Without what is of the run that this is part of.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    runner = [sys.executable, Path(__file__).with_name("pytest_forks.py"), json.dumps(jobs)]
    done = subprocess.run(runner, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = dict.fromkeys(scripts, "")
    for (project, _, said), code in zip(jobs, done.stdout.split(), strict=True):
        text = Path(said).read_text(encoding="utf-8")
        assert code == "0", text[-4000:]
        printed[Path(project)] += text
    return printed
