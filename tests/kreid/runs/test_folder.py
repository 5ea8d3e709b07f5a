"""How runs are named, and where what several of them give goes."""

import itertools
import re

import pytest
from configurations import changed

from kreid.config.loading import dump, load_config
from kreid.errors import ConfigError
from kreid.runs.folder import CONFIG, check_new, check_resume, load_config_of, network_digest, result_path, run_names
from kreid.runs.weights import WEIGHTS


def test_runs_that_share_a_folder_name_have_results_of_their_own(tmp_path):
    first = tmp_path / "one" / "run"
    beside, above, below = tmp_path / "one" / "b", tmp_path / "run", tmp_path / "one" / "run" / "run"
    others = [beside, above, below, tmp_path / "two" / "run", tmp_path / "three" / "run", tmp_path / "one", tmp_path]
    chosen = [list(some) for count in range(3) for some in itertools.permutations(others, count)]
    paths = [result_path([first, *some], "metrics_test.json") for some in chosen]
    assert {path.parent for path in paths} == {first}
    assert len({path.name for path in paths}) == len(paths)
    assert paths[:2] == [first / "metrics_test.json", first / "metrics_test_with_b.json"]
    assert re.fullmatch(r"metrics_test_with_run-[0-9a-f]{8}\.json", paths[2].name)


def test_names_are_paths_where_runs_lie_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    assert run_names(["run", "b", "../two/run", tmp_path / "two" / "b"]) == ["run", "b", "../two/run", "../two/b"]
    assert run_names([tmp_path / "one" / ".." / "one"]) == ["one"]


@pytest.mark.parametrize("name", ["seed", "Läufe" * 7])
def test_many_runs_still_have_a_file_name(tmp_path, name):
    runs = [tmp_path / f"{name}{number}" for number in range(60)]
    paths = [result_path(some, "ranking_challenge.json") for some in (runs, [*runs[:-2], *runs[:-3:-1]])]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert re.fullmatch(r"ranking_challenge_with_59_runs-[0-9a-f]{8}\.json", path.name)
    assert paths[0] != paths[1]


def test_a_run_goes_on_with_another_ranking_but_not_with_another_protocol(tmp_path, tiny_one):
    """The protocol decides which epoch's weights are kept; the rest of the section comes after training."""
    (tmp_path / CONFIG).write_text(dump(tiny_one), encoding="utf-8")
    check_resume(tmp_path, changed(tiny_one, evaluation={"flip": True, "rerank": True}))
    with pytest.raises(ConfigError, match=r"cannot resume with another configuration \(evaluation.protocol: "):
        check_resume(tmp_path, changed(tiny_one, evaluation={"protocol": "cross_camera"}))


@pytest.mark.parametrize(
    ("weights", "change", "same"),
    [
        (b"w", {"train": {"epochs": 77}}, True),
        (b"w", {"evaluation": {"flip": True}}, True),
        (b"w", {"model": {"image_size": [64, 32]}}, False),
        (b"v", {}, False),
    ],
)
def test_a_network_is_its_weights_and_its_model(tmp_path, tiny_one, weights, change, same):
    digests = []
    for name, content, config in (("a", b"w", tiny_one), ("b", weights, changed(tiny_one, **change))):
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG).write_text(dump(config))
        (tmp_path / name / WEIGHTS).write_bytes(content)
        digests.append(network_digest(tmp_path / name))
    assert (digests[0] == digests[1]) == same


def test_a_run_that_an_earlier_version_let_join_no_heads_is_read(tmp_path, tiny_one):
    text = dump(tiny_one).replace("embedding: final", "embedding: concat")
    (tmp_path / CONFIG).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"model\.embedding: concat joins the layer-wise heads"):
        load_config(tmp_path / CONFIG)
    config = load_config_of(tmp_path)
    assert (config.model.embedding, config.evaluation.embedding) == ("concat", "concat")


def test_a_folder_that_is_taken_is_told_to_who_calls_and_to_who_types(tmp_path):
    (tmp_path / "log.csv").touch()
    with pytest.raises(ConfigError) as raised:
        check_new(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: exists already; give another folder, remove it, or go on there (--resume, in Python resume=True)"
    )
