"""Folds: every action once, no game twice, equal sizes, one division a seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kreid.config.sections import Config, Data
from kreid.errors import ConfigError
from kreid.tuning.folds import check_batches, check_cameras, check_scores, describe_data, make_folds
from tfrecords_tools.index import Index


def index_of(actions):
    """An index of actions given as (game, images); every person has two images."""
    sizes = [images for _, images in actions]
    count = sum(sizes)
    action = np.repeat(np.arange(len(actions)), sizes)
    game = np.repeat([game for game, _ in actions], sizes)
    return Index(
        folder=Path("train"),
        shards=(),
        shard=np.zeros(count, np.int32),
        offset=np.zeros(count, np.int64),
        length=np.zeros(count, np.int64),
        checksum=np.full(count, -1),
        bbox=np.arange(count),
        action=action,
        person=1000 * action + np.concatenate([np.arange(size) // 2 for size in sizes]),
        is_query=np.zeros(count, bool),
        game=game,
        camera=np.full(count, -1),
        track=np.full(count, -1, np.int32),
        cameras=np.array([], np.str_),
        tracks=np.array([], np.str_),
        people=np.array([], np.str_),
        games=np.array([f"league/season/{number}" for number in range(max(game) + 1)]),
        fraction=1.0,
        last_action=len(actions) - 1,
    )


def random_index(games=30, seed=0):
    """Games of some 3 to 30 actions, as the real set has, of 12 to 40 images."""
    rng = np.random.default_rng(seed)
    return index_of([(game, int(rng.integers(12, 40))) for game in range(games) for _ in range(rng.integers(3, 30))])


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_every_action_is_held_out_once_and_no_game_twice(folds):
    index = random_index()
    held_out = make_folds(index, 1.0, folds, seed=3)
    assert len(held_out) == folds
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), np.unique(index.action))
    games = [set(index.game[np.isin(index.action, actions)]) for actions in held_out]
    assert sum(map(len, games)) == len(set.union(*games)) == 30


def test_folds_have_about_as_many_images():
    index = random_index()
    sizes = [np.isin(index.action, actions).sum() for actions in make_folds(index, 1.0, 5, seed=0)]
    assert max(sizes) - min(sizes) < 0.1 * np.mean(sizes)


def test_the_seed_decides_alone():
    index = random_index()
    first, again, other = (make_folds(index, 1.0, 3, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_a_fraction_divides_its_actions_only():
    index = index_of([(action // 2, 8) for action in range(20)])
    assert set(np.concatenate(make_folds(index, 0.5, 2, seed=0))) == set(range(10))
    assert describe_data(index, 0.5) == {**describe_data(index, 0.5), "images": 80, "actions": 10, "games": 5}
    assert describe_data(index, 0.5)["digest"] != describe_data(index, 1.0)["digest"]


def test_whatever_changes_a_score_is_described():
    index = index_of([(action // 2, 8) for action in range(20)])
    described = describe_data(index, 1.0)
    for name in ("camera", "checksum", "track", "person", "game"):
        column = getattr(index, name)
        changed = replace(index, **{name: np.where(np.arange(160) == 9, column + 1, column)})
        assert describe_data(changed, 1.0)["records"] != described["records"], name
        assert (describe_data(changed, 1.0)["digest"] == described["digest"]) == (name not in ("person", "game"))
    assert describe_data(index, 1.0, "cross_camera") == {**described, "protocol": "cross_camera"}
    last = replace(index, camera=np.where(np.arange(160) == 159, 2, -1))
    assert describe_data(last, 0.5) == describe_data(index, 0.5), "an image that is not used"


def test_the_people_of_a_single_action_are_divided():
    index = index_of([(0, 61)])  # of 31 people, the last of whom has one image
    held_out = make_folds(index, 1.0, 3, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out)), np.arange(31))
    sizes = [np.isin(index.person, people).sum() for people in held_out]
    assert max(sizes) - min(sizes) <= 2
    check_batches(index, held_out, Data(persons=4, views=2))
    with pytest.raises(ConfigError, match="training without fold 1 of 1: the training set has one person"):
        check_batches(index, [np.arange(30)], Data(persons=4, views=2))
    base = {"model": {"embedder": "one_stream"}, "train": {"validate_actions": 1}}
    check_scores(index, [np.array([0])], Config.model_validate(base))
    with pytest.raises(ConfigError, match="fold 2 of 2: nobody has two images"):
        check_scores(index, [np.array([0]), np.array([30])], Config.model_validate(base))
    assert describe_data(index, 1.0)["people"] == 31
    assert "people" not in describe_data(index_of([(0, 4), (1, 4)]), 1.0)


def test_impossible_folds_say_why():
    with pytest.raises(ConfigError, match=r"4 were .* one action of 2 people, and nobody .* two folds; ask for fewer$"):
        make_folds(index_of([(0, 4)]), 1.0, 4, seed=0)
    with pytest.raises(ConfigError, match=r"the 3 training actions come from 1 game.* take records of more games$"):
        make_folds(index_of([(0, 4)] * 3), 1.0, 2, seed=0)
    with pytest.raises(ConfigError, match=r"from 1 game.* two folds; use more of the data .data.fraction.$"):
        make_folds(index_of([(0, 4)] * 4), 0.5, 2, seed=0)
    index = index_of([(action // 4, 8) for action in range(12)])
    with pytest.raises(ValueError, match="expected 2 or more, received 1"):
        make_folds(index, 1.0, 1, seed=0)
    with pytest.raises(ValueError, match=r"4 were asked for, but the 12 training actions come from 3 game"):
        make_folds(index, 1.0, 4, seed=0)
    single = index_of([(0, 8), (1, 1)])
    with pytest.raises(ValueError, match="fold 2 of 2 has no person with two images"):
        make_folds(single, 1.0, 2, seed=0)


def test_a_fold_that_cannot_be_scored_is_named():
    index = index_of([(0, 1), (1, 4)])  # the first action has one image
    base = {"model": {"embedder": "one_stream"}, "train": {"validate_actions": 1}}
    check_scores(index, [np.array([0, 1])], Config.model_validate({**base, "train": {}}))
    check_scores(index, [np.array([1])], Config.model_validate(base))
    with pytest.raises(ConfigError, match="fold 2 of 2: nobody .* first 1 actions; raise train.validate_actions"):
        check_scores(index, [np.array([1]), np.array([0, 1])], Config.model_validate(base))


def test_a_fold_whose_training_lacks_a_camera_is_named():
    index = replace(index_of([(0, 4), (1, 4)]), camera=np.array([0, 1, 0, 1, 0, 1, 2, 2]))
    folds = [np.array([0]), np.array([1])]
    stream = {"backbone": "transreid_vit_s16", "cameras": 3}

    def check(**more):
        model = {"embedder": "one_stream", "image_size": [32, 16], "appearance": {**stream, **more}}
        check_cameras(index, folds, Config.model_validate({"model": model}))

    with pytest.raises(
        ConfigError, match=r"^training without fold 2 of 2: model.appearance.cameras: expected 2, those"
    ):
        check()
    with pytest.raises(ConfigError, match=r"^training without fold 1 of 2: train: 2 images are of camera '2'"):
        check(cameras=2, camera_names=["0", "1"])
    check(camera_names=["0", "1", "2"])
    check(backbone="vit_s16", cameras=0)
