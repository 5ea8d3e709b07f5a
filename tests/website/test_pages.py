"""What the pages name is there: commands, options, keys, files; and every page can be found."""

import re
import shlex
import tomllib
from itertools import pairwise

import pytest
from paths import ROOT

from kreid.config.loading import load_config
from website import build, commands, keys
from website.paths import PAGES

FILES = [ROOT / "README.md", *sorted(PAGES.rglob("*.md"))]
STEPS = ("adding_a_backbone.md", "adding_a_loss.md")  # of what is not there yet; tests/house carries them out
THERE = [path for path in FILES if path.name not in STEPS]
COMMANDS = commands.read_commands()
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def lines_of(path):
    """Whole command lines in the blocks of a page, without their `# ...`."""
    for language, block in BLOCK.findall(path.read_text(encoding="utf-8")):
        if language in ("sh", "text", ""):
            for line in block.replace("\\\n", " ").splitlines():
                if re.match(r" *kreid-", line):
                    yield shlex.split(line, comments=True)


def faults_of(words, whole=True):
    """What is wrong with a command line; of a part of one, only options that there are not."""
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    if name not in COMMANDS:
        return [f"{name}: no such command"]
    command, rest, places, given = COMMANDS[name], words[len(name.split()) :], [], set()
    while rest:
        word, _, value = rest.pop(0).partition("=")
        if word == "--" and "--runner" in given:
            break  # what follows is the runner's
        if not word.startswith("--"):
            places.append(word)
        elif word not in command.options:
            return [f"{name}: no option {word}"]
        else:
            given.add(word)
            if command.options[word] and not value and rest:
                rest.pop(0)
    if not whole:
        return []
    needed = [one for one in command.parameters if one.required]
    missing = [one.spellings[0] for one in needed if one.spellings and not given & set(one.spellings)]
    if len(places) < sum(not one.spellings for one in needed):
        missing.append(f"an argument beside {places}")
    return [f"{name}: lacks {what}" for what in missing]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_command_lines_are_what_the_parsers_take(path):
    assert [fault for words in lines_of(path) for fault in faults_of(words)] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_commands_within_text_exist(path):
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    named = re.findall(r"`(kreid-[^`]+)`", " ".join(text.split()))
    assert [fault for code in named for fault in faults_of(shlex.split(code), whole=False)] == []


@pytest.mark.parametrize(
    "line, fault",
    [
        ("kreid-training a.yaml", "kreid-training: no such command"),
        ("kreid-train a.yaml --data d --out o --sets x=1", "kreid-train: no option --sets"),
        ("kreid-train a.yaml --data d", "kreid-train: lacks --out"),
        ("kreid-convert a b -- --project=p", "kreid-convert: no option --"),
        ("kreid-convert a --runner R -- --project=p b", "kreid-convert: lacks an argument beside ['a']"),
        ("kreid-train --data d --out o", "kreid-train: lacks an argument beside []"),
        ("kreid-weights convert f --to osnet_x1_0", "kreid-weights convert: lacks --out"),
    ],
)
def test_a_wrong_line_is_seen(line, fault):
    assert faults_of(shlex.split(line)) == [fault]


@pytest.mark.parametrize("path", THERE, ids=name_of)
def test_overrides_are_what_a_configuration_takes(path):
    for words in lines_of(path):
        sets = [value for option, value in pairwise(words) if option == "--set"]
        if sets and words[1] != "run" and (ROOT / words[1]).is_file():
            load_config(ROOT / words[1], sets)


@pytest.mark.parametrize("path", THERE, ids=name_of)
def test_keys_and_files_that_are_named_exist(path):
    text = path.read_text(encoding="utf-8")
    for key in re.findall(r"`((?:model|loss|data|train|evaluation)\.[\w.]+)[`:=]", text):
        assert key in keys.known_keys() or key.startswith("model.weights."), key
    for file in set(re.findall(r"(?<![\w/])(?:configs|benchmarks|kreid|tfrecords_tools)/[\w/]+\.(?:yaml|py|md)", text)):
        assert (ROOT / file).exists(), file


def test_every_page_stands_in_the_navigation_and_the_other_way_round():
    def pages(entries):
        for entry in entries:
            for value in entry.values():
                yield from pages(value) if isinstance(value, list) else [value]

    navigation = list(pages(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]))
    there = {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.md")} | set(build.made_pages())
    assert there - set(navigation) == set(), "zensical.toml: nav lacks them"
    assert set(navigation) - there == set(), "zensical.toml: nav names them"
    assert len(navigation) == len(set(navigation))


def test_the_lines_to_begin_with_are_those_that_the_suite_runs():
    begin = list(lines_of(PAGES / "getting_started.md"))
    run = [words for words in lines_of(ROOT / "README.md") if any(word.startswith("toy/") for word in words)]
    assert begin == run[: len(begin)]
