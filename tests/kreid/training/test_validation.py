"""Scores during training on some actions or on training images, and the picture of ranked galleries."""

import numpy as np
import pytest

from kreid.embedding.extract import embed
from kreid.models.embedders import build_model
from kreid.pictures.galleries import gallery_picture
from kreid.ranking.distances import pairwise
from kreid.ranking.embeddings import Embeddings, Images
from kreid.ranking.ordering import rank
from kreid.ranking.protocols import matchable
from kreid.ranking.scores import evaluate
from kreid.training import validation
from kreid.training.validation import check_scorable, first_views, validate
from tfrecords_tools.index import read_index

pytestmark = pytest.mark.usefixtures("resnet_stem")

GREEN, RED, GREY = (46, 158, 68), (208, 58, 47), (64, 64, 64)


def test_some_actions_score_as_they_do_among_all(records, tiny_one):
    model = build_model(tiny_one.model)
    whole = embed(model, records / "valid")
    kept = whole.action == whole.action.min()
    assert 0 < kept.sum() < len(kept)
    part = embed(model, records / "valid", rows=np.flatnonzero(kept))
    for name in ("action", "person", "bbox", "is_query"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[kept])
    np.testing.assert_allclose(part.vectors, whole.vectors[kept], atol=1e-6)
    scores, scored = validate(model, records / "valid", actions=1)
    assert set(scored.action) == {whole.action.min()}
    ranking = rank(scored)
    assert scores["valid_spread"] == pytest.approx(np.std(ranking.distance))
    assert scores["valid_mAP"] == evaluate(ranking)["mAP"]


def test_some_actions_of_training_images(records, tiny_one):
    with read_index(records / "train") as index:
        rows = np.flatnonzero(np.isin(index.action, [1, 4, 6]))
    _, scored = validate(build_model(tiny_one.model), records / "train", actions=2, rows=rows)
    assert set(scored.action) == {1, 4}
    assert scored.is_query.any()


def test_records_that_cannot_be_scored_are_named(records):
    check_scorable(records / "valid")
    check_scorable(records / "valid", actions=1)
    with pytest.raises(ValueError, match="challenge: nothing can be validated on records whose labels are withheld"):
        check_scorable(records / "challenge")
    with pytest.raises(ValueError, match="train: it has no queries to score: a person must"):
        check_scorable(records / "train")
    with read_index(records / "train") as index:
        first = np.unique(index.person, return_index=True)[1]
        check_scorable(records / "train", rows=np.flatnonzero(index.action == 1))
        with pytest.raises(ValueError, match="it has no queries"):
            check_scorable(records / "train", rows=first)


@pytest.mark.parametrize("right", [True, False])
def test_hits_are_green_and_misses_red(records, right):
    """Vectors that put the person's own images first, or last."""
    with read_index(records / "valid") as index:
        person = np.unique(index.person, return_inverse=True)[1]
        vectors = np.eye(person.max() + 1, dtype=np.float32)[person] * (1 if right else -1)
        vectors[index.is_query] = np.abs(vectors[index.is_query])
        ranking = rank(Embeddings(vectors, index.person, index.action, index.bbox, index.is_query))
    picture = gallery_picture(ranking, records / "valid", queries=3)
    assert picture.dtype == np.uint8
    assert picture.shape == (3 * 136, 9 * 72, 3)
    corners = picture[::136, ::72]  # the border's first pixel of each cell
    assert {tuple(corner) for corner in corners[:, 0]} == {GREY}
    assert {tuple(corner) for corner in corners[:, 1]} == {GREEN if right else RED}
    assert picture[20:116, 20:52].std() > 5, "the query is to be seen"


def test_the_first_view_of_everyone_seen_again_in_the_action_is_a_query():
    cases = [  # action, person, bbox, query
        (0, 7, 4, False),  # second view of 7
        (0, 7, 1, True),  # its first, though not the first row
        (0, 7, 9, False),
        (0, 8, 2, False),  # seen once
        (1, 7, 0, False),  # the same number in another action is another person, seen once
        (1, 5, 6, True),
        (1, 5, 8, False),
        (2, 5, 3, False),
    ]
    action, person, bbox, query = (np.array(column) for column in zip(*cases, strict=True))
    images = Images(person, action, bbox, is_query=np.zeros(len(cases), bool))
    np.testing.assert_array_equal(first_views(images), query)
    order = np.random.default_rng(0).permutation(len(cases))
    shuffled = Images(person[order], action[order], bbox[order], is_query=np.zeros(len(cases), bool))
    np.testing.assert_array_equal(first_views(shuffled), query[order])


def test_across_cameras_the_first_view_of_everyone_whom_another_camera_sees_is_a_query():
    cases = [  # person, camera, bbox, query
        (7, 1, 4, False),
        (7, 1, 1, True),  # the first, and camera 2 sees 7 too
        (7, 2, 9, False),
        (8, 3, 2, False),  # seen twice, by one camera
        (8, 3, 3, False),
        (-1, 1, 5, False),  # junk
        (-1, 2, 6, False),
        (9, 2, 7, True),
        (9, 1, 8, False),
    ]
    person, camera, bbox, query = (np.array(column) for column in zip(*cases, strict=True))
    images = Images(person, np.zeros(len(cases), int), bbox, is_query=np.zeros(len(cases), bool), camera=camera)
    np.testing.assert_array_equal(first_views(images, "cross_camera"), query)
    scored = Images(person, images.action, bbox, query, camera=camera)
    np.testing.assert_array_equal(matchable(scored, "cross_camera"), query)  # nobody is chosen in vain


def test_no_images_have_no_queries():
    none = np.zeros(0, np.int64)
    assert first_views(Images(none, none, none, np.zeros(0, bool))).shape == (0,)


def test_what_cannot_be_scored_across_cameras_is_named(filmed, records):
    check_scorable(filmed / "valid")
    with read_index(filmed / "train") as index:
        camera = index.camera
        check_scorable(filmed / "train", rows=np.arange(len(index)))
        with pytest.raises(ValueError, match="train: it has no queries to score: a person must"):
            check_scorable(filmed / "train", rows=np.flatnonzero(camera == 2))
        check_scorable(filmed / "train", rows=np.flatnonzero(camera == 2), protocol="action")
    with pytest.raises(ValueError, match="valid: camera: protocol 'cross_camera' needs the camera of every image"):
        check_scorable(records / "valid", protocol="cross_camera")


def test_the_spread_of_many_distances_is_that_of_evenly_chosen_queries(records, tiny_one, monkeypatch):
    model = build_model(tiny_one.model)
    scores, scored = validate(model, records / "valid")
    pairs = [(query, gallery) for query, gallery in scored.images.actions()]
    monkeypatch.setattr(validation, "_PAIRS", -(-sum(len(query) * len(gallery) for query, gallery in pairs) // 2))
    every_other = [pairwise(scored.vectors[query[::2]], scored.vectors[gallery]).ravel() for query, gallery in pairs]
    found, _ = validate(model, records / "valid")
    assert found["valid_spread"] == pytest.approx(np.std(np.concatenate(every_other)))
    assert found["valid_spread"] != pytest.approx(scores["valid_spread"], rel=1e-9)
    assert found["valid_mAP"] == scores["valid_mAP"]
