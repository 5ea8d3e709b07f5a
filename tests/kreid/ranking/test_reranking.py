"""Re-ranking against the recorded original and the paper's definition; expansion and joining against plain loops."""

import numpy as np
import pytest
from ranking_cases import CASES, drawn, filmed, golden, listed

from kreid.ranking import reranking
from kreid.ranking.distances import pairwise
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from kreid.ranking.reranking import combine, expand_queries, k_reciprocal, rerank
from kreid.ranking.scores import evaluate

KIT = {"k1": 20, "k2": 6, "weight": 0.3, "metric": "squared_euclidean", "limit": 1}


def naive_k_reciprocal(distances, queries, k1, k2, weight):
    """The paper's equations with sets: R(p, k), R*(p, k1), Gaussian weights, local expansion, Jaccard distance."""
    n = len(distances)
    original = distances**2 / (distances**2).max(axis=1, keepdims=True)

    def nearest(p, k):
        return sorted(range(n), key=lambda g: original[p, g])[: k + 1]

    def reciprocal(p, k):
        return {g for g in nearest(p, k) if p in nearest(g, k)}

    encoding = np.zeros((n, n))
    for p in range(n):
        expanded = near = reciprocal(p, k1)
        for q in near:
            half = reciprocal(q, round(k1 / 2))
            if len(near & half) > 2 / 3 * len(half):
                expanded = expanded | half
        for g in expanded:
            encoding[p, g] = np.exp(-original[p, g])
    encoding /= encoding.sum(axis=1, keepdims=True)
    encoding = np.array([np.mean([encoding[g] for g in nearest(p, k2 - 1)], axis=0) for p in range(n)])
    result = np.empty((queries, n - queries))
    for p in range(queries):
        for g in range(queries, n):
            low = np.minimum(encoding[p], encoding[g]).sum()
            high = np.maximum(encoding[p], encoding[g]).sum()
            result[p, g - queries] = (1 - weight) * (1 - low / high) + weight * original[p, g]
    return result


def per_pair(ranking):
    """Distances of a ranking as a matrix of queries and gallery by bbox index, NaN outside the action."""
    bbox = ranking.images.bbox
    matrix = np.full((bbox[ranking.query].max() + 1, bbox[ranking.gallery].max() + 1), np.nan)
    matrix[np.repeat(bbox[ranking.query], ranking.sizes), bbox[ranking.gallery]] = ranking.distance
    return matrix


# Not all_equal, where the original divides 0 by 0, and not ties_duplicates, where it follows an unstable sort.
@pytest.mark.parametrize("case", ["basic", "single_gallery", "big_gallery_max_rank_10"])
def test_recorded_per_action(case):
    arrays, embeddings = golden(case)
    ranking = rerank(embeddings, **KIT)
    np.testing.assert_allclose(per_pair(ranking), arrays["rerank_action"], atol=1e-6)  # NaN in the same places
    assert evaluate(ranking)["mAP"] == pytest.approx(CASES[case]["rerank_action"]["mAP"], abs=1e-12)


@pytest.mark.parametrize("case", ["basic", "single_gallery", "big_gallery_max_rank_10"])
def test_recorded_over_all_actions_at_once(case):
    arrays, _ = golden(case)
    crossed = arrays["distmat"].astype(float)
    distances = np.block([[arrays["dist_qq"], crossed], [crossed.T, arrays["dist_gg"]]])
    result = k_reciprocal(distances, len(crossed))
    np.testing.assert_allclose(result, arrays["rerank_global"], atol=1e-6)


@pytest.mark.parametrize(
    "k1, k2, weight", [(1, 1, 0), (2, 2, 0.3), (3, 2, 0.3), (7, 2, 0.7), (11, 3, 0.3), (20, 6, 0.3), (99, 99, 0)]
)
@pytest.mark.parametrize("n, queries", [(2, 1), (3, 1), (9, 4), (30, 7)])
def test_agrees_with_the_definition(n, queries, k1, k2, weight):
    rng = np.random.default_rng(n)
    vectors = rng.standard_normal((n, 3))
    distances = pairwise(vectors, vectors)
    result = k_reciprocal(distances, queries, k1, k2, weight)
    np.testing.assert_allclose(result, naive_k_reciprocal(distances, queries, k1, k2, weight), atol=1e-12)


def test_all_weight_on_the_original_leaves_the_order():
    embeddings = drawn(0)
    np.testing.assert_array_equal(rerank(embeddings, weight=1).gallery, rank(embeddings).gallery)


def test_mutual_neighbours_are_preferred_by_hand():
    # The query at 0 is as near to -1 as to 1, but 1 has friends of its own and does not care for the query.
    positions = np.array([0, -1, 0.999, 1.1, 1.2, 1.3])
    distances = np.abs(positions[:, None] - positions)
    assert np.argmin(distances[0, 1:]) == 1
    assert np.argmin(k_reciprocal(distances, 1, k1=2, k2=1)[0]) == 0


def spoiled(vectors, kind, queries):
    if kind == "all_equal":
        return np.ones_like(vectors)
    if kind == "pairs":
        return vectors[np.arange(len(vectors)) // 2]
    if kind == "queries_in_gallery":
        return np.concatenate([vectors[-queries:], vectors[queries:]])
    return vectors * {"distinct": 1, "zeros": 0, "tiny": 1e-30, "huge": 1e30}[kind]


@pytest.mark.parametrize("kind", ["distinct", "all_equal", "pairs", "zeros", "queries_in_gallery", "tiny", "huge"])
def test_galleries_of_1_to_81_never_give_nan(kind):
    rng = np.random.default_rng(0)
    for gallery in [*range(1, 13), 20, 21, 22, 40, 81]:
        queries = min(gallery, 21)
        n = queries + gallery
        vectors = spoiled(rng.standard_normal((n, 4)), kind, queries)
        embeddings = Embeddings(vectors, np.arange(n) % queries, [0] * n, range(n), np.arange(n) < queries)
        for settings in ({}, {"k1": 20, "k2": 6, "limit": 1}, {"k1": 1, "k2": 1}, {"metric": "squared_euclidean"}):
            ranking = rerank(embeddings, **settings)  # a Ranking is complete and finite, or refused
            assert ranking.distance.min() >= 0
            assert ranking.distance.max() <= 1 + 1e-12
            assert evaluate(ranking)["mAP"] > 0


def test_the_limit_shrinks_the_neighbourhood_with_the_action():
    embeddings = drawn(1, actions=5, most=9)
    largest = max(len(query) + len(gallery) for query, gallery in embeddings.images.actions())
    assert largest < 16
    tight, loose = rerank(embeddings, 20, 6, limit=0.25), rerank(embeddings, 3, 3, limit=0.25)
    np.testing.assert_array_equal(per_pair(tight), per_pair(loose))
    assert not np.array_equal(per_pair(tight), per_pair(rerank(embeddings, 20, 6, limit=1)), equal_nan=True)


def test_actions_do_not_see_each_other():
    embeddings = drawn(2)
    whole = per_pair(rerank(embeddings))
    for action in np.unique(embeddings.action):
        rows = embeddings.action == action
        part = Embeddings(
            *(getattr(embeddings, name)[rows] for name in ("vectors", "person", "action", "bbox", "is_query"))
        )
        alone = rerank(part)
        bbox = part.bbox
        found = whole[np.repeat(bbox[alone.query], alone.sizes), bbox[alone.gallery]]
        np.testing.assert_allclose(found, alone.distance, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"k1": 0}, "k1: expected 1 or more neighbours, received 0"),
        ({"k2": -1}, "k2: expected 1 or more neighbours, received -1"),
        ({"weight": 1.5}, "weight: expected the original distance's share, 0 to 1, received 1.5"),
        ({"limit": 2}, "limit: expected a share of an action's images, 0 to 1, received 2"),
        ({"metric": "l1"}, "metric: expected one of"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        rerank(drawn(0), **arguments)


def test_a_protocol_leaves_images_out_of_the_lists_not_of_the_neighbourhoods():
    embeddings = filmed(4, junk=0.2)
    expected = rerank(embeddings).under("cross_camera")
    ranking = rerank(embeddings, protocol="cross_camera")
    assert len(ranking.gallery) < len(rank(embeddings).gallery)
    np.testing.assert_array_equal(ranking.gallery, expected.gallery)
    np.testing.assert_array_equal(ranking.distance, expected.distance)


def test_an_action_too_large_for_all_with_all_is_refused_before_the_work(monkeypatch):
    embeddings = drawn(0)
    largest = np.bincount(embeddings.action).max()
    monkeypatch.setattr(reranking, "LARGEST", largest)
    rerank(embeddings)
    monkeypatch.setattr(reranking, "LARGEST", largest - 1)
    monkeypatch.setattr(reranking, "pairwise", None)
    with pytest.raises(
        ValueError, match=rf"embeddings: action \d+ has {largest} images, .* takes {largest - 1} at most"
    ):
        rerank(embeddings)


# === Query expansion ===


@pytest.mark.parametrize("k, alpha", [(0, 3), (1, 3), (2, 0), (3, 1), (50, 3)])
def test_expansion_agrees_with_the_loop(k, alpha):
    embeddings = drawn(3)
    result = expand_queries(embeddings, k, alpha)
    unit = embeddings.vectors / np.linalg.norm(embeddings.vectors, axis=1, keepdims=True)
    for row in np.flatnonzero(embeddings.is_query):
        gallery = np.flatnonzero(~embeddings.is_query & (embeddings.action == embeddings.action[row]))
        near = sorted(gallery, key=lambda other: -unit[other] @ unit[row])[:k]
        total = unit[row] + sum(max(unit[other] @ unit[row], 0) ** alpha * unit[other] for other in near)
        np.testing.assert_allclose(result.vectors[row], total / np.linalg.norm(total), atol=1e-6)
    rows = ~embeddings.is_query
    np.testing.assert_allclose(result.vectors[rows], unit[rows], atol=1e-6)
    np.testing.assert_array_equal(result.person, embeddings.person)


def test_expansion_in_blocks_changes_nothing(monkeypatch):
    embeddings = drawn(3)
    expected = expand_queries(embeddings, 2).vectors
    monkeypatch.setattr(reranking, "_BLOCK", 1)
    np.testing.assert_array_equal(expand_queries(embeddings, 2).vectors, expected)


def test_expansion_reaches_what_the_query_alone_does_not():
    # One gallery view of the person is near the query, the other lies beyond a stranger.
    angles = np.radians([0, 20, 50, -40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    embeddings = Embeddings(vectors, [1, 1, 1, 2], [0] * 4, [0, 0, 1, 2], np.arange(4) == 0)
    assert evaluate(rank(embeddings))["mAP"] == pytest.approx((1 + 2 / 3) / 2)
    assert evaluate(rank(expand_queries(embeddings)))["mAP"] == 1


def test_expansion_of_zero_vectors_and_of_a_query_without_a_gallery():
    embeddings = listed("+-", "")
    result = expand_queries(embeddings, k=3)
    assert np.isfinite(result.vectors).all()
    with pytest.raises(ValueError, match="received -1 and 3.0"):
        expand_queries(embeddings, k=-1)


# === Joining ===


def shuffled(embeddings, seed):
    rows = np.random.default_rng(seed).permutation(len(embeddings))
    return Embeddings(
        *(getattr(embeddings, name)[rows] for name in ("vectors", "person", "action", "bbox", "is_query"))
    )


def test_joined_side_by_side_squared_distances_are_averaged():
    one, two = drawn(4), drawn(4, dim=11)
    joined = combine([one, shuffled(two, 0)])
    assert joined.vectors.shape == (len(one), 17)
    parts = [per_pair(rank(combine([member]), "squared_euclidean")) for member in (one, two)]
    np.testing.assert_allclose(per_pair(rank(joined, "squared_euclidean")), np.mean(parts, axis=0), atol=1e-6)
    np.testing.assert_array_equal(joined.bbox, one.bbox)


def test_averaged_vectors():
    one = drawn(4)
    other = Embeddings(-2 * one.vectors, one.person, one.action, one.bbox, one.is_query)
    assert not combine([one, other], how="mean").vectors.any()
    same = combine([one, shuffled(one, 1), one], how="mean")
    np.testing.assert_allclose(
        same.vectors, one.vectors / np.linalg.norm(one.vectors, axis=1, keepdims=True), atol=1e-6
    )


def test_joining_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="members: number 1: expected the same"):
        combine([drawn(4), drawn(5)])
    with pytest.raises(ValueError, match="numbers 0 and 1 are 6 and 11 wide"):
        combine([drawn(4), drawn(4, dim=11)], how="mean")
    with pytest.raises(ValueError, match="at least one"):
        combine([])
    with pytest.raises(ValueError, match="how: expected concat or mean, received 'sum'"):
        combine([drawn(4)], how="sum")
