"""docs/adding_a_backbone.md, its steps carried out as they stand, in a copy of the project."""

import re

import pytest
from steps import carry_out, copy_project, read_script, read_steps, run_script

PAGE = "adding_a_backbone.md"
ROOMS = ("kreid", "tfrecords_tools", "configs", "docs", "benchmarks", "website")
COPIED = (*ROOMS, "pyproject.toml", "Makefile", "README.md")
TESTS = ("conftest.py", "support", "golden/fill.py", "kreid/models", "house/test_readme.py")


@pytest.mark.slow
def test_the_steps_add_a_backbone_that_passes(tmp_path):
    steps = read_steps(PAGE)
    assert [(step.verb, step.file) for step in steps] == [
        ("Write", "kreid/models/vgg.py"),
        ("In", "kreid/models/__init__.py"),
        ("In", "kreid/models/__init__.py"),
        ("Write", "configs/vgg16.yaml"),
        ("Write", "tests/kreid/models/test_vgg.py"),
    ]
    copy_project(tmp_path, *COPIED, *(f"tests/{name}" for name in TESTS))
    for step in steps:
        carry_out(tmp_path, step)
    said = run_script(tmp_path, read_script(PAGE))
    assert re.search(r"\b\d+ passed", said), said[-1000:]
    assert "failed" not in said
