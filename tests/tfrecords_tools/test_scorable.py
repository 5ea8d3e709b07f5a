import pytest

from tfrecords_tools.scorable import why_unscorable


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
