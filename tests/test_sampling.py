"""Batches of whole actions: what is drawn, on a set shaped like the real one."""

import numpy as np
import pytest

from kreid.sampling import Sampler


def real_shaped(actions=300, seed=0):
    """Persons and actions with SoccerNet's mix: 54.8 % of the people have one image, 33.5 % two, 3.6 % four or more."""
    rng = np.random.default_rng(seed)
    person, action, people = [], [], 0
    for a in range(actions):
        wanted = 2 + int(rng.gamma(7, 3.6))
        while wanted > 0:
            views = min(int(rng.choice([1, 2, 3, 4, 6], p=[0.548, 0.335, 0.081, 0.026, 0.010])), wanted)
            person += [people] * views
            action += [a] * views
            people += 1
            wanted -= views
    return np.array(person), np.array(action)


def anchors(person, action):
    """Images of a batch with a positive and a negative of the same action."""
    same = person[:, None] == person
    other = (action[:, None] == action) & ~same
    return (same.sum(1) > 1) & other.any(1)


def test_an_epoch_takes_every_image_once():
    person, action = real_shaped()
    batches = np.array(list(Sampler(person, action, 8, 4, seed=3).epoch(0)))
    rows, times = np.unique(batches, return_counts=True)
    views = np.bincount(person)
    capped = np.minimum(views, 4).sum()
    assert batches.shape[1] == 32
    # Only people with more than four views miss some; only the last batch is filled up with images taken again.
    assert capped <= len(rows) <= len(person)
    assert set(np.arange(len(person))[views[person] <= 4]) <= set(rows)
    assert (times > 1).sum() < 32
    assert len(batches) == -(-capped // 32)


def test_every_image_is_seen_over_epochs():
    person, action = real_shaped(40)
    sampler = Sampler(person, action, 8, 2)
    seen = np.unique(np.concatenate([batch for epoch in range(12) for batch in sampler.epoch(epoch)]))
    np.testing.assert_array_equal(seen, np.arange(len(person)))


def test_nearly_every_possible_anchor_has_its_triplet():
    person, action = real_shaped()
    possible = (np.bincount(person)[person] > 1).mean()
    same_action, uniform = (
        np.mean([anchors(person[b], action[b]).mean() for b in Sampler(person, action, sampler=kind).epoch(0)])
        for kind in ("same_action", "uniform")
    )
    assert same_action > 0.95 * possible
    assert uniform < 0.2 * possible


def test_no_image_twice_in_a_batch_and_at_most_k_views():
    person, action = real_shaped(60)
    for batch in Sampler(person, action, 8, 3).epoch(0):
        assert len(np.unique(batch)) == len(batch)
        assert np.bincount(person[batch]).max() <= 3


def test_seed_and_epoch_decide_the_draw():
    person, action = real_shaped(30)

    def draw(seed, epoch):
        return np.concatenate(list(Sampler(person, action, seed=seed).epoch(epoch)))

    np.testing.assert_array_equal(draw(1, 4), draw(1, 4))
    assert (draw(1, 4) != draw(1, 5)).any()
    assert (draw(1, 4) != draw(2, 4)).any()


def test_actions_larger_than_a_batch_are_divided_between_people():
    person = np.repeat(np.arange(30), 3)
    action = np.zeros(90, int)
    for batch in list(Sampler(person, action, 4, 3).epoch(0))[:-1]:
        assert (np.bincount(person[batch])[np.unique(person[batch])] == 3).all()


def test_people_sampler_draws_p_times_k():
    person, action = real_shaped(60)
    for batch in Sampler(person, action, 6, 4, "persons").epoch(0):
        people, counts = np.unique(person[batch], return_counts=True)
        assert len(people) == 6
        assert (counts == 4).all()


@pytest.mark.parametrize(
    ("person", "action", "options", "message"),
    [
        ([0, 0, 1, 1], [0] * 4, {"persons": 4, "views": 2}, "8 images a batch, but the training set has 4"),
        ([0] * 20 + [1] * 20, [0] * 40, {}, "has 8 \\(at most 4 of a person\\)"),
        (range(40), [0] * 40, {}, "no person .* two images"),
        ([0] * 40, [0] * 40, {"persons": 1}, "no action .* two people"),
        (np.repeat(range(20), 2), np.repeat(range(20), 2), {}, "no action .* two people"),
        ([0] * 20 + [1] * 20, [0] * 40, {"sampler": "persons"}, "8 people a batch, but the training set has 2"),
        (np.repeat(range(20), 2), [0] * 40, {"sampler": "random"}, "data.sampler: .*'random'"),
    ],
)
def test_sets_without_triplets_are_refused(person, action, options, message):
    with pytest.raises(ValueError, match=message):
        Sampler(np.array(person), np.array(action), **options)
