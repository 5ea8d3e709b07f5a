import sys
from pathlib import Path

import pytest
from tiny_runs import invoke

from tfrecords_tools.cli import app as convert
from tfrecords_tools.console import make_app, parse_place
from tfrecords_tools.console.runner import Runner, RunnerCommand, RunnerOptions


@pytest.fixture
def received():
    """A command that says what it received, in a list of lists."""
    app, said = make_app(), []

    @app.command(cls=RunnerCommand)
    def work(files: list[Path], runner: Runner = None, runner_option: RunnerOptions = None) -> None:
        said.append((list(map(str, files)), runner, runner_option))

    return app, said


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["a", "--runner", "R", "--", "--project=p", "x"], (["a"], "R", ["--project=p", "x"])),
        (["a", "--runner=R", "--", "--a", "--", "b"], (["a"], "R", ["--a", "--", "b"])),
        (["a", "--runner-option=--x", "--runner=R"], (["a"], "R", ["--x"])),
        (["a", "--runner=R"], (["a"], "R", None)),
        (["a", "--", "--runner=R"], (["a", "--runner=R"], None, None)),  # as anywhere: the names of files follow
        (["--", "-b"], (["-b"], None, None)),
    ],
)
def test_what_follows_two_dashes_is_the_runner_s(received, capsys, arguments, meant):
    app, said = received
    assert invoke(capsys, app, *arguments)[0] == 0
    assert said == [meant]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("gs://b/a/c", "gs://b/a/c"), ("s3://b/", "s3://b"), ("/a/b", "/a/b"), ("a:/b", "a:/b"), ("x/gs://b", "x/gs:/b")],
)
def test_an_address_is_as_it_was_typed(typed, meant):
    assert str(parse_place(typed)) == meant


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gs://b/x", "out"], "ROOT gs://b/x: an address is read and written with --runner alone"),
        (["x", "gs://b/out"], "OUT gs://b/out: an address is read and written with --runner alone"),
        (["x", "out", "--runner-option=--project=p"], "--runner-option --project=p: goes with --runner"),
        (["x", "out", "--runner", "R", "--resume"], "--runner: goes without --synthetic, --actions and --resume"),
    ],
)
def test_what_a_runner_does_not_go_with_is_told(capsys, arguments, words):
    code, _, said = invoke(capsys, convert, *arguments)
    assert (code, words in said, said.count("\n")) == (2, True, 1), said


def test_without_beam_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "tfrecords_tools.pipelines.run", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    code, _, said = invoke(capsys, convert, "x", "out", "--runner", "DirectRunner")
    assert (code, said.count("\n")) == (2, 1)
    assert "needs Apache Beam" in said
    assert "pip install 'kreid[beam]'" in said
