"""Comparing scores: the numbers against the rankings they come from, and scores that cannot be compared."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ranking_cases import drawn, filmed

from kreid.config.sections import Evaluation
from kreid.evaluation.comparison import (
    compare_metrics,
    of_same_queries,
    read_metrics,
    system_name,
    to_markdown,
    what_else,
)
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.figures import QueryFigures
from kreid.ranking.ordering import figures_of, rank
from kreid.ranking.scores import evaluate
from kreid.ranking.statistics import compare, intervals


def rankings(matched=True):
    """One set of images ranked by clean and by noisy vectors, the second with its rows in another order."""
    clean = drawn(0, actions=30, matched=matched)
    rng = np.random.default_rng(1)
    rows = rng.permutation(len(clean))
    labels = [getattr(clean, name)[rows] for name in ("person", "action", "bbox", "is_query")]
    return rank(clean), rank(Embeddings(clean.vectors[rows] + rng.standard_normal(clean.vectors.shape), *labels))


def scored(ranking, runs=("a",), **changes):
    """What kreid-evaluate writes, as far as it is compared."""
    settings = Evaluation(**changes.pop("settings", {})).model_dump(mode="json")
    metrics = {"split": "test", "runs": list(runs), "settings": settings, "weights": ["0"], **evaluate(ranking)}
    metrics["intervals"] = {name: [one.low, one.high] for name, one in intervals(ranking).items()}
    return {
        **metrics,
        "parameters": 2_190_000,
        "images_per_second": 123.4,
        "paper": None,
        "per_query": QueryFigures.of(ranking).to_json(),
        **changes,
    }


def test_scores_by_different_protocols_are_not_compared():
    ranking, _ = rankings()
    old, new, other = scored(ranking), scored(ranking, protocol="action"), scored(ranking, protocol="cross_camera")
    assert compare_metrics({"old": old, "new": new})["protocol"] == "action"  # files that name none are by this one
    words = "other: scored by protocol 'cross_camera', old by 'action', whose figures say nothing about each other"
    with pytest.raises(ValueError, match=words):
        compare_metrics({"old": old, "other": other})
    assert of_same_queries(old, ranking.images)
    assert not of_same_queries(other, ranking.images)


def test_scores_of_corrected_labels_are_of_other_records(tmp_path):
    ranking, path = rankings()[0], tmp_path / "metrics_test.json"
    old, first, second = (scored(ranking, **more) for more in ({}, {"records": "1a"}, {"records": "2b"}))
    assert of_same_queries(first, ranking.images, digest="1a")
    assert not of_same_queries(second, ranking.images, digest="1a")
    assert of_same_queries(old, ranking.images, digest="1a"), "an earlier version's: told by its queries alone"
    assert of_same_queries(second, ranking.images)
    path.write_text(json.dumps(second))
    assert what_else(path, ranking.images, "action", "2b") == ""
    assert what_else(path, ranking.images, "action", "1a") == "of other records"
    assert compare_metrics({"a": first, "old": old, "b": first})["queries"] == len(ranking)
    pair = {"a": first, "b": second}
    for systems in (pair, {"a": first, "old": old, "b": second}, {"old": old, **pair}):
        with pytest.raises(ValueError, match="b: scored on other records than a, of other labels or images; score all"):
            compare_metrics(systems)


def test_what_else_a_file_of_scores_is_of(tmp_path):
    ranking, path = rankings()[0], tmp_path / "metrics_test.json"
    assert what_else(path, ranking.images, "action") == ""
    path.write_text(json.dumps(scored(ranking)))
    assert what_else(path, ranking.images, "action") == ""
    assert what_else(path, drawn(0, actions=3).images, "action") == "of other records"
    path.write_text(json.dumps(scored(ranking, protocol="cross_camera")))
    assert what_else(path, ranking.images, "action") == "by protocol 'cross_camera'"
    path.write_text("no scores")
    assert what_else(path, ranking.images, "action") == ""


def test_tables_say_what_intervals_are_over():
    actions, people = (
        "30 actions. In percent; in brackets 95 % intervals over actions; p",
        "over people; p of the paired",
    )
    assert actions in to_markdown(compare_metrics({"a": scored(rankings()[0])}))
    embeddings = filmed(1, actions=1)
    found = figures_of(embeddings, protocol="cross_camera")
    table = to_markdown(compare_metrics({"a": scored(found, protocol="cross_camera")}))
    assert people in table
    assert " queries, protocol cross_camera. In percent" in table


def test_one_action_alone_has_scores_without_intervals(tmp_path):
    one, two = rank(drawn(2, actions=1)), rank(replace(drawn(2, actions=1), vectors=drawn(2, actions=1).vectors[::-1]))
    systems = {name: scored(ranking, intervals=None) for name, ranking in (("a", one), ("b", two))}
    comparison = compare_metrics(systems)
    change = comparison["systems"][1]["against_first"]["mAP"]
    assert change["difference"] == pytest.approx(systems["b"]["mAP"] - systems["a"]["mAP"])
    assert (change["low"], change["high"], change["p_value"]) == (None, None, None)
    table = to_markdown(comparison)
    assert "nan" not in table
    assert "[" not in table
    assert table.endswith("of 1 action. In percent; without intervals, which one of the actions alone does not tell.\n")
    json.dumps(comparison, allow_nan=False)


@pytest.fixture
def write(tmp_path):
    def write(metrics):
        (tmp_path / "metrics_test.json").write_text(metrics if isinstance(metrics, str) else json.dumps(metrics))
        return tmp_path / "metrics_test.json"

    return write


@pytest.mark.parametrize("matched", [True, False])
def test_tests_agree_with_those_of_the_rankings(write, matched):
    one, two = rankings(matched)
    result = compare_metrics({"a": read_metrics(write(scored(one))), "b": read_metrics(write(scored(two)))})
    assert result["queries"] == len(one)
    first, second = result["systems"]
    assert first["against_first"] is None
    expected = compare(one, two)
    for name, found in second["against_first"].items():
        assert found == pytest.approx({key: getattr(expected[name], key) for key in found})
        assert second[name] - first[name] == pytest.approx(found["difference"])


def test_the_table_reads_in_percent_with_the_papers_figures_beside():
    one, two = rankings()
    paper = {"system": "Paper (OSNet, 10 % of SoccerNet-v3)", "mAP": 0.616, "rank1": 0.512}
    metrics = [scored(one, paper=paper), scored(two, ("a", "b"), settings={"flip": True, "rerank": {}})]
    names = [system_name(each) for each in metrics]
    assert names == ["a", "a + b (flip, re-rank)"]
    comparison = compare_metrics(dict(zip(names, metrics, strict=True)))
    lines = to_markdown(comparison).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:4]]
    assert cells[0][:2] == ["system", "mAP"]
    assert set(map(len, lines[:4])) == {len(lines[0])}
    first, second = (dict(zip(cells[0], row, strict=True)) for row in cells[2:])
    low, high = comparison["systems"][0]["intervals"]["mAP"]
    assert first["mAP"] == f"{100 * evaluate(one)['mAP']:.1f} [{100 * low:.1f} {100 * high:.1f}]"
    assert first["paper: mAP / rank-1"] == "61.6 / 51.2"
    assert first["parameters"] == "2.19 M"
    assert first["mAP against the first"] == second["paper: mAP / rank-1"] == ""
    change = comparison["systems"][1]["against_first"]["mAP"]
    assert second["mAP against the first"].startswith(f"{100 * change['difference']:+.1f} [")
    assert second["mAP against the first"].endswith(f"p {change['p_value']:.2g}")
    assert lines[-1].endswith("The paper's figures are of SoccerNet-v3 ReID's test split.")
    alone = to_markdown(compare_metrics({"a|b": metrics[1] | {"intervals": None}}))  # as over a single action
    assert "against" not in alone
    assert "The paper's" not in alone
    assert alone.splitlines()[2].startswith(f"| a\\|b   | {100 * evaluate(two)['mAP']:.1f} | ")


def spoiled(metrics, fault):
    columns = metrics["per_query"]
    if fault == "fewer":
        return metrics | {"per_query": {name: values[1:] for name, values in columns.items()}}
    if fault == "split":
        return metrics | {"split": "valid"}
    if fault == "match":
        none = {name: [*columns[name][:-1], None] for name in ("AP", "first")}
        return metrics | {"per_query": columns | none}
    change = {"query": 10**6, "action": 10**6, "gallery": 99}[fault]
    return metrics | {"per_query": columns | {fault: [*columns[fault][:-1], change]}}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("fewer", "b: scored on \\d+ queries, a on \\d+; score all of them on the same records"),
        ("split", "b: scored on valid, a on test"),
        ("query", "b: query \\d+ has another index than for a"),
        ("action", "b: query \\d+ has another action than for a"),
        ("gallery", "b: query \\d+ has a gallery of another size than for a"),
        ("match", "b: query \\d+ has other labels than for a"),
    ],
)
def test_scores_of_different_queries_are_not_compared(fault, message):
    metrics = scored(rankings()[0])
    with pytest.raises(ValueError, match=message):
        compare_metrics({"a": metrics, "b": spoiled(metrics, fault)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not JSON", "expected JSON that kreid-evaluate wrote"),
        ("[1]", "lacks split"),
        ({"per_query": None}, "run kreid-evaluate again"),
        ({"per_query": {"query": [1]}}, "run kreid-evaluate again"),
        (
            {"per_query": {"query": [1, 2], "action": [0], "gallery": [1], "AP": [1.0], "first": [1]}},
            "run kreid-evaluate",
        ),
        ({"per_query": {key: ["x"] for key in ["query", "action", "gallery", "AP", "first"]}}, "expected 1 integers"),
        ({"per_query": {key: [] for key in ["query", "action", "gallery", "AP", "first"]}}, "at least one query"),
        ({"settings": {"flipp": True}}, "run kreid-evaluate again"),
        ({"runs": 3}, "run kreid-evaluate again"),
        pytest.param({"mAP": 10**400}, "run kreid-evaluate again", id="huge"),
        pytest.param('{"runs":' + "[" * 100_000, "nested too deeply", id="nested"),
    ],
)
def test_files_that_are_no_scores_are_named(write, change, message):
    path = write(change if isinstance(change, str) else scored(rankings()[0]) | change)
    with pytest.raises(ValueError, match=message) as caught:
        read_metrics(path)
    assert str(caught.value).startswith(str(path))


def test_a_comparison_is_shown_as_its_table():
    compared = compare_metrics({"a": scored(rankings()[0])})
    assert f"{compared!r}\n" == to_markdown(compared)
    assert json.loads(json.dumps(compared)) == compared
