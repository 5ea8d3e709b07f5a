"""A search over records, scored as the ranking that it comes to."""

import json

import numpy as np
import pytest
from ranking_cases import drawn

from kreid.ranking import files
from kreid.ranking.embeddings import describe, parse_description
from kreid.ranking.neighbours import search
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from kreid.search.crops import crops_of_embeddings
from kreid.search.files import write_results
from kreid.search.results import Results

EMBEDDINGS = drawn(5, actions=4, most=6)


@pytest.fixture
def searched(tmp_path):
    """What kreid-search writes for all queries and so many of the gallery."""
    EMBEDDINGS.save(tmp_path / "x.npz")
    queries, gallery = (crops_of_embeddings(tmp_path / "x.npz", queries) for queries in (True, False))

    def write(top):
        found = search(queries.vectors, gallery.vectors, top)
        return write_results(Results("x", queries, gallery, found, "euclidean"), tmp_path / "found.json"), len(gallery)

    return write


def test_a_whole_search_has_the_scores_of_the_ranking(searched):
    path, _ = searched(1000)
    expected = rank(EMBEDDINGS)
    assert files.to_json(files.read(path, EMBEDDINGS)) == files.to_json(expected)
    assert files.score(path, EMBEDDINGS) == evaluate(expected)


def test_a_search_that_left_some_of_the_gallery_out_is_refused_in_words(searched):
    path, size = searched(3)
    with pytest.raises(
        ValueError, match=rf"found.json: a search that found 3 of {size} gallery images for query \d+, .*--top"
    ):
        files.score(path, EMBEDDINGS)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda tree: tree["queries"][0].update(query="a.png"),
            "query 'a.png' is no query of records and has no label",
        ),
        (
            lambda tree: tree["queries"][0]["ranking"][2].update(image="b.png"),
            "image 'b.png' is no gallery image of re",
        ),
        (lambda tree: tree["queries"][0].update(ranking=None), "is no query of records"),
        (lambda tree: tree["queries"].insert(0, 7), "query None is no query of records"),
        (lambda tree: tree["queries"].append(tree["queries"][0]), r"query \d+ stands twice"),
        (lambda tree: tree.update(queries=7), "query None is no query of records"),
        (lambda tree: tree["queries"].pop(), "queries left out: 1"),
        (lambda tree: tree["queries"][0].update(query="x: query 987654 of action 0"), "keys that are no query: 1"),
    ],
)
def test_what_is_no_search_of_these_records_is_refused(searched, change, message):
    path, _ = searched(1000)
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=f"found.json: .*{message}"):
        files.read(path, EMBEDDINGS)


def test_words_for_an_image_are_read_back():
    for row in np.arange(len(EMBEDDINGS)):
        images = EMBEDDINGS.images
        expected = (images.is_query[row], images.bbox[row], images.action[row])
        assert parse_description(f"a folder: {describe(images, row)}") == expected
    assert parse_description("query 1 of action 2.png") is None
    assert parse_description("my_query 1 of action 2") is None
