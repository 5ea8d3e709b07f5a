"""Ranking and scoring against the recorded originals, a naive loop, and cases worked by hand."""

import numpy as np
import pytest
from ranking_cases import CASES, drawn, golden, listed

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import rank, rank_by
from kreid.ranking.scores import average_precision, evaluate, first_hit

TIES = {"order": "stable", "optimistic": "optimistic", "pessimistic": "pessimistic"}


def naive_scores(embeddings, ties="order"):
    """Average precision and first hit of every query, by the definition: sort, walk, count."""
    result = {}
    for row in np.flatnonzero(embeddings.is_query):
        entries = []
        for other in np.flatnonzero(~embeddings.is_query):
            if embeddings.action[other] != embeddings.action[row]:
                continue
            match = embeddings.person[other] == embeddings.person[row]
            difference = embeddings.vectors[other].astype(float) - embeddings.vectors[row].astype(float)
            second = {"order": 0, "optimistic": not match, "pessimistic": match}[ties]
            entries.append((np.sqrt((difference**2).sum()), second, embeddings.bbox[other], match))
        hits, precisions, first = 0, [], 0
        for place, (*_, match) in enumerate(sorted(entries), start=1):
            if match:
                hits += 1
                precisions.append(hits / place)
                first = first or place
        result[row] = (np.mean(precisions) if hits else np.nan, first)
    return result


# === Against the originals ===


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ties", TIES)
def test_recorded_cases(case, ties):
    arrays, embeddings = golden(case)
    ranking = rank(embeddings, CASES[case]["metric"])
    metrics = evaluate(ranking, ties=ties)
    expected = CASES[case][TIES[ties]]
    assert metrics["mAP"] == pytest.approx(expected["mAP"], abs=1e-12)
    assert metrics["rank1"] == pytest.approx(expected["rank1"], abs=1e-12)
    precision = np.empty(len(ranking))
    precision[ranking.query] = average_precision(ranking, ties)
    np.testing.assert_allclose(precision, arrays[f"{TIES[ties]}_ap"], atol=1e-12)  # NaN in the same places
    held = arrays[f"{TIES[ties]}_cmc_held"]
    curve = np.array([metrics["cmc"][min(k, len(metrics["cmc"])) - 1] for k in range(1, len(held) + 1)])
    np.testing.assert_allclose(curve, held, atol=1e-12)
    assert metrics["skipped"] == np.count_nonzero(~arrays["valid"])


@pytest.mark.parametrize("case", [case for case in CASES if not CASES[case]["queries_with_ties"]])
def test_recorded_orders_and_scores_of_the_development_kit(case):
    arrays, embeddings = golden(case)
    ranking = rank(embeddings, CASES[case]["metric"])
    np.testing.assert_array_equal(ranking.sizes, arrays["order_len"][ranking.query])
    lists = np.split(arrays["order_flat"], np.cumsum(arrays["order_len"])[:-1])
    expected = np.concatenate([lists[row] for row in ranking.query])
    np.testing.assert_array_equal(embeddings.bbox[ranking.gallery], expected)
    assert evaluate(ranking)["mAP"] == pytest.approx(CASES[case]["snreid"]["mAP"], abs=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case]["queries_with_ties"]])
def test_the_development_kits_scores_lie_between_the_bounds_where_it_breaks_ties_by_chance(case):
    _, embeddings = golden(case)
    ranking = rank(embeddings, CASES[case]["metric"])
    for name in ("mAP", "rank1"):
        low, high = (evaluate(ranking, ties=ties)[name] for ties in ("pessimistic", "optimistic"))
        assert low < CASES[case]["snreid"][name] < high
        assert low < evaluate(ranking)[name] < high


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("levels", [None, 1], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_naive_loop(seed, levels, ties):
    embeddings = drawn(seed, levels=levels, matched=seed % 2)
    ranking = rank(embeddings)
    naive = naive_scores(embeddings, ties)
    expected = np.array([naive[row] for row in ranking.query])
    np.testing.assert_allclose(average_precision(ranking, ties), expected[:, 0], atol=1e-12)
    np.testing.assert_array_equal(first_hit(ranking, ties), expected[:, 1])


# === By hand ===


@pytest.mark.parametrize(
    "name, marks, precision, first",
    [
        ("best_first", "+--", 1, 1),
        ("second", "-+-", 1 / 2, 2),
        ("last", "--+", 1 / 3, 3),
        ("two_apart", "+-+", (1 + 2 / 3) / 2, 1),
        ("two_at_the_end", "--++", (1 / 3 + 2 / 4) / 2, 3),
        ("all", "+++", 1, 1),
        ("only_one_image", "+", 1, 1),
        ("none", "---", np.nan, 0),
    ],
)
def test_average_precision_by_hand(name, marks, precision, first):
    ranking = rank(listed(marks))
    np.testing.assert_allclose(average_precision(ranking), [precision])
    assert first_hit(ranking).tolist() == [first]


def test_ties_by_hand():
    ranking = rank(listed(("-+-", [1, 1, 1]), ("-+", [1, 2])))
    assert first_hit(ranking).tolist() == [2, 2]
    assert first_hit(ranking, "optimistic").tolist() == [1, 2]
    assert first_hit(ranking, "pessimistic").tolist() == [3, 2]
    np.testing.assert_allclose(average_precision(ranking, "pessimistic"), [1 / 3, 1 / 2])


def test_cmc_stays_where_it_is_past_the_end_of_a_gallery():
    metrics = evaluate(rank(listed("+", "---+")), ranks=(1, 3, 4, 10, 10**9))
    assert metrics["cmc"] == [0.5, 0.5, 0.5, 1.0]
    assert [metrics[f"rank{k}"] for k in (1, 3, 4, 10, 10**9)] == [0.5, 0.5, 1.0, 1.0, 1.0]


def test_queries_without_a_match_or_a_gallery_are_skipped_and_counted():
    metrics = evaluate(rank(listed("-+", "--", "", "+")))
    assert metrics["mAP"] == 0.75
    assert (metrics["queries"], metrics["skipped"], metrics["without_gallery"]) == (4, 2, 1)


def test_equal_distances_go_by_bbox_index_whatever_the_order_of_the_rows():
    embeddings = drawn(3, levels=1)
    rows = np.random.default_rng(0).permutation(len(embeddings))
    names = ("vectors", "person", "action", "bbox", "is_query")
    shuffled = Embeddings(*(getattr(embeddings, name)[rows] for name in names))
    one, other = rank(embeddings), rank(shuffled)
    np.testing.assert_array_equal(one.images.bbox[one.gallery], other.images.bbox[other.gallery])
    np.testing.assert_array_equal(one.images.bbox[one.query], other.images.bbox[other.query])
    tied = (np.diff(one.distance) == 0) & (np.diff(one.owner) == 0)
    assert tied.any()
    assert (np.diff(one.images.bbox[one.gallery])[tied] > 0).all()


@pytest.mark.parametrize("metric", ["euclidean", "squared_euclidean", "cosine"])
@pytest.mark.parametrize("dim", [2, 3, 512, 2053])
def test_equal_gallery_vectors_are_exactly_tied_and_equal_ones_at_zero(metric, dim):
    rng = np.random.default_rng(dim)
    query, other = rng.standard_normal((2, dim)).astype(np.float32) * 1000
    vectors = np.stack([query, *[other] * 37, query])
    embeddings = Embeddings(vectors, [1] * 39, [0] * 39, range(39), np.arange(39) == 0)
    ranking = rank(embeddings, metric)
    assert ranking.images.bbox[ranking.gallery].tolist() == [38, *range(1, 38)]
    assert ranking.distance[0] == 0
    assert len(np.unique(ranking.distance[1:])) == 1


def test_cosine_does_not_see_length():
    vectors = np.array([[1.0, 0], [50, 50], [0.1, 0.05]])
    embeddings = Embeddings(vectors, [1, 1, 2], [0, 0, 0], [0, 0, 1], [True, False, False])
    assert rank(embeddings, "cosine").distance == pytest.approx([1 - 2 / 5**0.5, 1 - 0.5**0.5])
    assert rank(embeddings, "euclidean").gallery.tolist() == [2, 1]


def test_large_galleries_are_cut_into_blocks_without_a_trace():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((703, 700)).astype(np.float32)
    embeddings = Embeddings(vectors, [0] * 703, [0] * 703, range(703), np.arange(703) < 3)
    ranking = rank(embeddings, "squared_euclidean")
    direct = ((vectors[:3, None].astype(float) - vectors[None, 3:].astype(float)) ** 2).sum(axis=2)
    np.testing.assert_allclose(ranking.distance, np.sort(direct, axis=1).ravel(), rtol=1e-12)


# === Refused ===


def test_withheld_labels_are_ranked_but_not_scored():
    embeddings = drawn(0)
    hidden = Embeddings(
        embeddings.vectors, np.full(len(embeddings), -1), embeddings.action, embeddings.bbox, embeddings.is_query
    )
    ranking = rank(hidden)
    np.testing.assert_array_equal(ranking.gallery, rank(embeddings).gallery)
    for score in (evaluate, average_precision, first_hit):
        with pytest.raises(ValueError, match=r"label of query \d+ of action \d+ is withheld"):
            score(ranking)


def test_one_unlabelled_gallery_image_is_enough_to_refuse():
    embeddings = listed("+-")
    person = embeddings.person.copy()
    person[2] = -1
    ranking = rank(Embeddings(embeddings.vectors, person, embeddings.action, embeddings.bbox, embeddings.is_query))
    with pytest.raises(ValueError, match="label of gallery 1 of action 0 is withheld"):
        evaluate(ranking)


def test_nothing_to_score():
    with pytest.raises(ValueError, match="none of its 1 queries has a match"):
        evaluate(rank(listed("--")))
    empty = Embeddings(np.zeros((0, 4)), [], [], [], [])
    assert len(rank(empty)) == 0
    with pytest.raises(ValueError, match="none of its 0 queries"):
        evaluate(rank(empty))


def test_actions_without_a_query_do_not_count():
    embeddings = Embeddings(np.eye(4), [1, 1, 2, 2], [0, 0, 5, 5], [0, 0, 1, 2], [True, False, False, False])
    assert rank(embeddings).gallery.tolist() == [1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"ranks": (0,)}, "from 1, received 0"),
        ({"ranks": (1.5,)}, "received 1.5"),
        ({"ties": "best"}, "received 'best'"),
    ],
)
def test_arguments_of_evaluate(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rank(listed("+")), **arguments)


def test_arguments_of_rank():
    with pytest.raises(ValueError, match="metric: expected one of euclidean, squared_euclidean, cosine, received 'l1'"):
        rank(listed("+"), "l1")
    with pytest.raises(ValueError, match=r"row 0 \(query 0 of action 0\) is all zeros"):
        rank(listed("+"), "cosine")
    with pytest.raises(ValueError, match="finite numbers"):
        rank_by(listed("+-").images, lambda query, gallery: np.full((len(query), len(gallery)), np.nan))


VALID = {"query": [0, 3], "offsets": [0, 2, 3], "gallery": [1, 2, 4], "distance": [1, 2, 1]}


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("twice", {"gallery": [1, 1, 4]}, "list of query 0 of action 0 is not every gallery image"),
        ("of_another_action", {"gallery": [1, 4, 2]}, "list of query 0 of action 0"),
        ("notes", {"offsets": [0, 2, 2], "gallery": [1, 2], "distance": [1, 2]}, "list of query 1 of action 1"),
        ("a_query", {"gallery": [1, 3, 4]}, "row 3 of images is no gallery image"),
        ("out_of_range", {"gallery": [1, 9, 4]}, "row 9"),
        ("gallery_as_query", {"query": [0, 1]}, "row 1 of images is no query image"),
        ("query_left_out", {"query": [0], "offsets": [0, 2], "gallery": [1, 2], "distance": [1, 2]}, "each of the 2"),
        ("query_twice", {"query": [0, 0]}, "each of the 2 queries of images once"),
        ("not_sorted", {"distance": [2, 1, 1]}, "list of query 0 of action 0 is not sorted"),
        ("short_offsets", {"offsets": [0, 3]}, "expected 3 rising numbers from 0 to 3"),
        ("falling_offsets", {"offsets": [0, 4, 3]}, "rising"),
        ("nan", {"distance": [1, np.nan, 1]}, "3 finite numbers"),
        ("floats", {"query": [0.0, 3.0]}, "int64 array, received float64"),
    ],
)
def test_a_ranking_is_complete_and_sorted(name, changes, message):
    images = listed("+-", "+").images
    arrays = {key: np.array(value) for key, value in (VALID | changes).items()}
    Ranking(images, **{key: np.array(value) for key, value in VALID.items()})
    with pytest.raises(ValueError, match=message):
        Ranking(images, **arrays)
