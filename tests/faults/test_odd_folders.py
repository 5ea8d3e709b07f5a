"""Folders whose names are patterns, markup or no text at all: records are written there and read as anywhere else."""

import os
import sys

import numpy as np
import pytest
from tiny_tree import LISTS, make_image, write_thumbnail, write_tree

from kreid.data.images import file_batches, read_image
from kreid.data.records import read_fields, record_batches
from kreid.ranking.truth import read_groundtruth
from tfrecords_tools import cli
from tfrecords_tools.index import read_index
from tfrecords_tools.sources.soccernet import scan
from tfrecords_tools.synthetic.tree import draw
from tfrecords_tools.writer import convert

NAMES = ["[ab] *?.{x}", os.fsdecode(b"caf\xe9 \xff"), "two\nlines", "%s {name} \\ 'q' \"é\"", "#1;=&"]


@pytest.fixture(params=NAMES, ids=ascii)
def place(request, tmp_path):
    folder = tmp_path / request.param
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("a file system that takes no such name")
    return folder


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kreid-convert", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code, capsys.readouterr()


def test_records_are_written_and_read_there(place, monkeypatch, capsys):
    tree = write_tree(place / "tree", {"test": LISTS["test"]})
    code, said = command(monkeypatch, capsys, tree, place / "records")
    assert (code, said.err.count("error")) == (0, 0)
    assert command(monkeypatch, capsys, tree, place / "records", "--overwrite")[0] == 0
    code, said = command(monkeypatch, capsys, tree, place / "records")
    assert code == 2
    assert "already there" in said.err
    index = read_index(place / "records" / "test")
    entries = scan(tree, "test")
    assert all(entry.path.read_bytes() in record for entry, record in zip(entries, index.read(range(3)), strict=True))
    ((fields,), (images,)) = (
        list(read_fields(index, np.arange(3))),
        list(record_batches(place / "records" / "test", (12, 6))),
    )
    assert fields["image"].tolist() == [entry.path.read_bytes() for entry in entries]
    np.testing.assert_array_equal(images, next(iter(file_batches([entry.path for entry in entries], (12, 6)))))
    assert len(read_groundtruth(place / "records" / "test")) == 3


def test_an_image_of_that_name_is_read(place):
    path = place / f"{place.name}.png"
    path.write_bytes(make_image(0))
    assert read_image(path).shape == (12, 6, 3)
    assert next(iter(file_batches([path], (12, 6)))).shape == (1, 12, 6, 3)


def test_a_game_of_that_name_is_kept(place, tmp_path):
    game = f"england/2014-2015/{place.name}"
    for bbox, subset in enumerate(("query", "gallery")):
        write_thumbnail(tmp_path / "tree", "test", subset, 0, 0, 20 + bbox, game=game)
    convert(tmp_path / "tree", tmp_path / "records")
    index = read_index(tmp_path / "records" / "test")
    assert index.games.tolist() == [game]
    (fields,) = read_fields(index, np.arange(2))
    assert fields["game"].tolist() == [os.fsencode(game)] * 2


def test_a_set_is_drawn_there(place):
    assert scan(draw(place / "drawn", {"challenge": 1}).parent, "challenge")
