"""What a run says of itself."""

import json

import pytest

from kreid import runs
from kreid.runs.about import describe_run


@pytest.fixture
def run(tmp_path, tiny_one):
    from kreid.config.loading import dump

    folder = tmp_path / "player"
    folder.mkdir()
    (folder / runs.CONFIG).write_text(dump(tiny_one), encoding="utf-8")
    (folder / runs.WEIGHTS).write_bytes(b"weights")
    return folder


def test_figures_are_those_of_its_weights(run):
    digest = runs.weights_digest(run)
    figures = {"split": "test", "mAP": 0.5, "rank1": 0.4, "weights": [digest], "per_query": [1, 2]}
    (run / "metrics_test.json").write_text(json.dumps(figures))
    (run / "metrics_valid.json").write_text(json.dumps({**figures, "split": "valid", "weights": ["older"]}))
    (run / "metrics_test_with_other.json").write_text(json.dumps({**figures, "weights": [digest, "other"]}))
    (run / runs.SUMMARY).write_text(json.dumps({"training_set": {"images": 9}, "config": {}}))
    said = describe_run(run)
    assert said["name"] == "player"
    assert said["weights"] == digest
    assert said["summary"] == {"training_set": {"images": 9}}
    assert said["configuration"]["model"]["embedder"] == "one_stream"
    (scores,) = said["metrics"]
    assert {name: scores[name] for name in ("split", "mAP", "rank1", "rank5")} == {
        "split": "test", "mAP": 0.5, "rank1": 0.4, "rank5": None,
    }  # fmt: skip
    json.dumps(said)


def test_a_damaged_file_of_figures_is_none(run):
    (run / "metrics_test.json").write_text('{"weights": ')
    (run / "metrics_valid.json").write_text("[1]")
    (run / runs.SUMMARY).write_text("[1]")
    assert describe_run(run)["metrics"] == []
    assert describe_run(run)["summary"] is None


def test_without_weights_there_is_nothing_to_say(run):
    (run / runs.WEIGHTS).unlink()
    with pytest.raises(ValueError, match="no model.weights.h5"):
        describe_run(run)
