"""kreid-evaluate, kreid-rank and kreid-compare with their switches, in this process, on runs that nothing trained."""

import json
import shutil

import numpy as np
import pytest
import yaml
from ranking_cases import count_matching
from tiny_runs import invoke, make_run, with_heads

from kreid.cli.compare import app as compare_app
from kreid.cli.evaluate import app as evaluate_app
from kreid.cli.rank import app as rank_app
from kreid.embedding.extract import embed
from kreid.ranking.files import score
from kreid.ranking.ordering import rank
from kreid.ranking.reranking import combine
from kreid.ranking.scores import evaluate
from kreid.ranking.verification import verify
from kreid.runs.folder import WEIGHTS, load_model
from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.index import read_index

pytestmark = pytest.mark.usefixtures("resnet_stem")

SWITCHES = ("--flip", "--concat", "--expand", 1, "--rerank", "--k1", 4)


@pytest.fixture(scope="module")
def runs(tiny_one, tmp_path_factory):
    """Runs a, with a head, and b, without one and with another seed; tests must not change them."""
    folder = tmp_path_factory.mktemp("runs")
    return make_run(folder / "a", with_heads(tiny_one)), make_run(folder / "b", tiny_one, seed=1)


@pytest.fixture
def copies(runs, tmp_path):
    """Copies of the runs' configurations and weights, to change and to write into."""
    for one in runs:
        shutil.copytree(one, tmp_path / one.name, ignore=shutil.ignore_patterns("*.json", "*.html"))
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture(scope="module")
def truth(records):
    """What SoccerNet says of the test split."""
    return records.parent / "tree" / "reid" / "test" / "bbox_info.json"


@pytest.fixture(scope="module")
def switched(runs, records):
    """Run a, scored and ranked with all switches; the ranking file."""
    for app, more in ((evaluate_app, []), (rank_app, ["--no-look"])):
        with pytest.raises(SystemExit) as left:
            app([str(runs[0]), "--data", str(records), *map(str, SWITCHES), *more])
        assert not left.value.code
    return runs[0] / "ranking_test.json"


def rows_of(lines):
    """The printed table: name -> its cells."""
    return {line[:18].strip(): line[18:].split() for line in lines}


# === Switches ===


def test_each_switch_stands_beside_the_plain_ranking_with_its_cost(runs, records, capsys, monkeypatch):
    found = count_matching(monkeypatch)
    code, lines, err = invoke(capsys, evaluate_app, runs[0], "--data", records, *SWITCHES, "--ties")
    assert (code, err) == (0, "")
    assert lines[-1] == str(runs[0] / "metrics_test.json")
    metrics = json.loads((runs[0] / "metrics_test.json").read_text())
    names = ["trained", "flip", "concat", "expand 1", "re-rank k1=4", "together"]
    assert len({id(ranking) for ranking in found}) == 2  # lists are kept by re-ranking alone, which two rows do
    assert [row["name"] for row in metrics["rows"]] == names
    assert lines[0].startswith(f"test: {metrics['queries']} queries of 2 actions")
    assert [line[:12].strip() for line in lines[2:8]] == names
    plain, *_, together = metrics["rows"]
    expected = evaluate(rank(embed(load_model(runs[0]), records / "test")))
    assert [plain[key] for key in ("mAP", "rank1", "rank10")] == [expected[key] for key in ("mAP", "rank1", "rank10")]
    assert [together[key] for key in ("mAP", "rank1")] == [metrics[key] for key in ("mAP", "rank1")]
    assert plain["p_value"] is None
    of_plain = verify(embed(load_model(runs[0]), records / "test"))
    assert {key: metrics["verification"][key] for key in ("eer", "threshold")} == pytest.approx(
        {key: of_plain[key] for key in ("eer", "threshold")}, abs=1e-6
    )
    assert all(0 < row["p_value"] <= 1 for row in metrics["rows"][1:])
    assert together["seconds"]["embedding"] > plain["seconds"]["embedding"] > 0
    assert f"{100 * together['mAP']:.1f} [{100 * together['intervals']['mAP'][0]:.1f} " in lines[7]
    assert metrics["settings"]["rerank"] == {"k1": 4, "k2": 2, "weight": 0.3}
    best, worst = metrics["ties"]["optimistic"], metrics["ties"]["pessimistic"]
    assert worst["mAP"] <= metrics["mAP"] <= best["mAP"]
    assert [line.split()[1] for line in lines[8:10]] == ["optimistic", "pessimistic"]


@pytest.mark.parametrize("scorer", ["kreid", "SoccerNet"])
def test_ranking_files_of_the_command_score_as_the_command_says(switched, truth, scorer):
    if scorer == "SoccerNet":
        official = pytest.importorskip(
            "SoccerNet.Evaluation.ReIdentification", reason="pip install --no-deps SoccerNet brings the official scorer"
        )
        figures = official.evaluate(truth, switched)
        found = {"mAP": figures["mAP"], "rank1": figures["rank-1"]}
    else:
        found = score(switched, truth)
    metrics = json.loads((switched.parent / "metrics_test.json").read_text())
    assert found["mAP"] == pytest.approx(metrics["mAP"], abs=1e-12)
    assert found["rank1"] == pytest.approx(metrics["rank1"], abs=1e-6)  # SoccerNet's is float32
    assert metrics["mAP"] != metrics["rows"][0]["mAP"]


def test_the_configuration_decides_where_a_switch_is_left_out(copies, records, truth, capsys):
    run, _ = copies
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["evaluation"] = {"flip": True, "rerank": {"k1": 5}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    command = [run, "--data", records / "test"]
    assert invoke(capsys, evaluate_app, *command, "--k2", 1)[0] == 0
    metrics = json.loads((run / "metrics_test.json").read_text())
    assert [row["name"] for row in metrics["rows"]] == ["trained", "flip", "re-rank k1=5 k2=1", "together"]
    assert metrics["settings"]["rerank"] == {"k1": 5, "k2": 1, "weight": 0.3}
    assert invoke(capsys, rank_app, *command, "--k2", 1, "--no-look")[0] == 0
    assert score(run / "ranking_test.json", truth)["mAP"] == pytest.approx(metrics["mAP"], abs=1e-12)
    assert "a, test, flip, re-rank k1=5 k2=1</title>" in (run / "report_test.html").read_text()
    code, lines, _ = invoke(capsys, evaluate_app, *command, "--no-flip", "--no-rerank")
    assert code == 0
    assert len(lines) == 6  # how many, head, trained, two of a threshold's errors, path


def test_runs_are_joined_to_an_ensemble(copies, records, capsys):
    one, two = copies
    code, lines, _ = invoke(capsys, evaluate_app, one, "--with", two, "--data", records, "--expand", 2)
    assert code == 0
    path = one / "metrics_test_with_b.json"
    assert lines[-1] == str(path)
    metrics = json.loads(path.read_text())
    assert [row["name"] for row in metrics["rows"]] == ["a", "b", "ensemble", "expand 2"]
    members = [embed(load_model(run), records / "test") for run in copies]
    for row, embeddings in zip(metrics["rows"], [*members, combine(members)], strict=False):
        assert row["mAP"] == evaluate(rank(embeddings))["mAP"]
    assert not (one / "metrics_test.json").exists()
    challenge = ["--data", records, "--split", "challenge", "--no-look"]
    code, lines, err = invoke(capsys, rank_app, one, "--with", two, *challenge)
    assert (code, err) == (0, "")
    assert lines == [str(one / "ranking_challenge_with_b.json"), str(one / "report_challenge_with_b.html")]


# === Comparing ===


def test_runs_are_scored_where_needed_and_compared(copies, records, capsys, monkeypatch):
    monkeypatch.chdir(copies[0].parent)
    code, _, err = invoke(capsys, compare_app, "a", "b")
    assert (code, err) == (2, "error: a: not scored on test yet; run kreid-evaluate, or give --data\n")
    code, lines, err = invoke(capsys, compare_app, "a", "b", "--data", records)
    assert (code, err) == (0, "scoring a\nscoring b\n")
    assert lines[-2:] == ["comparison_test.json", "comparison_test.md"]
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["a", "b"]
    table = copies[0].with_name("comparison_test.md").read_text()
    assert table.splitlines() == lines[: len(table.splitlines())]
    written = copies[1] / "metrics_test.json"
    before = written.read_bytes()
    # What is there is taken; other weights are noticed, and scored anew with --data.
    assert invoke(capsys, compare_app, "a", "b", "--data", records, "--out", "x.md")[2] == ""
    shutil.copy(copies[0] / WEIGHTS, copies[1] / WEIGHTS)
    shutil.copy(copies[0] / "config.yaml", copies[1])
    code, _, err = invoke(capsys, compare_app, "a", "b")
    assert code == 0
    assert "b/metrics_test.json: of another network than b has now" in err
    assert written.read_bytes() == before
    code, lines, err = invoke(capsys, compare_app, "a", "b", "--data", records)
    assert err == "scoring b; the scores in b/metrics_test.json are of another network, and are replaced\n"
    assert "+0.0 [0.0 0.0], p 1" in lines[3]
    config = copies[1] / "config.yaml"  # the weights fit images of another size, and the figures are others
    config.write_text(config.read_text().replace("image_size:\n  - 32\n  - 32", "image_size:\n  - 48\n  - 32"))
    assert "b/metrics_test.json: of another network than b has now" in invoke(capsys, compare_app, "a", "b")[2]
    tree = json.loads(written.read_text())
    del tree["networks"]  # earlier versions knew the weights alone
    written.write_text(json.dumps(tree))
    assert invoke(capsys, compare_app, "a", "b")[2] == ""


def test_scores_of_other_records_are_refused(copies, records, capsys, monkeypatch):
    monkeypatch.chdir(copies[0].parent)
    assert invoke(capsys, compare_app, "a", "--data", records, "--split", "valid", "--out", "valid.md")[0] == 0
    assert invoke(capsys, compare_app, "a", "--data", records)[0] == 0
    code, lines, err = invoke(capsys, compare_app, "a", "a/metrics_valid.json", "--out", "both.md")
    assert code == 1
    assert "a, a/metrics_valid.json: scored on valid, a, a on test" in err
    assert lines == []
    assert not (copies[0].parent / "both.md").exists()


@pytest.fixture
def corrected(records, tmp_path):
    """The test split after two people of an action changed places in its labels: the same queries and galleries."""
    shutil.copytree(records, tmp_path / "records", ignore=shutil.ignore_patterns("train", "valid", "challenge"))
    path = tmp_path / "records" / "test" / "index.npz"
    arrays = read_arrays(path)
    first, second = np.unique(arrays["person"][arrays["is_query"] & (arrays["action"] == arrays["action"][0])])[:2]
    gallery = ~arrays["is_query"]
    swapped = {first: second, second: first}
    person = [swapped.get(one, one) for one in arrays["person"].tolist()]
    arrays["person"] = np.where(gallery, person, arrays["person"])
    write_arrays(path, arrays)
    return tmp_path / "records"


def test_scores_of_corrected_labels_are_replaced(copies, records, corrected, capsys, monkeypatch):
    monkeypatch.chdir(copies[0].parent)
    shutil.copytree("a", "c")
    assert invoke(capsys, compare_app, "a", "c", "--data", records)[0] == 0
    before = json.loads((copies[0] / "metrics_test.json").read_text())
    code, _, err = invoke(capsys, compare_app, "a", "--data", corrected)
    assert code == 0
    assert err == "scoring a; the scores in a/metrics_test.json are of other records, and are replaced\n"
    after = json.loads((copies[0] / "metrics_test.json").read_text())
    assert after["mAP"] != before["mAP"]
    assert after["records"] == read_index(corrected / "test").digest() != before["records"]
    code, _, err = invoke(capsys, compare_app, "a", "c")
    assert (code, "error: c: scored on other records than a, of other labels or images; " in err) == (1, True)
    code, _, err = invoke(capsys, evaluate_app, "c", "--data", corrected)
    assert err == "c/metrics_test.json: the scores that stood there were of other records, and are replaced\n"


def test_scores_by_other_switches_stay_and_are_told(copies, records, capsys, monkeypatch):
    monkeypatch.chdir(copies[0].parent)
    told = "warning: a/metrics_test.json: scored {}, where the configuration of a asks for {}; run kreid-evaluate again"
    config, written = copies[0] / "config.yaml", copies[0] / "metrics_test.json"
    line = ("a", "--data", records)
    assert invoke(capsys, compare_app, *line)[0] == 0
    config.write_text(config.read_text().replace("evaluation:\n  flip: false", "evaluation:\n  flip: true"))
    before = written.read_bytes()
    assert invoke(capsys, compare_app, *line)[2] == told.format("plainly", "flip") + " for that\n"
    assert written.read_bytes() == before
    assert invoke(capsys, evaluate_app, *line)[0] == 0
    assert invoke(capsys, compare_app, *line)[2] == ""
    assert invoke(capsys, evaluate_app, *line, "--no-flip", "--expand", 1)[0] == 0
    assert invoke(capsys, compare_app, *line)[2] == told.format("with expand 1", "flip") + " for that\n"
    written.write_text("none")
    said = "scoring a; the scores in a/metrics_test.json are none that can be read, and are replaced\n"
    assert invoke(capsys, compare_app, *line)[2] == said


# === Mistakes ===


@pytest.mark.parametrize(
    ("app", "arguments", "message"),
    [
        (evaluate_app, ["{a}", "--crops", 9], "'--crops'"),
        (evaluate_app, ["{a}", "--split", "train"], "--split train: the training set has no queries; choose valid or"),
        (evaluate_app, ["{a}", "--split", "a/b"], "--split 'a/b': expected valid or test\n"),
        (rank_app, ["{a}", "--split", "train"], "has no queries; choose valid, test or challenge"),
        (evaluate_app, ["{a}", "--weight", 2], "'--weight'"),
        (evaluate_app, ["{a}", "--weight", "nan"], "'--weight'"),
        (evaluate_app, ["{a}", "--no-rerank", "--k1", 4], "--no-rerank: expected without --k1"),
        (evaluate_app, ["{b}", "--concat"], "b: has no layer-wise heads to join"),
        (rank_app, ["{a}", "--with", "{b}", "--concat"], "b: has no layer-wise heads to join"),
        (rank_app, ["{a}", "--with", "{b}", "--with", "{b}/"], "--with {b}: given already; join different runs"),
        (evaluate_app, ["{a}", "--with", "{b}/../a"], "--with {b}/../a: given already; join different runs"),
        (rank_app, ["{a}", "--with", "nowhere"], "nowhere: not a run folder"),
        (compare_app, ["{a}", "--out", "x.txt"], "ends in .md"),
        (compare_app, ["nowhere"], "nowhere: not a run folder"),
    ],
)
def test_wrong_switches_end_with_2_before_tensorflow(runs, records, capsys, monkeypatch, app, arguments, message):
    for module in ("compare", "evaluate", "rank"):
        monkeypatch.setattr(f"kreid.cli.{module}.load_tensorflow", None)  # calling it would fail
    places = {"a": runs[0], "b": runs[1]}
    arguments = [str(argument).format(**places) for argument in arguments]
    code, lines, err = invoke(capsys, app, *arguments, "--data", records)
    assert code == 2
    assert message.format(**places) in err
    assert err.count("\n") == 1
    assert lines == []


def spoil(index, fault):
    """Break the labels of a converted split."""
    with np.load(index) as arrays:
        content = dict(arrays)
    rows = np.flatnonzero(content["is_query"])
    if fault == "duplicate":
        content["bbox"][rows[1]] = content["bbox"][rows[0]]
    elif fault == "one_withheld":
        content["person"][rows[3]] = -1
    elif fault == "lone":
        content["action"][rows[0]] = 99
        info = index.parents[1] / "info.json"
        tree = json.loads(info.read_text())
        tree["splits"]["test"]["actions"] += 1
        info.write_text(json.dumps(tree))
    np.savez(index, **content)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("duplicate", "index.npz: bbox: 0 stands in rows 0 and 1, both queries"),
        ("one_withheld", "person: the label of query 3 of action 0 is withheld"),
        ("challenge", "is withheld, as in the challenge set"),
    ],
)
def test_wrong_labels_end_with_1_before_tensorflow(runs, records, tmp_path, capsys, monkeypatch, fault, message):
    monkeypatch.setattr("kreid.cli.evaluate.load_tensorflow", None)
    shutil.copytree(records, tmp_path / "records")
    split = "challenge" if fault == "challenge" else "test"
    spoil(tmp_path / "records" / split / "index.npz", fault)
    before = sorted(runs[0].iterdir())
    code, lines, err = invoke(capsys, evaluate_app, runs[0], "--data", tmp_path / "records", "--split", split)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1
    assert lines == []
    assert sorted(runs[0].iterdir()) == before


def test_a_query_alone_in_its_action_is_skipped_and_told(copies, records, tmp_path, capsys):
    shutil.copytree(records, tmp_path / "records")
    spoil(tmp_path / "records" / "test" / "index.npz", "lone")
    code, lines, _ = invoke(capsys, evaluate_app, copies[1], "--data", tmp_path / "records")
    assert code == 0
    assert "3 actions, 1 without a match skipped" in lines[0]
    code, _, err = invoke(capsys, rank_app, copies[1], "--data", tmp_path / "records", "--no-look")
    assert "1 queries have no gallery image in their action" in err


def test_a_network_of_nans_ends_with_1_and_leaves_older_results(copies, tiny_one, records, capsys):
    run = copies[1]
    model = load_model(run)
    model.set_weights([np.full_like(values, np.nan) for values in model.get_weights()])
    model.save_weights(run / WEIGHTS)
    for app, name in ((evaluate_app, "metrics_test.json"), (rank_app, "ranking_test.json")):
        (run / name).write_text("older")
        code, lines, err = invoke(capsys, app, run, "--data", records, "--flip")
        assert code == 1
        assert "hold NaN or infinity" in err
        assert "look for a diverged model" in err
        assert err.count("\n") == 1
        assert lines == []
        assert (run / name).read_text() == "older"
    assert not list(run.glob(".partial*"))
