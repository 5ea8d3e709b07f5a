"""The reference of keys: every key of both embedders, with type, range and default as the code has them."""

import pytest

from kreid.config.loading import check
from website import keys

PARTS = {part.title: part for part in keys.read_parts()}


def flat(tree, prefix=""):
    for name, value in tree.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")


@pytest.mark.parametrize("embedder", ["two_stream", "one_stream"])
def test_every_key_is_there(embedder):
    tree = check({"model": {"embedder": embedder}}).model_dump()
    assert set(flat(tree)) <= keys.known_keys()


@pytest.mark.parametrize(
    "part, name, kind, bounds, default",
    [
        ("`train`", "ema", "number", "0 or more, below 1", "`0`"),
        ("`train`", "learning_rate", "number", "above 0", "`1e-05`"),
        ("`train`", "rates", "text: number", "above 0", "`{}`"),
        ("`train`", "clip_norm", "number, `null`", "above 0", "`null`"),
        ("`loss`", "margin", "number, `soft`", "0 or more", "`0.3`"),
        ("`loss`", "circle_margin", "number", "above -1, below 1", "`0.25`"),
        ("`data`", "erase_area", "[number, number]", "above 0, at most 1", "`[0.02, 0.4]`"),
        ("`data`", "views", "whole number", "2 or more, below 2³¹", "`4`"),
        ("`model`, `two_stream`", "embedder", "`two_stream`", "", "**required**"),
        ("`model`, `one_stream`", "fc", "list of whole numbers", "above 0, at most 2²⁰", "`[]`"),
        ("`model.appearance`", "last_stride", "`1`, `2`, `null`", "", "`null`"),
        ("`model.bilinear`", "signed_sqrt", "`true` or `false`", "", "`false`"),
        ("`evaluation`", "rerank", "section or `null`", "", "`null`"),
    ],
)
def test_rows_by_hand(part, name, kind, bounds, default):
    (key,) = [key for key in PARTS[part].keys if key.name == name]
    assert key[1:4] == (kind, bounds, default)
    assert key.meaning


def test_sections_of_both_embedders_stand_once():
    titles = [part.title for part in keys.read_parts()]
    assert len(titles) == len(set(titles))
    assert "`model.mid`" in titles
    assert titles.count("`model.appearance`") == 1


def test_the_page_has_a_row_a_key():
    page = keys.page()
    for part in keys.read_parts():
        for key in part.keys:
            assert f"| `{key.name}` |" in page
    assert "{ #evaluation-rerank }" in page
