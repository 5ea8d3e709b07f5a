"""kreid-score, and the files that kreid-rank writes for it and for SoccerNet's scorer."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ranking_cases import bbox_info, drawn
from tiny_runs import command

from kreid.cli import rank as rank_command
from kreid.cli import score as score_command
from kreid.ranking.files import write
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from kreid.ranking.truth import read_groundtruth

pytestmark = pytest.mark.usefixtures("resnet_stem")


@pytest.fixture
def files(tmp_path):
    """A ranking file, its labels, and the scores they come to."""
    embeddings = drawn(3, actions=12, most=20)
    (tmp_path / "bbox_info.json").write_text(json.dumps(bbox_info(embeddings)))
    ranking = rank(embeddings)
    return write(ranking, tmp_path / "ranking.json"), tmp_path / "bbox_info.json", evaluate(ranking)


def test_prints_percent_and_writes_fractions(files, tmp_path, capsys):
    ranking, labels, expected = files
    assert command(score_command.app, ranking, labels, "--out", tmp_path / "scores.json") == 0
    *_, names, figures, path = capsys.readouterr().out.splitlines()
    assert len(names) == len(figures)  # they end under each other
    assert names.split() == ["mAP", "rank-1", "rank-5", "rank-10"]
    assert figures.split() == [f"{100 * expected[name]:.1f}" for name in ("mAP", "rank1", "rank5", "rank10")]
    assert path == str(tmp_path / "scores.json")
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written == {"ranking": str(ranking), "groundtruth": str(labels), "protocol": "action", **expected}


def test_answers_without_tensorflow(files):
    ranking, labels, _ = files
    code = "import sys; from kreid.cli.score import app; app(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, ranking, labels], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "numpy" in loaded
    assert not loaded & {"tensorflow", "keras", "PIL"}


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["{bad}", "{labels}"], 1, "bad.json: not a ranking of these images: queries left out: 1 ("),
        (["{labels}", "{ranking}"], 1, "ranking.json: expected {\"query\": {...}, \"gallery\": {...}}"),
        (["{ranking}", "nowhere"], 2, "GROUNDTRUTH nowhere: no such file"),
        (["nowhere", "{labels}"], 2, "FILE nowhere: no such file"),
        (["{folder}", "{ranking}"], 2, "expected a ranking file, received a folder"),
        (["{ranking}"], 2, "GROUNDTRUTH"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_line(files, tmp_path, capsys, arguments, code, message):
    ranking, labels, _ = files
    lists = json.loads(ranking.read_text())
    lists.popitem()
    (tmp_path / "bad.json").write_text(json.dumps(lists))
    places = {"bad": tmp_path / "bad.json", "labels": labels, "ranking": ranking, "folder": tmp_path}
    out = tmp_path / "scores.json"
    assert command(score_command.app, *(one.format(**places) for one in arguments), "--out", out) == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not out.exists()


@pytest.mark.parametrize("split", ["valid", "test", "challenge"])
def test_soccernet_takes_what_rank_writes(run_folder, records, capsys, tmp_path, split):
    assert command(rank_command.app, run_folder, "--data", records, "--split", split, "--no-look") == 0
    ranking = run_folder / f"ranking_{split}.json"
    assert capsys.readouterr().out.splitlines() == [str(ranking), str(run_folder / f"report_{split}.html")]
    tree = records.parent / "tree" / "reid" / split
    withheld = split == "challenge"
    assert command(score_command.app, ranking, tree, "--out", tmp_path / "scores.json") == int(withheld)
    if withheld:
        assert "a complete ranking of" in capsys.readouterr().err
        return
    official = pytest.importorskip(
        "SoccerNet.Evaluation.ReIdentification", reason="pip install --no-deps SoccerNet brings the official scorer"
    )
    expected = official.evaluate(tree / "bbox_info.json", ranking)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["mAP"] == pytest.approx(expected["mAP"], abs=1e-12)
    assert scores["rank1"] == pytest.approx(expected["rank-1"], abs=1e-6)


def test_labels_from_the_names_of_a_tree_without_a_list(records):
    tree = records.parent / "tree" / "reid" / "challenge"
    images, expected = read_groundtruth(tree), read_groundtruth(records / "challenge")
    for name in ("person", "action", "bbox", "is_query"):
        np.testing.assert_array_equal(getattr(images, name), getattr(expected, name))


@pytest.mark.parametrize("folder, inside", [("records", "records/test"), ("tree", "reid/valid")])
def test_a_folder_of_several_splits_asks_for_one(records, folder, inside):
    with pytest.raises(ValueError, match=f"{folder}: expected .* in this folder; give one split: .*{inside}"):
        read_groundtruth(records.parent / folder)


def test_a_training_set_has_no_queries(records):
    with pytest.raises(ValueError, match=r"index.npz: no queries, as in the training set; give"):
        read_groundtruth(records / "train")
