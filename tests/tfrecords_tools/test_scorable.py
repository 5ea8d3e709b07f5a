import numpy as np
import pytest

from tfrecords_tools.scorable import find_unmatched, why_unscorable

# Action, person, camera, whether it is a query; and of a query whether nothing counts for it in an action, or across
# cameras.
VIEWS = [
    ((0, 1, 0, True), (False, True)),  # the gallery has it on its own camera alone
    ((0, 1, 0, False), (False, False)),
    ((0, 1, 1, True), (False, False)),
    ((0, 2, 0, True), (True, True)),  # nowhere
    ((0, 2, 1, True), (True, True)),  # on another camera, which is a query too
    ((1, 2, 5, False), (False, False)),
    ((0, 3, -1, True), (False, True)),  # what is unknown counts as one camera
    ((0, 3, -1, False), (False, False)),
    ((1, 1, 7, True), (True, True)),  # its person is in another action
]


@pytest.mark.parametrize("place, protocol", [(0, "action"), (1, "cross_camera")])
def test_queries_of_whom_nothing_counts(place, protocol):
    columns = map(np.array, zip(*(view for view, _ in VIEWS), strict=True))
    assert find_unmatched(*columns, protocol).tolist() == [told[place] for _, told in VIEWS]


def test_without_images_no_query_is_unmatched():
    assert find_unmatched(*[np.array([], np.int64)] * 4, "cross_camera").tolist() == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((0, 0, "action"), "it has no queries to score: a person must have two images or more in an action"),
        (
            (1200, 0, "action", " in its first 2 actions"),
            "none of its 1,200 queries in its first 2 actions has a match",
        ),
        ((0, 0, "cross_camera"), "it has no queries to score: a person must be on two cameras or more, by one name on"),
        ((3, 0, "cross_camera"), "or by a table of tracks and people (kreid-convert --identities)"),
    ],
)
def test_what_cannot_be_scored_is_told_with_what_to_do(asked, said):
    assert said in why_unscorable(*asked)


def test_one_match_is_enough():
    assert why_unscorable(3, 1, "cross_camera") == ""
