"""Which training images stand as queries where a split has none."""

import numpy as np

from kreid.ranking import Images
from kreid.validation import first_views


def test_the_first_view_of_everyone_seen_again_in_the_action_is_a_query():
    cases = [  # action, person, bbox, query
        (0, 7, 4, False),  # second view of 7
        (0, 7, 1, True),  # its first, though not the first row
        (0, 7, 9, False),
        (0, 8, 2, False),  # seen once
        (1, 7, 0, False),  # the same number in another action is another person, seen once
        (1, 5, 6, True),
        (1, 5, 8, False),
        (2, 5, 3, False),
    ]
    action, person, bbox, query = (np.array(column) for column in zip(*cases, strict=True))
    images = Images(person, action, bbox, is_query=np.zeros(len(cases), bool))
    np.testing.assert_array_equal(first_views(images), query)
    order = np.random.default_rng(0).permutation(len(cases))
    shuffled = Images(person[order], action[order], bbox[order], is_query=np.zeros(len(cases), bool))
    np.testing.assert_array_equal(first_views(shuffled), query[order])


def test_no_images_have_no_queries():
    none = np.zeros(0, np.int64)
    assert first_views(Images(none, none, none, np.zeros(0, bool))).shape == (0,)
