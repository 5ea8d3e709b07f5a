"""The table of a run's scores, by hand."""

import json

from kreid.evaluation.shown import RunScores, run_table


def scored(**changes):
    row = {"mAP": 0.5, "rank1": 0.25, "rank5": 0.75, "rank10": 1.0}
    seconds = {"embedding": 1.25, "ranking": 0.5}
    intervals = {name: [0.1, 0.9] for name in row}
    metrics = {
        "split": "test",
        "queries": 8,
        "skipped": 1,
        "protocol": "action",
        "intervals": intervals,
        "per_action": {"action": [3, 4]},
        "rows": [
            {"name": "trained", **row, "intervals": None, "p_value": None, "seconds": seconds},
            {"name": "flip", **row, "intervals": intervals, "p_value": 0.034, "seconds": seconds},
        ],
        "ties": {"optimistic": {**row, "mAP": 0.625}},
        "paper": {"system": "paper", "mAP": 0.637},
        "verification": None,
    }
    return {**metrics, **changes}


def test_rows_line_up_with_intervals_and_seconds():
    first, head, *rows = run_table(scored()).splitlines()
    assert first == "test: 8 queries of 2 actions, 1 without a match skipped"
    assert head.split() == ["mAP", "rank-1", "rank-5", "rank-10", "p", "embedding", "ranking"]
    assert rows[0].split() == ["trained", "50.0", "25.0", "75.0", "100.0", "1.2", "s", "0.50", "s"]
    assert "50.0 [10.0 90.0]" in rows[1]
    assert "0.034" in rows[1]
    assert rows[2].split() == ["paper", "63.7"]


def test_scores_without_intervals_say_why():
    text = run_table(scored(intervals=None, per_action={"action": [3]}))
    assert text.startswith("test: 8 queries of 1 action, 1 without")
    assert text.endswith("\nno intervals: one action or person alone does not tell how sure a score is")
    assert "no intervals" not in run_table(scored())


def test_what_no_row_knows_has_no_column():
    alone = {"name": "a", "mAP": 0.5, "rank1": 0.5}
    text = run_table(scored(rows=[alone], protocol="cross_camera", paper=None, skipped=0))
    assert text.splitlines()[0] == "test: 8 queries, protocol cross_camera"
    assert text.splitlines()[1].split() == ["mAP", "rank-1"]


def test_baselines_and_ties_stand_below():
    table = run_table(scored(baselines={"random": {"mAP": 0.125}}), ties=True)
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["trained", "flip", "random", "ties", "paper"]


def test_a_result_is_shown_as_its_table_and_written_as_a_dict():
    metrics = scored()
    assert repr(RunScores(metrics)) == run_table(metrics)
    assert json.dumps(RunScores(metrics)) == json.dumps(metrics)
    assert repr(RunScores(split="test")) == "{'split': 'test'}"


def test_what_a_threshold_is_worth_stands_last():
    found = {"positives": 3, "negatives": 1200, "metric": "euclidean", "threshold": 0.5, "eer": 0.25}
    table = run_table(scored(verification={**found, "accepted": [{"far": 0.01, "tar": 0.5}]}))
    assert table.splitlines()[-2:] == [
        "same person or not: equal error rate 25.0 % at euclidean distance 0.500, "
        "of 3 positive and 1,200 negative pairs",
        "accepted of positive pairs (TAR): 50.0 % at FAR 1 %",
    ]
