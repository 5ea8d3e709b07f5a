"""docs/adding_a_loss.md, its steps carried out as they stand, in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

PAGE = (ROOT / "docs" / "adding_a_loss.md").read_text(encoding="utf-8")
COPIED = ("kreid", "tfrecords_tools", "pyproject.toml", "tests/conftest.py", "tests/support", "tests/kreid/losses")
# What a step does to which file, and the block that says with what.
STEPS = re.findall(
    r"(Write|In) `([\w./]+)`[^\n]*:\n\n(?:<!-- fmt: off -->\n)?```python\n(.*?)^```", PAGE, flags=re.M | re.S
)


@pytest.fixture
def project(tmp_path):
    for name in COPIED:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    return tmp_path


def carry_out(project, verb, name, block):
    path = project / name
    if verb == "Write":
        assert not path.exists(), f"{name} is there already; the page needs another example"
        path.write_text(block, encoding="utf-8")
        return
    first, _, others = block.partition("\n")
    text = path.read_text(encoding="utf-8")
    assert text.count(f"{first}\n") == 1, f"{name}: the page's line is not there once: {first}"
    path.write_text(text.replace(f"{first}\n", f"{first}\n{others}"), encoding="utf-8")


def test_the_steps_add_a_loss_that_passes(project):
    assert [(verb, name) for verb, name, _ in STEPS] == [
        ("Write", "kreid/losses/contrastive.py"),
        ("In", "kreid/losses/table.py"),
        ("In", "kreid/config/sections.py"),
        ("Write", "tests/kreid/losses/test_contrastive.py"),
    ]
    for step in STEPS:
        carry_out(project, *step)
    (script,) = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.M | re.S)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=project,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert re.search(r"\b\d\d passed", done.stdout), done.stdout[-1000:]
