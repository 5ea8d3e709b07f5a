"""The reference of commands, held against what the commands themselves print."""

import importlib
import re

import pytest
from tiny_runs import SCRIPTS, invoke

from website import commands

COMMANDS = commands.read_commands()


def application(name):
    if name == "kreid-convert check":
        return importlib.import_module("tfrecords_tools.check_cli").app
    return importlib.import_module(SCRIPTS[name.split()[0]].partition(":")[0]).app


def test_every_script_is_there():
    assert {name.split()[0] for name in COMMANDS} == set(SCRIPTS)
    assert {"kreid-convert check", "kreid-weights inspect", "kreid-weights convert", "kreid-weights run"} <= set(
        COMMANDS
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_are_those_that_help_lists(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    code, lines, _ = invoke(capsys, application(name), *name.split()[1:], "--help")
    assert code == 0
    listed = [line for line in lines if re.match(r" +-", line)]
    spelled = {word for line in listed for word in re.findall(r"--[a-z][a-z0-9-]*", line.split("   ")[0])}
    hidden = set(COMMANDS[name].hidden)
    assert set(COMMANDS[name].options) - hidden - {"-h"} == spelled


def test_parameters_by_hand():
    named = {one.spellings[0] if one.spellings else one.value: one for one in COMMANDS["kreid-evaluate"].parameters}
    assert named["RUN"].required
    assert named["--data"][1:4] == ("DIR", "", True)
    assert named["--split"].default == "`test`"
    assert named["--metric"].value == "`euclidean`, `cosine`"
    assert named["--flip"][:2] == (("--flip", "--no-flip"), "")
    assert named["--crops"].bounds == "from 1 to 6"
    assert named["--with"].several


def test_the_page_keeps_signs_and_lines():
    page = commands.page()
    assert r"metrics\_&lt;split>.json" in page
    assert "What `kreid-convert` wrote; not with `--cost`." in page
    assert "kreid-convert toy records --synthetic " in page
    assert "## kreid-weights run" in page
    assert "--gallery" not in page[page.index("## kreid-rank") : page.index("## kreid-score")].split("| argument")[1]
