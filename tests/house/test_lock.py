"""The lock holds a version of everything that the project depends on, and each within the bounds of pyproject.toml."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What the two commands do not install: CUDA's packages, and extras for some users.
LEFT_OUT = {"gpu", "faiss", "beam"}
NEEDED = [
    *PROJECT["dependencies"],
    *(one for extra, some in PROJECT["optional-dependencies"].items() if extra not in LEFT_OUT for one in some),
]
LINES = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
LOCKED = {canonicalize_name(name): version for name, version in (line.split("==") for line in LINES)}


@pytest.mark.parametrize("line", NEEDED)
def test_a_dependency_is_locked_within_its_bounds(line):
    requirement = Requirement(line)
    version = LOCKED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"constraints.txt has {version}"
    assert any(bound.operator == ">=" for bound in requirement.specifier), "a lower bound says what is needed"
    assert not any(bound.operator in ("==", "<", "<=", "~=") for bound in requirement.specifier), (
        "which stays open above"
    )


def test_the_lock_names_versions_alone():
    """No index, no path of a machine, no version that only one build has."""
    for line in LINES:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line


def test_the_two_commands_install_from_it():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("installed", "installed-dev", "installed-docs"):
        (recipe,) = re.findall(rf"^\$\(VENV\)/{target}: .* constraints\.txt\n((?:\t.*\n)+)", makefile, flags=re.M)
        installs = [line for line in recipe.splitlines() if "$(INSTALL)" in line]
        assert installs
        assert all("--constraint constraints.txt" in line for line in installs)
