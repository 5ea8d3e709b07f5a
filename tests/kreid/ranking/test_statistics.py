"""Intervals and tests: worked by hand, against plain loops, and by how often they are right on drawn data."""

import time

import numpy as np
import pytest
from ranking_cases import drawn, listed

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.figures import QueryFigures
from kreid.ranking.ordering import rank, rank_by
from kreid.ranking.scores import average_precision, evaluate
from kreid.ranking.statistics import bootstrap, compare, intervals, paired


def noisy(seed, noise, actions=60):
    """Rankings of one set of images, once by clean and once by noisy vectors."""
    rng = np.random.default_rng(seed)
    count = 6
    person = np.tile(np.r_[np.arange(count), np.arange(count)], actions)
    action = np.repeat(np.arange(actions), 2 * count)
    is_query = np.tile(np.arange(2 * count) < count, actions)
    centres = rng.standard_normal((actions, count, 8))
    clean = centres[action, person] + rng.standard_normal((len(person), 8))
    labels = (person, action, np.arange(len(person)), is_query)
    worse = clean + noise * rng.standard_normal(clean.shape)
    return rank(Embeddings(clean, *labels)), rank(Embeddings(worse, *labels))


# === Intervals ===


def test_the_bootstrap_agrees_with_the_loop():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 9, 50)
    values = rng.random(50)
    values[rng.random(50) < 0.2] = np.nan
    result = bootstrap(values, groups, level=0.9, resamples=20_000, seed=3)
    members = [values[(groups == group) & ~np.isnan(values)] for group in np.unique(groups)]
    members = [member for member in members if len(member)]
    means = []
    for _ in range(5000):
        chosen = [members[number] for number in rng.integers(0, len(members), len(members))]
        means.append(np.concatenate(chosen).mean())
    assert result.mean == pytest.approx(np.nanmean(values))
    assert [result.low, result.high] == pytest.approx(np.quantile(means, [0.05, 0.95]), abs=0.01)
    assert result.low < result.mean < result.high


def test_two_groups_by_hand():
    # Resamples are (0, 0), (0, 1), (1, 0) and (1, 1), equally likely; group 1 has three of the four queries.
    values, groups = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 1])
    assert bootstrap(values, groups, level=0.4) == (0.75, 0.75, 0.75)
    assert bootstrap(values, groups, level=0.95) == (0.75, 0.0, 1.0)


def test_one_group_tells_no_interval_and_no_p_value():
    values, groups = np.array([0.0, 1.0]), np.array([4, 4])
    mean, low, high = bootstrap(values, groups)
    assert mean == 0.5
    assert np.isnan([low, high]).all()
    found = paired(values, values + 0.25, groups)
    assert found[:3] == (0.5, 0.75, 0.25)
    assert np.isnan(found[3:]).all()
    skipped = bootstrap(np.array([0.0, 1.0, np.nan]), np.array([4, 4, 5]))  # of the second group nothing counts
    assert np.isnan(skipped.low)


def test_queries_of_one_action_do_not_make_an_interval_narrower():
    values, groups = np.random.default_rng(0).random(40), np.arange(40)
    one = bootstrap(values, groups)
    copied = bootstrap(np.repeat(values, 25), np.repeat(groups, 25))
    assert copied == pytest.approx(one, abs=1e-12)
    independent = bootstrap(np.repeat(values, 25), np.arange(1000))
    assert independent.high - independent.low < 0.3 * (one.high - one.low)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(300):
        shift = rng.normal(0, 1, 40)
        sizes = rng.integers(1, 8, 40)
        values = np.repeat(shift, sizes) + rng.normal(0, 0.5, sizes.sum())
        result = bootstrap(values, np.repeat(np.arange(40), sizes), level=0.9, resamples=400, seed=seed)
        held += result.low <= 0 <= result.high
    assert 0.83 < held / 300 < 0.95


def test_intervals_of_a_ranking_have_the_scores_inside_and_depend_on_the_seed_alone():
    ranking, _ = noisy(0, 0)
    result = intervals(ranking, ranks=(1, 5))
    metrics = evaluate(ranking)
    assert list(result) == ["mAP", "rank1", "rank5"]
    for name, interval in result.items():
        assert interval.mean == pytest.approx(metrics[name])
        assert interval.low < interval.mean < interval.high
    assert intervals(ranking, ranks=(1, 5)) == result
    assert intervals(ranking, ranks=(1, 5), seed=1) != result


def test_blocks_of_draws_leave_no_trace(monkeypatch):
    values, groups = np.random.default_rng(0).random(300), np.arange(300)
    whole = bootstrap(values, groups, resamples=500)
    monkeypatch.setattr("kreid.ranking.statistics._BLOCK", 10_000)
    assert bootstrap(values, groups, resamples=500) == whole


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"level": 1.0}, "level: expected a share between 0 and 1, such as 0.95, received 1.0"),
        ({"resamples": 0}, "resamples: expected 1 or more, received 0"),
        ({"groups": np.arange(2)}, r"groups: expected one for each of \(3,\) values, received shape \(2,\)"),
        ({"values": np.full(3, np.nan)}, "expected at least one number, received 3 values, all of skipped queries"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(**({"values": np.ones(3), "groups": np.arange(3)} | arguments))


# === Comparisons ===


def test_a_clear_difference_is_found_and_its_sign_is_the_seconds():
    clean, worse = noisy(0, 2.0)
    result = compare(clean, worse, ranks=(1, 5))["mAP"]
    assert result.first == pytest.approx(evaluate(clean)["mAP"])
    assert result.second == pytest.approx(evaluate(worse)["mAP"])
    assert result.difference == pytest.approx(result.second - result.first)
    assert result.low < result.difference < result.high < 0
    assert result.p_value == 1 / 2001
    back = compare(worse, clean)["mAP"]
    assert back[2:] == pytest.approx((-result.difference, -result.high, -result.low, result.p_value))


def test_a_run_equals_itself():
    ranking, _ = noisy(0, 0)
    assert compare(ranking, ranking)["rank1"][2:] == (0, 0, 0, 1)


def test_the_sign_flips_agree_with_all_of_them():
    clean, other = noisy(3, 0.6, actions=10)
    change = average_precision(other) - average_precision(clean)
    sums = np.bincount(clean.images.action[clean.query], weights=change)
    signs = 1 - 2 * (np.arange(2**10)[:, None] >> np.arange(10) & 1)
    exact = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9)
    assert 0.01 < exact < 0.9
    assert compare(clean, other, resamples=20_000)["mAP"].p_value == pytest.approx(exact, abs=0.015)


def test_equal_runs_are_rarely_called_different():
    low = sum(compare(*noisy_pair(seed), resamples=200)["mAP"].p_value <= 0.1 for seed in range(60))
    assert low <= 13  # of 60 expected 6; 14 or more have a chance of 0.2 %


def noisy_pair(seed):
    """Two rankings that differ by chance alone."""
    ranking, _ = noisy(seed, 0, actions=15)
    rng = np.random.default_rng(seed)
    draw = lambda query, gallery: rng.random((len(query), len(gallery)))  # noqa: E731
    return rank_by(ranking.images, draw), rank_by(ranking.images, draw)


def test_runs_are_matched_by_index_not_by_row():
    embeddings = drawn(0, actions=20)
    rows = np.random.default_rng(0).permutation(len(embeddings))
    names = ("vectors", "person", "action", "bbox", "is_query")
    shuffled = Embeddings(*(getattr(embeddings, name)[rows] for name in names))
    assert compare(rank(embeddings), rank(shuffled))["mAP"][2:] == (0, 0, 0, 1)


def test_runs_over_other_images_are_refused():
    with pytest.raises(ValueError, match="second: expected the same 3 images, received 2"):
        compare(rank(listed("+-")), rank(listed("+")))
    with pytest.raises(ValueError, match="second: expected gallery 0 of action 0 with person 1, received 2"):
        compare(rank(listed("+-")), rank(listed("-+")))
    with pytest.raises(ValueError, match="b: query 0 has other labels than for a"):
        compare(QueryFigures.of(rank(listed("+-"))), rank(listed("--")), names=("a", "b"))


def test_the_real_sets_size_takes_seconds_at_most():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 1751, 11_638)
    start = time.perf_counter()
    bootstrap(rng.random(11_638), groups)
    assert time.perf_counter() - start < 2
