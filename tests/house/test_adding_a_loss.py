"""docs/adding_a_loss.md, its steps carried out as they stand, in a copy of the project."""

import re

import pytest
from steps import carry_out, copy_project, read_script, read_steps, run_script

PAGE = "adding_a_loss.md"
COPIED = ("kreid", "tfrecords_tools", "pyproject.toml", "tests/conftest.py", "tests/support", "tests/kreid/losses")


@pytest.mark.slow
def test_the_steps_add_a_loss_that_passes(tmp_path):
    steps = read_steps(PAGE)
    assert [(step.verb, step.file) for step in steps] == [
        ("Write", "kreid/losses/contrastive.py"),
        ("In", "kreid/losses/table.py"),
        ("In", "kreid/config/sections.py"),
        ("Write", "tests/kreid/losses/test_contrastive.py"),
    ]
    copy_project(tmp_path, *COPIED)
    for step in steps:
        carry_out(tmp_path, step)
    said = run_script(tmp_path, read_script(PAGE))
    assert re.search(r"\b\d\d passed", said), said[-1000:]
    assert "failed" not in said
