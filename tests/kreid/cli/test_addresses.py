"""Commands on records at an address, where no folder of this machine is: as on the records themselves."""

import importlib
import json

import keras  # noqa: F401  (its import draws random numbers)
import numpy as np
import pytest
from elsewhere import upload
from tiny_runs import invoke
from track_cases import draw_crops

import kreid
from kreid.ranking.truth import read_groundtruth
from tfrecords_tools.check_cli import app as check
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.remote import path_of
from tfrecords_tools.sources.source import Options
from tfrecords_tools.writer import convert

pytestmark = pytest.mark.usefixtures("resnet_stem")


def app_of(name):
    return importlib.import_module(f"kreid.cli.{name}").app


@pytest.fixture(scope="module")
def address(records):
    return upload(records)


def test_a_run_is_trained_and_validated_on_an_address(tiny_one, records, address, eagerly, tmp_path):
    config = tiny_one.model_copy(update={"train": tiny_one.train.model_copy(update={"epochs": 1})})
    for name, data in (("here", records), ("there", address)):
        kreid.train(config, data, tmp_path / name, quiet=True)
    here, there = ((tmp_path / name / "log.csv").read_text().splitlines() for name in ("here", "there"))
    columns = here[0].split(",")
    kept = [place for place, column in enumerate(columns) if "seconds" not in column and "per_second" not in column]
    assert [[line.split(",")[place] for place in kept] for line in here] == [
        [line.split(",")[place] for place in kept] for line in there
    ]


def test_scores_and_rankings_are_those_of_the_records(run_folder, records, address, capsys):
    for name, written in (("evaluate", "metrics_test.json"), ("rank", "ranking_test.json")):
        results = []
        options = ("--no-look",) if name == "rank" else ()
        for data in (records, address):
            code, _, err = invoke(capsys, app_of(name), run_folder, "--data", data, *options)
            assert code == 0, err
            content = json.loads((run_folder / written).read_text())
            results.append({key: content[key] for key in ("mAP", "records")} if name == "evaluate" else content)
        assert results[0] == results[1]


def test_embeddings_searches_and_ground_truth_take_an_address(run_folder, records, address, tmp_path, capsys):
    vectors = []
    for name, folder in (("here", records / "test"), ("there", f"{address}/test")):
        out = tmp_path / f"{name}.npz"
        code, _, err = invoke(capsys, app_of("embed"), run_folder, folder, "--out", out)
        assert code == 0, err
        vectors.append(dict(np.load(out)))
    np.testing.assert_equal(vectors[0], vectors[1])
    sides = ("--query", f"{address}/test", "--gallery", f"{address}/test", "--out", tmp_path / "found.json")
    code, _, err = invoke(capsys, app_of("search"), run_folder, *sides)
    assert code == 0, err
    labels = read_groundtruth(path_of(f"{address}/test"))
    np.testing.assert_array_equal(labels.person, read_groundtruth(records / "test").person)
    (tmp_path / "ranking.json").write_text("{}")
    said = [
        invoke(capsys, app_of("score"), tmp_path / "ranking.json", place)[2].replace(str(place), "")
        for place in (records / "test", f"{address}/test")
    ]
    assert said[0] == said[1]
    assert "ranking.json" in said[0]  # what is wrong with it, which the labels tell


def test_the_interface_in_python_takes_an_address(run_folder, records, address):
    model = kreid.load_model(run_folder)
    here, there = kreid.embed(model, records / "valid"), kreid.embed(model, f"{address}/valid")
    np.testing.assert_array_equal(here.vectors, there.vectors)
    assert here.protocol == there.protocol


def test_tracks_of_records_at_an_address_are_matched(run_folder, tmp_path, capsys):
    convert(draw_crops(tmp_path / "crops", crops=2), tmp_path / "records", options=Options(train_share=0))
    place = upload(tmp_path / "records")
    for name, data in (("here", tmp_path / "records"), ("there", place)):
        code, _, err = invoke(capsys, app_of("match"), run_folder, "--data", data, "--out", tmp_path / name)
        assert code == 0, err
    here, there = ((tmp_path / name / "matches.csv").read_text() for name in ("here", "there"))
    assert here == there


def test_records_at_an_address_are_checked(address, capsys):
    code, lines, err = invoke(capsys, check, "check", address)
    assert (code, lines) == (0, [address])
    assert "nothing wrong" in err


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("evaluate", "{run} --data {there}/none", "--data {there}/none: no such folder; give the one that kreid-conv"),
        ("evaluate", "{run} --data {there}/info.json", "--data {there}/info.json: a file, expected a folder"),
        ("evaluate", "{run} --data {there}/test --split valid", "{there}/test: the split test alone, expected 'valid'"),
        ("evaluate", "{run} --data nowhere://b/x", "nowhere://b/x/index.npz: this TensorFlow has no file system for"),
        ("evaluate", "gs://b/run --data {there}", "gs://b/run: an address, expected a path on this machine"),
        ("embed", "{run} {there} --out x.npz", "IMAGES {there}: records of several splits; give one of {there}/chal"),
        ("embed", "{run} {there}/none --out x.npz", "{there}/none: no folder of one split's records"),
        ("embed", "{run} {there}/test --out gs://b/x.npz", "--out gs://b/x.npz: an address is read and written with"),
        ("embed", "gs://b/run {there}/test --out x.npz", "RUN gs://b/run: an address is read and written"),
        ("train", "demo --data {there} --out gs://b/run", "gs://b/run: an address, expected a path on this machine"),
        ("search", "{run} --gallery {there}/x.npz --query {there}/test", "--gallery {there}/x.npz: no such file"),
        ("evaluate", "{run} --data file:///records", "'--data': file:///records: files of this machine are given by"),
        ("match", "{run} {there}/info.json", "{there}/info.json: no folder of one split's records"),
    ],
)
def test_what_is_wrong_with_an_address_is_told_in_one_line(run_folder, address, capsys, name, arguments, words):
    line = arguments.format(run=run_folder, there=address).split()
    code, _, err = invoke(capsys, app_of(name), *line)
    assert (code, err.count("\n")) == (2, 1), err
    assert words.format(there=address) in err


@pytest.mark.parametrize(
    "write",
    [
        lambda config, embeddings: kreid.train(config, "records", "gs://b/run"),
        lambda config, embeddings: embeddings.save("gs://b/x.npz"),
    ],
)
def test_no_result_is_written_to_a_folder_called_like_an_address(
    run_folder, tiny_one, records, write, tmp_path, monkeypatch
):
    embeddings = kreid.embed(kreid.load_model(run_folder), records / "valid", rows=[0])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="gs://b/.*: an address, expected a path on this machine"):
        write(tiny_one, embeddings)
    assert list(tmp_path.iterdir()) == []
