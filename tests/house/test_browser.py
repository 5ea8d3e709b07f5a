"""A missing browser is told: a skipped test where people work, a failed one where nobody reads what was skipped."""

import shutil
import subprocess

import pytest
from browser import NAMES, open_browser
from paths import ROOT

MISSING = "none of chromium, .* is installed; on Debian, as root: apt-get install chromium"


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without a browser: its PATH leads to what `.ci/run` begins with, and to a `make` that says its goal."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    program(tmp_path / "make", "echo $1")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path, *lines):
    path.write_text("\n".join([f"#!{path.parent}/bash", *lines]))
    path.chmod(0o755)


@pytest.mark.parametrize(
    "ci, outcome", [("true", pytest.fail.Exception), ("", pytest.skip.Exception), (None, pytest.skip.Exception)]
)
def test_no_browser_skips_at_home_and_fails_in_ci(bare, monkeypatch, ci, outcome):
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=MISSING), open_browser(bare):
        pass


def run(bare):
    return subprocess.run(["bash", ROOT / ".ci" / "run"], env={"PATH": str(bare)}, capture_output=True, text=True)


def test_ci_begins_nothing_without_a_browser(bare):
    done = run(bare)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no browser")
    assert "apt-get install chromium" in line


@pytest.mark.parametrize("name", NAMES)
def test_ci_takes_any_browser_that_tests_find(bare, name):
    program(bare / name)
    assert (run(bare).stdout.split()[0], run(bare).returncode) == ("lint", 0)


@pytest.mark.parametrize("user, code", [(0, 0), (1000, 1)])
def test_ci_installs_a_browser_where_it_may(bare, user, code):
    program(bare / "id", f"echo {user}")
    program(bare / "chmod", f"exec {shutil.which('chmod', path='/bin:/usr/bin')} $@")
    installs = f'[[ $* == *"install "*chromium ]] && echo > {bare}/chromium && chmod +x {bare}/chromium'
    program(bare / "apt-get", installs, "true")
    done = run(bare)
    assert done.returncode == code
    assert (bare / "chromium").exists() == (code == 0)
