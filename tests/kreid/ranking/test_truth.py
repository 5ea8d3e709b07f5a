"""Labels bring the protocol that they are scored by: the user's, else that of their records, else SoccerNet's."""

import json
import runpy
import shutil
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from paths import ROOT
from ranking_cases import filmed as drawn_with_cameras

from kreid.cli.switches import ProtocolName
from kreid.config.sections import Evaluation
from kreid.data.records import read_labels
from kreid.ranking import files
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import figures_of, rank
from kreid.ranking.protocols import PROTOCOLS, gallery_sizes, matchable
from kreid.ranking.reranking import combine, rerank
from kreid.ranking.scores import evaluate
from kreid.ranking.truth import read_groundtruth
from kreid.ranking.verification import roc_of_ranking, verify
from tfrecords_tools.index import read_index, read_info


def test_one_table_of_names():
    wanted, _ = get_args(Evaluation.model_fields["protocol"].annotation)
    assert list(get_args(wanted)) == list(ProtocolName) == list(PROTOCOLS)


def test_labels_bring_the_protocol_of_their_records(filmed, records, tmp_path):
    assert read_groundtruth(filmed / "test").protocol == "cross_camera"
    assert read_groundtruth(filmed / "test" / "index.npz").protocol == "cross_camera"
    assert read_groundtruth(records / "test").protocol == "action"
    with read_index(filmed / "train") as train, read_index(records / "test") as test:
        assert [read_labels(index).protocol for index in (train, test)] == ["cross_camera", "action"]
    (tmp_path / "linked").symlink_to(filmed / "test")  # whose neighbours are no records
    assert read_groundtruth(tmp_path / "linked").protocol == "cross_camera"


@pytest.mark.parametrize("protocol", ["action", "cross_camera"])
def test_vectors_keep_their_protocol_in_a_file(tmp_path, protocol):
    embeddings = replace(drawn_with_cameras(3), protocol=protocol)
    embeddings.save(tmp_path / "vectors.npz")
    for found in (Embeddings.load(tmp_path / "vectors.npz"), read_groundtruth(tmp_path / "vectors.npz")):
        assert found.protocol == protocol
    replace(drawn_with_cameras(3), camera=None).save(tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as file:  # what it was before there were cameras
        assert sorted(file.files) == ["action", "bbox", "is_query", "person", "vectors"]


def test_what_takes_labels_goes_by_their_protocol(tmp_path):
    plain = drawn_with_cameras(3, junk=0.1)
    embeddings, by = replace(plain, protocol="cross_camera"), "cross_camera"
    ranking = rank(embeddings)
    assert ranking.protocol == rank(embeddings, nearest=2).protocol == rerank(embeddings).protocol == by
    assert "protocol cross_camera" in repr(ranking)
    assert evaluate(ranking) == evaluate(rank(plain, protocol=by))
    assert figures_of(embeddings).to_json() == figures_of(plain, protocol=by).to_json()
    assert verify(embeddings) == verify(plain, protocol=by)
    np.testing.assert_array_equal(gallery_sizes(embeddings.images), gallery_sizes(plain.images, by))
    np.testing.assert_array_equal(matchable(embeddings.images), matchable(plain.images, by))
    files.write(rank(plain), tmp_path / "ranking.json")
    assert files.score(tmp_path / "ranking.json", embeddings) == evaluate(ranking)


def test_who_asks_wins_over_the_labels():
    embeddings = replace(drawn_with_cameras(3), protocol="cross_camera")
    ranking = rank(embeddings, protocol="action")
    assert ranking.protocol == "action"
    assert evaluate(ranking) == evaluate(rank(replace(embeddings, protocol="action"))) != evaluate(rank(embeddings))
    assert verify(embeddings, protocol="action") != verify(embeddings)


@pytest.mark.parametrize("protocol", [None, 3, ["action"], b"action"])
def test_a_protocol_is_a_name(protocol):
    with pytest.raises(ValueError, match="protocol: expected a name, such as 'action', received"):
        replace(drawn_with_cameras(3), protocol=protocol)


@pytest.mark.parametrize("protocol", [np.array(3), np.array(["action"]), np.array(b"action")])
def test_a_file_with_another_kind_of_protocol_is_told(tmp_path, protocol):
    embeddings = drawn_with_cameras(3)
    arrays = {name: getattr(embeddings, name) for name in ("vectors", "person", "action", "bbox", "is_query")}
    np.savez(tmp_path / "vectors.npz", **arrays, protocol=protocol)
    for read in (Embeddings.load, read_groundtruth):
        with pytest.raises(ValueError, match="vectors.npz: protocol: expected one text, received"):
            read(tmp_path / "vectors.npz")


@pytest.mark.parametrize("named", ["market", None, 3, ["action"]])
def test_a_protocol_that_nobody_knows_is_told_with_its_file(records, tmp_path, named):
    split = read_info(records)["splits"]["test"]
    copy = tmp_path / "copy" / "test"
    copy.mkdir(parents=True)
    (copy / "index.npz").write_bytes((records / "test" / "index.npz").read_bytes())
    info = {"schema_version": read_info(records)["schema_version"], "splits": {"test": {**split, "protocol": named}}}
    (copy.parent / "info.json").write_text(json.dumps(info))
    with pytest.raises(
        ValueError, match=r"copy/info.json: protocol of test: expected one of action, cross_camera, rec"
    ):
        read_groundtruth(copy)


def test_labels_have_the_camera_where_one_is_known(filmed, records):
    with read_index(filmed / "test") as index:
        whole, part = read_labels(index), read_labels(index, np.array([5, 2]))
        assert set(whole.camera) == {0, 1, 2}
        np.testing.assert_array_equal(whole.camera, index.camera)
        np.testing.assert_array_equal(part.camera, whole.camera[[5, 2]])
        np.testing.assert_array_equal(part.bbox, index.bbox[[5, 2]])
    with read_index(records / "test") as index:
        assert read_labels(index).camera is None


def test_a_ranking_file_is_read_by_the_protocol_of_the_images(tmp_path):
    embeddings = replace(drawn_with_cameras(3, junk=0.1), protocol="cross_camera")
    files.write(rank(embeddings, protocol="action"), tmp_path / "ranking.json")
    found = files.read(tmp_path / "ranking.json", embeddings)
    np.testing.assert_array_equal(found.gallery, rank(embeddings).gallery)
    assert found.protocol == "cross_camera"
    assert files.read(tmp_path / "ranking.json", embeddings, "action").protocol == "action"


def test_members_of_two_protocols_are_not_combined():
    one = drawn_with_cameras(3)
    with pytest.raises(ValueError, match="number 0 is scored by protocol 'action', number 1 by 'cross_camera'; make"):
        combine([one, replace(one, protocol="cross_camera")])


def test_a_file_with_cameras_that_names_no_protocol_is_told(tmp_path, caplog):
    embeddings = drawn_with_cameras(3)
    labels = ("vectors", "person", "action", "bbox", "is_query", "camera")
    np.savez(tmp_path / "foreign.npz", **{name: getattr(embeddings, name) for name in labels})
    for read in (Embeddings.load, read_groundtruth):
        caplog.clear()
        assert read(tmp_path / "foreign.npz").protocol == "action"
        assert "foreign.npz: has cameras and names no protocol; taken for 'action'" in caplog.text
    caplog.clear()
    embeddings.save(tmp_path / "own.npz")
    Embeddings.load(tmp_path / "own.npz")
    assert caplog.text == ""


def test_vectors_in_a_file_of_an_indexs_name_are_vectors(tmp_path):
    replace(drawn_with_cameras(3), protocol="cross_camera").save(tmp_path / "index.npz")
    assert read_groundtruth(tmp_path / "index.npz").protocol == "cross_camera"


def test_a_split_of_another_name_is_scored_as_its_set(filmed, tmp_path):
    shutil.copytree(filmed, tmp_path / "set")
    (tmp_path / "set" / "test").rename(tmp_path / "set" / "fold1")
    assert read_groundtruth(tmp_path / "set" / "fold1").protocol == "cross_camera"
    info = json.loads((tmp_path / "set" / "info.json").read_text())
    info["splits"]["train"]["protocol"] = "action"
    (tmp_path / "set" / "info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match="info.json: says nothing of fold1, and the other splits are scored by action"):
        read_groundtruth(tmp_path / "set" / "fold1")
    (tmp_path / "set" / "info.json").unlink()
    with pytest.raises(ValueError, match="info.json: no such file, which says how fold1 is scored; copy it along"):
        read_groundtruth(tmp_path / "set" / "fold1")


def test_a_threshold_is_not_held_against_lists_that_were_cut():
    with pytest.raises(ValueError, match="ranking: holds the nearest 3 images of each query, and a threshold is held"):
        roc_of_ranking(rank(drawn_with_cameras(3), nearest=3))


def test_the_example_s_vectors_are_ranked_as_their_records(filmed):
    vectors = np.zeros((len(read_groundtruth(filmed / "test")), 2))
    module = runpy.run_path(str(ROOT / "examples" / "rank_vectors.py"))
    assert module["with_vectors"](vectors, filmed / "test").protocol == "cross_camera"
