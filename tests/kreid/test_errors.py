"""What is said of an argument of another kind than asked for."""

from pathlib import Path

import numpy as np
import pytest

from kreid.errors import ConfigError, check_function, check_kind, check_number, check_path, received


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("records/test", "'records/test'"),
        (Path("records/test"), "'records/test'"),
        (None, "None"),
        (2.5, "2.5"),
        ([1, 2], "a list"),
        ({}, "a dict"),
        (OSError(), "an OSError"),
        (np.zeros((3, 2)), "an ndarray of shape (3, 2)"),
        ("two\nlines", r"'two\nlines'"),
        ("x" * 200, f"'{'x' * 76}..."),
    ],
    ids=["text", "path", "none", "number", "list", "dict", "vowel", "array", "lines", "long"],
)
def test_what_was_received_in_words(value, words):
    assert received(value) == words


class Ranking:
    """Stands for the class of that name."""


class QueryFigures:
    """The same."""


def test_a_kind_is_named_with_how_one_gets_it():
    check_kind("ranking", Ranking(), Ranking)
    check_kind("ranking", QueryFigures(), Ranking, QueryFigures)
    with pytest.raises(ConfigError) as raised:
        check_kind("ranking", [], Ranking, QueryFigures)
    assert str(raised.value) == (
        "ranking: expected a Ranking or a QueryFigures, received a list; give kreid.rank(embeddings)"
    )


def test_a_path_is_a_text_or_a_path():
    check_path("out", "here", "a folder")
    check_path("out", Path("here"), "a folder")
    with pytest.raises(ConfigError, match=r"^out: expected the path of a folder, received None$"):
        check_path("out", None, "a folder")
    with pytest.raises(ConfigError, match=r"received a list; join them$"):
        check_path("out", [], "a folder", "join them")


@pytest.mark.parametrize("value", [3, -1, np.int32(3), np.uint8(3)])
def test_whole_numbers(value):
    check_number("k", value)
    check_number("k", value, whole=False)


@pytest.mark.parametrize("value", [2.5, np.float32(2.5)])
def test_numbers_that_are_not_whole(value):
    check_number("share", value, whole=False)
    with pytest.raises(ConfigError, match=r"^k: expected a whole number, received "):
        check_number("k", value)


@pytest.mark.parametrize("value", [True, "3", None, [3], 1j])
def test_what_is_no_number(value):
    with pytest.raises(ConfigError, match=r"^share: expected a number, received "):
        check_number("share", value, whole=False)


def test_a_function_is_what_can_be_called():
    check_function("progress", print, "nothing")
    with pytest.raises(ConfigError, match=r"^progress: expected a function of rows, received True$"):
        check_function("progress", True, "rows")
