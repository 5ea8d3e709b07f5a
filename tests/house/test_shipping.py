"""What is shipped: a wheel out of the sdist, in an environment that has kreid from it alone, and the tour run there."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Python 3.11.0 to 3.11.3 know no filters of archives, and 3.12 warns where none is named.
FILTER = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
TOUR = ROOT / "examples" / "tour.ipynb"
BUILT_FROM = ("kreid", "tfrecords_tools", "configs", "pyproject.toml", "README.md", "LICENSE")
BUILD = "from setuptools import build_meta; print(build_meta.{}({!r}))"
# In the place of the cell that says what the tour trains: as little as has every part, in steps that are not traced.
SMALL = """\
from pathlib import Path

import numpy as np
import tensorflow as tf

import kreid
from kreid.models import openpose, resnet

tf.config.run_functions_eagerly(True)
resnet.STAGES = ((2, 64, 1), (3, 128, 1))
openpose.BODY_25_BLOCKS = 1
narrow = ["model.appearance.width_divisor=32", "model.part.width_divisor=32", "model.bilinear.output_dim=16"]
config = kreid.load_config("demo", [*narrow, "train.epochs=1", "train.steps_per_epoch=1", "data.persons=4"])
actions = 6
"""


def build(what, folder, out):
    """Build as pip and uv do, by setuptools' own hook, without fetching anything; returns the file."""
    out.mkdir()
    code = BUILD.format(f"build_{what}", str(out))
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    return next(out.iterdir())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Built from a copy, since building leaves its own folders behind."""
    place = tmp_path_factory.mktemp("sdist")
    (place / "tree").mkdir()
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, place / "tree" / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, place / "tree")
    return build("sdist", place / "tree", place / "dist")


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Built from the sdist, as `python -m build` does: what that lacks, the wheel lacks."""
    place = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, **FILTER)
    (folder,) = place.iterdir()
    return build("wheel", folder, place / "dist")


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment's `bin`: kreid from the wheel, and what it depends on from where the suite has it."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place)
    python = place / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True, cwd=place, env=clean())
    (packages,) = place.glob("lib/python*/site-packages")
    # Added behind its own, and without the files in there that would bring the checkout.
    there = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(there), encoding="utf-8")
    return place / "bin"


def clean():
    """The environment without what leads to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}


def test_the_wheel_holds_what_the_packages_read(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for pattern in ("*.py", "py.typed"):
        for package in ("kreid", "tfrecords_tools"):
            expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob(pattern)}
            assert expected <= names
    shipped = [path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")]
    assert {f"kreid/configs/{path}" for path in shipped} <= names
    assert {f"kreid/pages/assets/{path.name}" for path in (ROOT / "kreid" / "pages" / "assets").iterdir()} <= names
    assert not [name for name in names if name.split("/")[0] in ("tests", "website", "benchmarks", "configs", "docs")]


def test_commands_find_shipped_configurations_by_name(installed, tmp_path):
    """Before TensorFlow loads: what is wrong here is the data, no longer the configuration."""
    assert {path.name for path in installed.glob("kreid-*")} == set(PROJECT["scripts"])
    line = [installed / "kreid-train", "two_stream", "--data", "nowhere", "--out", "run"]
    done = subprocess.run(line, cwd=tmp_path, env=clean(), capture_output=True, text=True)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "configuration" not in done.stderr


@pytest.fixture
def kernel(installed, tmp_path, monkeypatch):
    """A kernel for notebooks: the environment's Python, found where Jupyter looks."""
    folder = tmp_path / "jupyter" / "kernels" / "installed"
    folder.mkdir(parents=True)
    line = [str(installed / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": line, "display_name": "installed", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PATH", f"{installed}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return "installed"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own
def test_the_tour_runs_from_the_wheel(kernel, installed, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(TOUR, as_version=4)
    (first,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    first.source = SMALL
    notebook.cells.append(nbformat.v4.new_code_cell("print(kreid.__file__, kreid.__version__)"))
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, kernel_name=kernel, timeout=300, resources=place).execute()
    said = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    assert said == f"{next(installed.parent.glob('lib/*/site-packages'))}/kreid/__init__.py {PROJECT['version']}\n"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output["data"]["text/plain"] for output in outputs if "data" in output]
    assert any(text.startswith("mAP ") for text in shown)
    for name in ("run/model.weights.h5", "report.html"):
        assert (tmp_path / "tour" / name).exists(), name


def test_the_tour_is_kept_without_outputs():
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_citation_names_the_version_and_the_license():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"]
    assert cited["cff-version"] == "1.2.0"
    assert all({"title", "authors"} <= set(reference) for reference in [cited, *cited["references"]])


def test_continuous_integration_tries_every_python_that_the_project_allows():
    """By the one script that says what must hold."""
    flow = yaml.load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"), yaml.BaseLoader)
    (job,) = flow["jobs"].values()
    low, high = (int(bound.split(".")[1]) for bound in PROJECT["requires-python"].replace(">=", "").split(",<"))
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(low, high)]
    assert any(step.get("run", "").strip() == ".ci/run" for step in job["steps"])


def test_the_image_copies_what_is_there_and_is_sent():
    """Without a container: what its lines name exists, is let through, and suffices for a wheel."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    copied = [name for name in copied if name[:2] != "--" and name[:1] != "/"]
    assert set(BUILT_FROM) <= set(copied)
    assert all((ROOT / name).exists() for name in copied)
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert set(copied) == let_through
    (extras,) = [line.partition("EXTRAS=")[2].split()[0] for line in lines if "--build-arg" in line]
    assert extras in PROJECT["optional-dependencies"]


def test_the_version_is_what_python_finds():
    assert importlib.metadata.version("kreid") == PROJECT["version"]
