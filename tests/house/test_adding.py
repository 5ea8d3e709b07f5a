"""What docs/ says of adding a backbone and a loss, its steps carried out as they stand, in copies of the project."""

import re

import pytest
from steps import carry_out, copy_project, read_script, read_steps, run_scripts

ROOMS = ("kreid", "tfrecords_tools", "configs", "docs", "benchmarks", "website")
TESTS = ("conftest.py", "support", "golden/fill.py", "kreid/models", "house/test_readme.py")
COPIED = {
    "adding_a_backbone.md": (
        *(*ROOMS, "pyproject.toml", "Makefile", "README.md"),
        *(f"tests/{name}" for name in TESTS),
    ),
    "adding_a_loss.md": (
        *("kreid", "tfrecords_tools", "pyproject.toml"),
        *("tests/conftest.py", "tests/support", "tests/kreid/losses"),
    ),
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the script of each page prints once its steps are done."""
    folder = tmp_path_factory.mktemp("copies")
    for page, names in COPIED.items():
        copy_project(folder / page, *names)
        for step in read_steps(page):
            carry_out(folder / page, step)
    said = run_scripts({folder / page: read_script(page) for page in COPIED})
    return {path.name: text for path, text in said.items()}


# Of each page the steps, and how many tests pass.
DONE = {
    "adding_a_backbone.md": (
        [
            ("Write", "kreid/models/vgg.py"),
            ("In", "kreid/models/__init__.py"),
            ("In", "kreid/models/__init__.py"),
            ("Write", "configs/vgg16.yaml"),
            ("Write", "tests/kreid/models/test_vgg.py"),
        ],
        r"\b\d+ passed",
    ),
    "adding_a_loss.md": (
        [
            ("Write", "kreid/losses/contrastive.py"),
            ("In", "kreid/losses/table.py"),
            ("In", "kreid/config/sections.py"),
            ("Write", "tests/kreid/losses/test_contrastive.py"),
        ],
        r"\b\d\d passed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("page", COPIED)
def test_the_steps_add_what_passes(page, printed):
    steps, passed = DONE[page]
    assert [(step.verb, step.file) for step in read_steps(page)] == steps
    assert re.search(passed, printed[page]), printed[page][-1000:]
    assert "failed" not in printed[page]
