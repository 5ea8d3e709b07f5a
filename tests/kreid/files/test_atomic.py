"""JSON files: numbers in a line, the value itself unchanged, and whole or not at all."""

import json

import pytest

from kreid.files.atomic import write_json


def test_lists_of_numbers_stand_on_one_line(tmp_path):
    value = {
        "numbers": [1, 2.5, None, -3e-7, True],
        "names": ["a [ b", 'quote " and ]', "c"],
        "rows": [{"low_high": [0.1, 0.9], "inner": [[1, 2], [3]]}, {"empty": []}],
    }
    path = write_json(tmp_path / "new" / "value.json", value)
    text = path.read_text()
    assert json.loads(text) == value
    for line in ('"numbers": [1, 2.5, null, -3e-07, true]', '"low_high": [0.1, 0.9]', "[1, 2],"):
        assert line in text
    assert '"a [ b",\n' in text


def test_what_is_no_json_leaves_the_older_file(tmp_path):
    path = write_json(tmp_path / "value.json", [1])
    with pytest.raises(TypeError, match="set"):
        write_json(path, {"a": {1}})
    assert json.loads(path.read_text()) == [1]
    assert [path] == list(tmp_path.iterdir())
