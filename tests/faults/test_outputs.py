"""What cannot be written is told before the work, and if it turns out at the end, nothing is lost that can be shown."""

import errno
import importlib
import os
import shutil

import pytest
from PIL import Image
from tiny_runs import invoke

from kreid.config.loading import dump

pytestmark = pytest.mark.usefixtures("resnet_stem")

LONG = "x" * 300
# Command -> its arguments; {out} is what cannot be written.
COMMANDS = {
    "batch": ("{config}", "--data", "{records}", "--out", "{out}.png"),
    "compare": ("{run}", "--out", "{out}.md"),
    "embed": ("{run}", "{image}", "--out", "{out}.npz"),
    "search": ("{run}", "--gallery", "{image}", "--query", "{image}", "--out", "{out}.html"),
    "match": ("{run}", "--data", "{records}", "--out", "{out}"),
    "rank": ("{run}", "--gallery", "{image}", "--query", "{image}", "--out", "{out}.html"),
    "score": ("{config}", "{records}/test", "--out", "{out}.json"),
    "look": ("{run}", "{image}", "--out", "{out}"),
    "export": ("{run}", "--out", "{out}"),
    "weights": ("convert", "{config}", "--to", "osnet_x0_25", "--out", "{out}.weights.h5"),
    "tune": ("{config}", "--data", "{records}", "--space", "{config}", "--out", "{out}"),
    "train": ("{config}", "--data", "{records}", "--out", "{out}"),
}


def app_of(name):
    return importlib.import_module(f"kreid.cli.{name}")


def refuse_work(monkeypatch, module):
    """Let a command end where its work would begin."""

    def work():
        raise AssertionError("the work has begun")

    if hasattr(module, "load_tensorflow"):
        monkeypatch.setattr(module, "load_tensorflow", work)


@pytest.fixture
def places(run_folder, records, tiny_one, tmp_path):
    (tmp_path / "config.yaml").write_text(dump(tiny_one), encoding="utf-8")
    Image.new("RGB", (8, 16)).save(tmp_path / "image.png")
    (tmp_path / "file").touch()
    names = {"config": tmp_path / "config.yaml", "image": tmp_path / "image.png"}
    return {**names, "run": run_folder, "records": records, "folder": tmp_path}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("out", "code", "message"), [("file/new", 2, "expected a folder"), (LONG, 1, f"{LONG}")], ids=["file", "long"]
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    places, monkeypatch, capsys, name, out, code, message
):
    module, before = app_of(name), sorted(places["folder"].rglob("*"))
    refuse_work(monkeypatch, module)
    arguments = [part.format(**places, out=places["folder"] / out) for part in COMMANDS[name]]
    left, printed, said = invoke(capsys, module.app, *arguments)
    assert (left, printed) == (code, [])
    last = said.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert ".partial" not in said
    assert sorted(places["folder"].rglob("*")) == before


@pytest.mark.parametrize(("name", "file"), [("evaluate", "metrics_test.json"), ("rank", "report_test.html")])
def test_what_stands_in_the_way_inside_a_run(places, monkeypatch, capsys, name, file):
    run = places["folder"] / "run"
    shutil.copytree(places["run"], run, ignore=shutil.ignore_patterns("*.json", "*.html"))  # of other tests
    (run / file).mkdir()
    module = app_of(name)
    refuse_work(monkeypatch, module)
    code, _, said = invoke(capsys, module.app, run, "--data", places["records"])
    assert (code, said) == (2, f"error: {run / file}: a folder, expected the name of a file to write\n")


def test_the_table_is_printed_though_it_cannot_be_written(places, monkeypatch, capsys):
    run = places["folder"] / "run"
    shutil.copytree(places["run"], run, ignore=shutil.ignore_patterns("*.json", "*.html"))  # of other tests
    (run / "metrics_test.json").write_text("older")

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, printed, said = invoke(capsys, app_of("evaluate").app, run, "--data", places["records"])
    assert code == 1
    assert said.splitlines()[-1] == f"error: {run / 'metrics_test.json'}: No space left on device"
    assert any("mAP" in line for line in printed)
    assert any(line.startswith("trained ") for line in printed)
    assert (run / "metrics_test.json").read_text() == "older"
    assert not list(run.rglob(".partial*"))
