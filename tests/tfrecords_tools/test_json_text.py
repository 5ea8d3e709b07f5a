"""JSON texts, and texts that are none."""

import pytest

from tfrecords_tools.json_text import load_json

TEXT = '{"a": [1, 2.5, null]}'


@pytest.mark.parametrize("text", [TEXT, TEXT.encode(), TEXT.encode("utf-8-sig"), TEXT.encode("utf-16")])
def test_what_a_text_holds(text):
    assert load_json(text) == {"a": [1, 2.5, None]}


def test_options_are_those_of_the_standard_library():
    assert load_json('{"a": 1, "a": 2}', object_pairs_hook=list) == [("a", 1), ("a", 2)]


@pytest.mark.parametrize(
    "text",
    ["", "{", b"\xff", b'{"a": 1}\0', "[" * 100_000, '{"a":' * 100_000, "9" * 5000],
    ids=["empty", "cut", "no UTF-8", "zero", "lists", "objects", "digits"],
)
def test_what_is_none_is_a_value_error(text):
    with pytest.raises(ValueError, match="."):
        load_json(text)
