import logging
import signal
import subprocess
import sys
import threading

import pytest
import typer

from tfrecords_tools import console
from tfrecords_tools.errors import ConfigError


def leave_with(body, *args):
    """Run a command with the function `body` and one integer option, and return its exit code."""
    app = console.make_app()

    @app.command()
    def command(number: int = 0) -> None:
        body()

    with pytest.raises(SystemExit) as left:
        console.run(app, list(args))
    return left.value.code


def raiser(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    "error, code, line",
    [
        (ValueError("a.png: cut short"), 1, "error: a.png: cut short"),
        (ConfigError("fraction: received 2"), 2, "error: fraction: received 2"),
        (
            FileNotFoundError(2, "No such file or directory", "a [b].png"),
            1,
            "error: a [b].png: No such file or directory",
        ),
        (OSError(28, "No space left on device"), 1, "error: No space left on device"),
        (OSError("cannot identify image file"), 1, "error: cannot identify image file"),
        (ValueError("first\n\n  second\n"), 1, "error: first; second"),
        (ValueError(), 1, "error: ValueError"),
        (ValueError("\udcff.png"), 1, "error: \\udcff.png"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (typer.Abort(), 130, "error: interrupted"),
        (typer.BadParameter("must be odd"), 2, "error: Invalid value: must be odd"),
    ],
)
def test_mistake_is_one_line_and_a_code(error, code, line, capsys):
    assert leave_with(raiser(error)) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [one.split(". Try '")[0] for one in captured.err.splitlines()] == [line]


@pytest.mark.parametrize("args", [["--numbr", "3"], ["--number", "three"], ["extra"]])
def test_wrong_argument_is_refused_before_the_function_runs(args, capsys):
    assert leave_with(raiser(RuntimeError("must not run")), *args) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert "--help" in err


def test_fault_of_the_program_keeps_its_traceback():
    app = console.make_app()
    app.command()(raiser(KeyError("bug")))
    with pytest.raises(KeyError, match="bug"):
        console.run(app, [])


def test_success_prints_the_path_last(tmp_path, capsys):
    def body():
        console.note("[3/4] converted")
        console.warn("2 sizes differ")
        console.finish(tmp_path / "out [x]")

    assert leave_with(body) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'out [x]'}\n"
    assert captured.err == "[3/4] converted\nwarning: 2 sizes differ\n"


def test_logged_warnings_are_shown_while_the_command_runs(capsys):
    def body():
        logging.getLogger("tfrecords_tools.sources.soccernet").warning("%d gaps\nin all", 2)
        logging.getLogger("tfrecords_tools.writer").info("not shown")

    assert leave_with(body) == 0
    assert capsys.readouterr().err == "warning: 2 gaps; in all\n"
    assert logging.getLogger("tfrecords_tools").handlers == []


def test_exit_code_of_typer_exit_is_kept():
    assert leave_with(raiser(typer.Exit(3))) == 3


def test_help_answers_with_zero(capsys):
    assert leave_with(raiser(RuntimeError("must not run")), "--help") == 0
    assert "--number" in capsys.readouterr().out


def test_traceback_on_demand(monkeypatch, capsys):
    monkeypatch.setenv("KREID_TRACEBACK", "1")
    assert leave_with(raiser(ValueError("bad"))) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: bad\n")


def test_a_closed_standard_error_takes_no_line_and_changes_no_code(monkeypatch, capsys):
    def body():
        monkeypatch.setattr(sys, "stderr", None)  # as Python has it after 2>&-
        console.note("progress")
        console.finish("somewhere")

    assert leave_with(body) == 0
    assert capsys.readouterr().out == "somewhere\n"


PROGRAM = """
import time
from tfrecords_tools import console

app = console.make_app()

@app.command()
def command() -> None:
    try:
        print("ready", flush=True)
        time.sleep({seconds})
        console.finish("somewhere")
    finally:
        console.note("cleaned")

console.run(app, [])
"""


def start(seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(seconds=seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    "number, code, said", [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signal_runs_the_cleaning_up(number, code, said):
    process = start(seconds=30)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == ""
    assert err == f"cleaned\nerror: {said}\n"


def test_reader_that_leaves_early_causes_no_traceback():
    process = start(seconds=0.5)
    process.stdout.close()
    assert process.stderr.read() == "cleaned\n"
    process.stderr.close()
    assert process.wait(20) == 1


def test_reader_of_notes_that_leaves_early_changes_nothing():
    """As `tee` at a Ctrl-C: what it would have read is dropped, also by Python's own last flush."""
    process = start(seconds=0.5)
    process.stderr.close()
    assert process.stdout.read() == "somewhere\n"
    process.stdout.close()
    assert process.wait(20) == 0


class Deleted:
    """An object in whose `__del__` a signal comes, where Python drops what is raised."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


@pytest.mark.parametrize(
    "number, code, line", [(signal.SIGTERM, 143, "error: terminated\n"), (signal.SIGINT, 130, "error: interrupted\n")]
)
def test_a_signal_that_comes_while_an_object_is_deleted_is_obeyed(capsys, number, code, line):
    app = console.make_app()

    @app.command()
    def work() -> None:
        deleted = Deleted(number)
        del deleted
        threading.Event().wait(30)
        print("went on")

    with pytest.raises(SystemExit) as left:
        console.run(app, [])
    captured = capsys.readouterr()
    assert (left.value.code, captured.out, captured.err) == (code, "", line)
