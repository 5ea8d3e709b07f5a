"""Results as they are shown, and that they stay dicts."""

import copy
import json
import pickle

import numpy as np
from ranking_cases import drawn

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from kreid.ranking.readable import Scores
from kreid.ranking.scores import evaluate

SHOWN = """\
mAP     63.7 %
rank-1  52.8 %
rank-20  9.0 %
12 queries, 3 without a match skipped"""


def test_fractions_are_shown_in_percent_by_hand():
    scores = Scores(mAP=0.637, rank1=0.528, rank20=0.09, cmc=[0.5], queries=12, skipped=3, without_gallery=1)
    assert repr(scores).split() == SHOWN.split()
    lines = repr(scores).splitlines()
    assert len({len(line) for line in lines[:3]}) == 1, "columns line up"


def test_scores_are_a_dict_in_all_else():
    scores = evaluate(rank(drawn(0, actions=5)), ranks=(1, 3))
    plain = dict(scores)
    assert repr(plain).startswith("{'mAP': ")
    assert repr(scores).startswith("mAP ")
    assert "rank-3" in repr(scores)
    assert scores == plain
    assert json.dumps(scores) == json.dumps(plain)
    assert pickle.loads(pickle.dumps(scores)) == copy.deepcopy(scores) == plain
    assert np.isclose(scores["mAP"], plain["mAP"])


def test_what_keys_were_taken_from_is_shown_as_it_is():
    assert repr(Scores(mAP=0.5)) == "{'mAP': 0.5}"
    assert repr(Scores(mAP=None, queries=1, skipped=0)) == "{'mAP': None, 'queries': 1, 'skipped': 0}"


def test_embeddings_and_rankings_say_what_they_are_of():
    labels = {"person": [7, 7, 7, 8], "action": [2, 2, 2, 3], "bbox": [0, 0, 1, 2]}
    found = Embeddings(np.eye(4, 3), **labels, is_query=[True, False, False, False])
    counts = "1 query and 3 gallery images of 2 actions"
    assert repr(found) == f"<Embeddings: 4 vectors of 3 numbers; {counts}>"
    assert repr(found.images) == f"<Images: {counts}>"
    ranking = rank(found)
    assert repr(ranking) == f"<Ranking: {counts}; protocol action>"
    assert repr(rank(found, nearest=1)) == f"<Ranking: {counts}; protocol action, the nearest 1 of each>"
    one = Embeddings(np.eye(3), [1, 1, 1], [5, 5, 5], [0, 1, 0], is_query=[True, True, False])
    assert repr(one.images) == "<Images: 2 queries and 1 gallery image of 1 action>"
