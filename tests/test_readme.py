"""The README's commands, run as they stand; and that what it names is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


@pytest.mark.slow
def test_the_lines_that_need_no_download_run(tmp_path):
    (script,) = [block for block in blocks("sh") if "--synthetic" in block]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("run/metrics_test.json", "run/ranking_challenge.json", "run/report_challenge.html", "queries.npz"):
        assert (tmp_path / "toy" / name).exists(), name
    assert (tmp_path / "toy" / "run" / "serving" / "1" / "saved_model.pb").exists()


def test_the_python_lines_use_names_that_exist():
    import kreid

    (code,) = [block for block in blocks("python") if "load_config" in block]
    for name in re.findall(r"kreid\.(\w+)", code):
        assert getattr(kreid, name)


def test_no_placeholder_is_left():
    assert not re.findall(r"[A-Z]+_HERE|TODO|XXX", README)


def test_paths_and_links_exist():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link
    for config in set(re.findall(r"configs/\w+\.yaml", README)):
        assert (ROOT / config).exists(), config


def test_make_targets_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for target in set(re.findall(r"`?make (\w+)[ `]", README)):
        assert target in targets


@pytest.mark.parametrize("key", sorted(set(re.findall(r"`((?:model|loss|data|train)\.[\w.]+)`", README))))
def test_keys_exist(key):
    from kreid.config import check

    node = check({"model": {"embedder": "two_stream"}})
    for part in key.split("."):
        node = getattr(node, part)
