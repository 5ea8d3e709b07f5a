"""The pictures of the pages that are of a trained network."""

import sys

import numpy as np
import pytest
from browser import open_browser
from tiny_tree import LISTS, write_tree

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from website import pictures
from website.paths import PAGES

SHOWN = (("50px", "red"), ("5000px", "blue"))


def test_the_clearest_pair_is_right_high_enough_and_the_most_alike():
    """By hand: the queries' nearest are 4, 5, 6 and 7; the first is of another person, the second's match is low."""
    vectors = np.array([[0.0], [10], [20], [30], [0.1], [10.2], [20.3], [30.4]])
    person, action = np.array([1, 2, 3, 4, 9, 2, 3, 4]), np.array([0, 1, 2, 3, 0, 1, 2, 3])
    is_query = np.arange(8) < 4
    ranking = rank(Embeddings(vectors, person, action, np.arange(8), is_query))
    height = np.array([90, 90, 90, 90, 90, 40, 90, 90])
    assert pictures.clearest(ranking, height) == (2, 6)
    assert pictures.clearest(ranking, np.full(8, 90)) == (1, 5)


def test_players_are_those_of_actions_that_fill_a_row(tmp_path, monkeypatch):
    write_tree(tmp_path, LISTS)
    monkeypatch.setattr(pictures, "_COLUMNS", 2)
    picture = pictures.players(tmp_path / "train")  # of three actions one has a single image
    assert picture.size == (2 * (60 + 2), 2 * (96 + 2))


def test_the_pair_is_of_the_run(run_folder, records):
    picture = pictures.alike(run_folder, records / "test")
    assert len(picture.getcolors(1 << 24)) > 50  # of what was drawn, not of the paper alone


def test_a_page_is_shown_from_its_top(tmp_path):
    with open_browser(tmp_path / "profile"):  # skips, or fails in CI, where there is none
        pass
    red, blue = (f"<div style='height: {height}; background: {name}'></div>" for height, name in SHOWN)
    (tmp_path / "page.html").write_text(f"<body style='margin: 0'>{red}{blue}")
    picture = pictures.screen(tmp_path / "page.html", (600, 400))
    assert picture.size == (600, 400)
    assert (picture.getpixel((300, 20)), picture.getpixel((300, 390))) == ((255, 0, 0), (0, 0, 255))


def test_without_a_demonstration_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pictures", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"report\.html: no such file; run make demo first"):
        pictures.main()


@pytest.mark.parametrize("name", ["report", "look", "synthetic"])
def test_the_pages_show_it(name):
    pages = "".join(path.read_text(encoding="utf-8") for path in [*PAGES.rglob("*.md"), PAGES.parent / "README.md"])
    assert f"{name}.png)" in pages
    assert (PAGES / f"{name}.png").is_file()
