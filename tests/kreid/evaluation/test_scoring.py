"""What kreid-evaluate writes of every action; the rest of it is tested with the command."""

import json
import shutil

import pytest
from ranking_cases import drawn, listed

from kreid.evaluation import scoring
from kreid.evaluation.scoring import per_action
from kreid.ranking.figures import QueryFigures
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from kreid.runs.weights import WEIGHTS, weights_digest, write_weights

pytestmark = pytest.mark.usefixtures("resnet_stem")


def test_every_actions_figures_by_hand():
    figures = QueryFigures.of(rank(listed("-+", "--", "", "+")))
    assert per_action(figures) == {"action": [0, 1, 2, 3], "mAP": [0.5, None, None, 1.0], "queries": [1, 0, 0, 1]}


def test_actions_weighted_by_their_queries_give_the_map():
    figures = QueryFigures.of(rank(drawn(0, actions=30, matched=False)))
    actions = per_action(figures)
    assert 0 in actions["queries"]
    whole = sum(mean * count for mean, count in zip(actions["mAP"], actions["queries"], strict=True) if count)
    assert whole / sum(actions["queries"]) == pytest.approx(evaluate(figures)["mAP"])
    assert json.loads(json.dumps(actions, allow_nan=False)) == actions


def test_weights_replaced_meanwhile_do_not_pass_for_those_scored(run_folder, records, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(run_folder, run, ignore=shutil.ignore_patterns("*.json"))
    before, load = weights_digest(run), scoring.load_model

    def load_and_replace(folder):
        model = load(folder)
        write_weights(model, folder)  # as an epoch that was better
        (run / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes() + b"\0")
        return model

    monkeypatch.setattr(scoring, "load_model", load_and_replace)
    metrics = scoring.evaluate_runs([run], records / "test", "test")
    assert metrics["weights"] == [before]
    assert weights_digest(run) != before
