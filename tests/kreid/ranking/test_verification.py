"""Equal error rate and ROC, by hand and against every pair looked at one by one."""

import numpy as np
import pytest
from ranking_cases import drawn, filmed

from kreid.ranking import verification
from kreid.ranking.distances import pairwise
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from kreid.ranking.protocols import protocol_of
from kreid.ranking.verification import Curve, accepted, roc, roc_of_ranking, verify


def on_a_line(*gallery, query=(0.0, 7)):
    """A query, and gallery images by place and person: distances are the places themselves."""
    places, person = np.array([query, *gallery]).T
    rows = len(places)
    return Embeddings(places[:, None], person.astype(int), np.zeros(rows, int), np.arange(rows), np.arange(rows) < 1)


BY_HAND = {
    "apart": (on_a_line((1, 7), (2, 7), (3, 8), (4, 8)), 0.0, 2.0),
    "all wrong": (on_a_line((3, 7), (4, 7), (1, 8), (2, 8)), 0.75, 3.0),  # at 3 FAR 1 and FRR 1/2
    "one in four": (on_a_line((1, 7), (2, 7), (3, 7), (5, 7), (4, 8), (6, 8), (7, 8), (8, 8)), 0.125, 3.0),
    "equal distances": (on_a_line((1, 7), (1, 8)), 0.5, 1.0),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_equal_error_rates_by_hand(case):
    embeddings, eer, threshold = BY_HAND[case]
    found = verify(embeddings)
    assert (found["eer"], found["threshold"]) == (eer, threshold)


def test_the_form_that_a_file_holds():
    rng = np.random.default_rng(0)
    gallery = [(place, 7) for place in (1, 2, 3, 50)] + [(place, 8) for place in rng.uniform(10, 90, 100)]
    gallery[4:6] = [(2.5, 8), (9, 8)]
    found = verify(on_a_line(*gallery), "squared_euclidean")
    assert (found["positives"], found["negatives"]) == (4, 100)
    assert found["metric"] == "squared_euclidean"
    assert found["accepted"] == [
        {"far": 0.1, "tar": 0.75, "threshold": 9.0},
        {"far": 0.01, "tar": 0.75, "threshold": 9.0},
    ]


def naive(embeddings, metric, protocol):
    """Every pair that counts, one by one: distances of positives and of negatives."""
    images, found = embeddings.images, ([], [])
    counts = protocol_of(protocol, images).counts
    for query in np.flatnonzero(images.is_query):
        for gallery in np.flatnonzero(~images.is_query & (images.action == images.action[query])):
            if counts is None or counts(images, np.array([query]), np.array([gallery]))[0]:
                distance = pairwise(embeddings.vectors[[query]], embeddings.vectors[[gallery]], metric)[0, 0]
                found[int(images.person[query] != images.person[gallery])].append(distance)
    return found


@pytest.mark.parametrize("pairs", [1, 1 << 20])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("protocol", ["action", "cross_camera"])
def test_blocks_give_what_single_pairs_do(monkeypatch, pairs, metric, protocol):
    monkeypatch.setattr(verification, "_PAIRS", pairs)
    if protocol == "action":
        embeddings = drawn(3, actions=20, most=20, dim=3, levels=2)
    else:
        embeddings = filmed(1, levels=1, junk=0.1, actions=8)
    positives, negatives = naive(embeddings, metric, protocol)
    curve = roc(embeddings, metric, protocol)
    assert curve.threshold.tolist() == sorted(positives)
    if metric == "euclidean":
        assert set(positives) & set(negatives), "no distances are equal"
    far = [np.mean([distance <= threshold for distance in negatives]) for threshold in curve.threshold]
    tar = [np.mean([distance <= threshold for distance in positives]) for threshold in curve.threshold]
    np.testing.assert_allclose(curve.far, far, rtol=1e-12)
    np.testing.assert_allclose(curve.tar, tar, rtol=1e-12)
    for one, other in zip(roc_of_ranking(rank(embeddings, metric, protocol)), curve, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    found, best = verify(embeddings, metric, protocol), np.argmin(np.abs(np.array(far) - (1 - np.array(tar))))
    assert found["threshold"] == curve.threshold[best]
    assert found["eer"] == pytest.approx((far[best] + 1 - tar[best]) / 2)
    assert (found["positives"], found["negatives"]) == (len(positives), len(negatives))


def test_rates_that_few_negatives_cannot_show_are_left_out():
    curve = Curve(np.array([1.0, 2.0, 3.0]), np.array([0.05, 0.05, 0.5]), np.array([0.3, 0.7, 1.0]), negatives=1000)
    assert accepted(curve) == [
        {"far": 0.1, "tar": 0.7, "threshold": 2.0},
        {"far": 0.01, "tar": 0.0, "threshold": None},
        {"far": 0.001, "tar": 0.0, "threshold": None},
    ]


@pytest.mark.parametrize("gallery", [[(1, 7)], [(1, 8)], []])
def test_one_kind_of_pair_alone_says_nothing(gallery):
    assert verify(on_a_line(*gallery)) is None


def test_withheld_labels_are_named():
    with pytest.raises(ValueError, match="is withheld"):
        verify(on_a_line((1, -1)))
