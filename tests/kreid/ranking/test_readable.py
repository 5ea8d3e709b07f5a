"""Results as they are shown, and that they stay dicts."""

import copy
import json
import pickle

import numpy as np
from ranking_cases import drawn

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
