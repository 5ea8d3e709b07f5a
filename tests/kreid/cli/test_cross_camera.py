"""A set that is one action of three cameras, from training to the report, by Market-1501's protocol."""

import csv
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from configurations import changed
from three_cameras import naive_scores
from tiny_runs import invoke

from kreid.cli.compare import app as compare_app
from kreid.cli.embed import app as embed_app
from kreid.cli.evaluate import app as evaluate_app
from kreid.cli.export import _check_records, _print_cost
from kreid.cli.rank import app as rank_app
from kreid.cli.score import app as score_app
from kreid.embedding.extract import embed
from kreid.ranking import ordering
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import rank
from kreid.ranking.protocols import gallery_sizes
from kreid.ranking.scores import evaluate
from kreid.runs.folder import load_model
from kreid.training.run import train

pytestmark = pytest.mark.usefixtures("resnet_stem")


@pytest.fixture(scope="module")
def trained(filmed, tiny_one, tmp_path_factory):
    """A run of one epoch; tests that write into it take a copy."""
    config = changed(tiny_one, train={"epochs": 1, "steps_per_epoch": 2, "pictures": 2})
    return train(config, filmed, tmp_path_factory.mktemp("trained") / "run", quiet=True)


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def kept(monkeypatch):
    """The rankings that are made, of which those of this protocol must never be whole."""
    made = []
    check = Ranking.__post_init__
    monkeypatch.setattr(Ranking, "__post_init__", lambda ranking: made.append(ranking) or check(ranking))
    return made


@pytest.fixture
def blocks(monkeypatch):
    """Memory for 100 pairs, in place of the usual 256 MiB, and the pairs that were looked at at once."""
    seen, cut, sort = [], ordering.parts, ordering.nearest_first
    monkeypatch.setattr(ordering, "parts", lambda rows, width, most: cut(rows, width, 100))
    monkeypatch.setattr(
        ordering,
        "nearest_first",
        lambda query, gallery, *more: seen.append(len(query) * len(gallery)) or sort(query, gallery, *more),
    )
    return seen


def test_training_validates_across_cameras(filmed, trained):
    with (trained / "log.csv").open() as file:
        logged = list(csv.DictReader(file))[-1]
    precision, first, _ = naive_scores(embed(load_model(trained), filmed / "valid"))
    assert float(logged["valid_mAP"]) == pytest.approx(precision, abs=1e-5)
    assert float(logged["valid_rank1"]) == pytest.approx(first, abs=1e-5)


def test_scores_are_those_of_plain_loops(filmed, run, capsys, kept, blocks):
    code, lines, err = invoke(capsys, evaluate_app, run, "--data", filmed, "--baselines", "--expand", 1)
    assert (code, err) == (0, "")
    assert kept == []  # no list outlives its block
    assert set(blocks) == {2 * 47, 47}  # of 11 queries two at a time, whatever is scored
    assert lines[0] == "test: 11 queries, protocol cross_camera, 1 without a match skipped"
    metrics = json.loads((run / "metrics_test.json").read_text())
    embeddings = embed(load_model(run), filmed / "test")
    precision, first, counted = naive_scores(embeddings)
    plain = metrics["rows"][0]
    assert plain["mAP"] == pytest.approx(precision, abs=1e-12)
    assert plain["rank1"] == pytest.approx(first, abs=1e-12)
    assert (metrics["protocol"], metrics["queries"], metrics["queries"] - metrics["skipped"]) == (
        "cross_camera", 11, counted,
    )  # fmt: skip
    assert metrics["paper"] is None
    assert plain["intervals"]["mAP"][0] < plain["mAP"] < plain["intervals"]["mAP"][1]
    assert metrics["per_query"]["unit"] == embeddings.person[embeddings.is_query].tolist()
    assert 0 < metrics["baselines"]["random"]["mAP"] < 0.5


def test_scores_of_something_else_are_said_to_be_replaced(filmed, run, capsys):
    said = []
    for protocol in ("cross_camera", "cross_camera", "action"):
        line = [run, "--data", filmed, "--split", "valid", "--protocol", protocol]
        code, _, err = invoke(capsys, evaluate_app, *line)
        assert code == 0
        said.append(err)
    replaced = "the scores that stood there were by protocol 'cross_camera', and are replaced\n"
    assert said == ["", "", f"{run}/metrics_valid.json: {replaced}"]


def test_an_ensembles_rows_are_all_by_the_protocol_that_is_asked_for(filmed, run, tmp_path, capsys):
    """Whichever of the two that is, the records' own or the other."""
    other = shutil.copytree(run, tmp_path / "other")
    for protocol in ("action", "cross_camera"):
        line = [run, "--with", other, "--data", filmed, "--protocol", protocol]
        code, _, _ = invoke(capsys, evaluate_app, *line)
        assert code == 0
        scores = [row["mAP"] for row in json.loads((run / "metrics_test_with_other.json").read_text())["rows"]]
        assert scores == pytest.approx([scores[0]] * 3, abs=1e-9)  # twice the same network, and what it makes of two
        assert scores[0] == pytest.approx(
            evaluate(rank(embed(load_model(run), filmed / "test"), protocol=protocol))["mAP"]
        )


def test_vectors_in_a_file_are_ranked_as_their_records(filmed, run, tmp_path, capsys):
    code, _, _ = invoke(capsys, embed_app, run, filmed / "test", "--out", tmp_path / "vectors.npz")
    assert code == 0
    found, expected = Embeddings.load(tmp_path / "vectors.npz"), embed(load_model(run), filmed / "test")
    assert found.protocol == "cross_camera"
    np.testing.assert_array_equal(found.camera, expected.camera)
    assert evaluate(rank(found)) == evaluate(rank(expected))


def test_what_a_file_costs_is_by_the_protocol_of_the_run(filmed, run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "kreid.evaluation.exported.score_exported", lambda *given: seen.append(given[-1]) or [{"mAP": 0.5}] * 2
    )
    settings = (run / "config.yaml").read_text()
    for wanted in ("null", "action"):
        (run / "config.yaml").write_text(settings.replace("protocol: null", f"protocol: {wanted}"))
        records, protocol = _check_records(run, filmed, "test")
        _print_cost(None, SimpleNamespace(run=None), records, "test", protocol)
    assert seen == ["cross_camera", "action"]


def test_comparison_is_by_one_protocol(filmed, run, tmp_path, capsys):
    out = tmp_path / "table.md"
    other = shutil.copytree(run, tmp_path / "other")
    code, _, err = invoke(capsys, compare_app, run, other, "--data", filmed, "--out", out)
    assert code == 0, err
    assert "test: 11 queries, protocol cross_camera. In percent; in brackets 95 % intervals over people; p of the" in (
        out.read_text()
    )
    before = (run / "metrics_test.json").stat().st_mtime_ns
    line = [run, "--data", filmed, "--out", out, "--protocol"]
    assert invoke(capsys, compare_app, *line, "cross_camera")[0] == 0
    assert (run / "metrics_test.json").stat().st_mtime_ns == before  # these scores are there
    assert invoke(capsys, evaluate_app, run, "--data", filmed, "--expand", 1, "--flip")[0] == 0
    code, _, err = invoke(capsys, compare_app, *line, "action")  # the option wins over the records
    former = "by protocol 'cross_camera' (flip, expand 1)"
    said = f"scoring {run}; the scores in {run}/metrics_test.json are {former}, and are replaced\n"
    assert (code, err) == (0, said)
    metrics = json.loads((run / "metrics_test.json").read_text())
    assert metrics["protocol"] == metrics["settings"]["protocol"] == "action"
    assert set(metrics["per_query"]["gallery"]) == {47}  # all of the action
    assert metrics["intervals"] is None  # of a single action
    code, _, err = invoke(capsys, compare_app, run, other, "--out", out)
    assert code == 1
    assert "other: scored by protocol 'cross_camera', " in err
    assert "by 'action', whose figures say nothing about each other; score all of them by one" in err
    code, _, err = invoke(capsys, compare_app, run, "--out", out, "--protocol", "action")
    assert (code, "--protocol: decides how runs are scored here, which takes --data too" in err) == (2, True)


def test_the_page_shows_the_first_of_each_list(filmed, run, capsys, kept, monkeypatch):
    monkeypatch.setattr("kreid.cli.rank._SHOWN", 3)
    (run / "ranking_test.json").write_text("of another set")
    code, lines, err = invoke(capsys, rank_app, run, "--data", filmed, "--no-look")
    assert (code, lines) == (0, [str(run / "report_test.html")])
    assert err.splitlines() == [
        "no ranking file: SoccerNet's form holds all of an action, and protocol 'cross_camera' leaves some of it out",
        f"{run / 'ranking_test.json'} is of another ranking than the page beside it, and is called "
        "ranking_test.former.json now",
    ]
    assert not (run / "ranking_test.json").exists()
    assert (run / "ranking_test.former.json").read_text() == "of another set"
    assert [(ranking.protocol, ranking.nearest, len(ranking.gallery)) for ranking in kept] == [("cross_camera", 3, 33)]
    page = (run / "report_test.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script [^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    embeddings = embed(load_model(run), filmed / "test")
    precision, *_ = naive_scores(embeddings)
    assert f"{100 * precision:.1f}" in page
    assert "1 query has no picture of the person from another camera in the gallery: listed last" in page
    assert data["queries"]["start"] == list(range(0, 36, 3))
    sizes = gallery_sizes(embeddings.images, "cross_camera")[embeddings.is_query]
    assert sorted(data["queries"]["size"]) == sorted(sizes.tolist())
    assert max(data["queries"]["first"]) > 3  # further than what is listed
    assert "Same person or not" in page  # of all pairs, not of those listed


def test_a_ranking_file_of_the_whole_action_is_scored_by_the_records_protocol(filmed, run, tmp_path, capsys):
    assert invoke(capsys, rank_app, run, "--data", filmed, "--protocol", "action", "--no-look")[0] == 0
    line = [run / "ranking_test.json", filmed / "test", "--out", tmp_path / "scores.json"]
    code, lines, err = invoke(capsys, score_app, *line)
    assert (code, err) == (0, "")
    assert lines[0].endswith("11 queries, protocol cross_camera, 1 without a match left out")
    scores = json.loads((tmp_path / "scores.json").read_text())
    precision, *_ = naive_scores(embed(load_model(run), filmed / "test"))
    assert (scores["protocol"], scores["mAP"]) == ("cross_camera", pytest.approx(precision, abs=1e-9))
    assert invoke(capsys, score_app, *line, "--protocol", "action")[0] == 0
    assert json.loads((tmp_path / "scores.json").read_text())["mAP"] != scores["mAP"]


@pytest.mark.parametrize("app", [evaluate_app, rank_app], ids=["evaluate", "rank"])
def test_records_without_cameras_are_told_before_the_network_works(records, run_folder, capsys, monkeypatch, app):
    monkeypatch.setattr("kreid.embedding.extract.embed_each", None)
    code, _, err = invoke(capsys, app, run_folder, "--data", records, "--protocol", "cross_camera")
    assert code == 1
    assert re.fullmatch(r"error: camera: protocol 'cross_camera' needs the camera of every image, .*\n", err)


def test_what_cannot_be_reranked_is_told_before_the_network_works(filmed, run, capsys, monkeypatch):
    monkeypatch.setattr("kreid.ranking.reranking.LARGEST", 20)
    code, _, err = invoke(capsys, evaluate_app, run, "--data", filmed, "--rerank")
    assert code == 1
    assert "embeddings: action 0 has 58 images, and re-ranking, which compares all with all, takes 20 at most" in err
