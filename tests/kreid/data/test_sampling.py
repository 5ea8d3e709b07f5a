"""Batches of whole actions: what is drawn, on a set shaped like the real one."""

import numpy as np
import pytest

from kreid.data.sampling import Sampler


def real_shaped(actions=300, seed=0):
    """Persons and actions with SoccerNet's mix: 54.8 % of the people have one image, 33.5 % two, 3.6 % four or more."""
    rng = np.random.default_rng(seed)
    person, action, people = [], [], 0
    for a in range(actions):
        wanted = 2 + int(rng.gamma(7, 3.6))
        while wanted > 0:
            views = int(rng.choice([1, 2, 3, 4, 6], p=[0.548, 0.335, 0.081, 0.026, 0.010]))
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


def test_what_batches_hold_of_a_set_like_the_real_one():
    """27 images an action, 36 % of the people with a second view: what a batch of 32 and one of 64 is made of."""
    person, action = real_shaped(1000)
    views = np.bincount(person)
    assert 25 < len(person) / 1000 < 29
    np.testing.assert_allclose([(views == n).mean() for n in (1, 2)], [0.548, 0.335], atol=0.01)
    for persons, whole, actions in ((8, 0.65, 4), (16, 0.8, 6)):
        batches = np.array(list(Sampler(person, action, persons, 4).epoch(0)))
        parts = np.concatenate([np.unique(action[batch]) for batch in batches])
        assert (np.bincount(parts) == 1).mean() > whole, "actions that stay whole"
        per_batch = [len(np.unique(action[batch])) for batch in batches]
        assert max(per_batch) <= actions
        assert np.mean(per_batch) > 1.5
        single = (views[person[batches]] == 1).mean(axis=1)
        assert single.min() > 0, "people with one view are in every batch, as negatives"
        assert single.max() < 0.9
        assert single.mean() == pytest.approx((views[person] == 1).mean(), abs=0.01)


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


def test_the_first_batches_of_an_epoch_are_like_the_others():
    person, action = real_shaped(actions=300)
    size = np.bincount(action)[action]
    means = []
    for epoch in range(8):
        batches = [size[batch].mean() for batch in Sampler(person, action).epoch(epoch)]
        means.append([np.mean(part) for part in np.array_split(batches, 4)])
    early, _, _, late = np.transpose(means)
    assert abs((early - late).mean()) < 4 * (early - late).std(ddof=1) / np.sqrt(8)
    assert abs((early - late).mean()) < size.mean() / 10


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


def test_one_action_that_is_the_whole_set_gives_people_at_random_with_their_views():
    person = np.random.default_rng(0).permutation(np.repeat(np.arange(750), 17))  # as in Market-1501
    action = np.zeros(len(person), int)
    batches = np.array(list(Sampler(person, action, 8, 4).epoch(0)))
    assert batches.shape == (750 // 8 + 1, 32)
    people = person[batches]
    assert all(anchors(row, action[:32]).all() for row in people[:-1])
    assert np.unique(people[0]).tolist() != np.unique(people[1]).tolist()
    np.testing.assert_array_equal(np.bincount(people.ravel())[:750] >= 4, True)


def test_people_sampler_repeats_second_views_and_never_single_ones():
    person, action = real_shaped(100)
    views = np.bincount(person)
    batches = list(Sampler(person, action, 6, 4, "persons").epoch(0))
    anchors = []
    for batch in batches:
        people, counts = np.unique(person[batch], return_counts=True)
        assert len(batch) == 24
        assert (counts == np.where(views[people] > 1, 4, 1)).all()
        drawn_twice = [len(np.unique(batch[person[batch] == one])) for one in people]
        assert (drawn_twice == np.minimum(views[people], 4)).all()
        anchors.append((counts > 1).sum())
    assert max(anchors) - min(anchors) <= 1, "evenly over the epoch"
    assert len(np.unique(person[np.concatenate(batches)])) > len(views) - 24


def test_people_sampler_sees_every_image_over_epochs():
    person, action = real_shaped(20)
    sampler = Sampler(person, action, 4, 2, "persons")
    seen = np.unique(np.concatenate([batch for epoch in range(20) for batch in sampler.epoch(epoch)]))
    np.testing.assert_array_equal(seen, np.arange(len(person)))


def test_people_sampler_holds_its_size_whoever_there_is():
    for several, single in ((9, 0), (9, 5), (3, 40), (40, 1)):
        person = np.concatenate([np.repeat(np.arange(several), 3), several + np.arange(single)])
        batches = list(Sampler(person, np.zeros_like(person), 4, 4, "persons").epoch(0))
        assert len(batches) == (several * 4 + single) // 16
        assert {len(batch) for batch in batches} == {16}


@pytest.mark.parametrize(
    ("person", "action", "options", "message"),
    [
        ([0, 0, 1, 1], [0] * 4, {"persons": 4, "views": 2}, "8 images a batch, but the training set has 4"),
        ([0] * 20 + [1] * 20, [0] * 40, {}, "has 8 \\(at most 4 of a person\\)"),
        (range(40), [0] * 40, {}, "no person .* two images"),
        ([0] * 40, [0] * 40, {}, "has one person"),
        (np.repeat(range(20), 2), np.repeat(range(20), 2), {}, "no action .* beside another person"),
        ([0, 0, 1, 2], [0, 0, 1, 1], {"persons": 2, "views": 2}, "no action .* two images beside another person"),
        ([0] * 20 + [1] * 20, [0] * 40, {"sampler": "persons"}, "has 8 \\(4 of a person, or 1 of who has no more\\)"),
        ([0] * 20 + [1] * 20, [0] * 40, {"sampler": "persons", "persons": 1}, "1 person has no negatives"),
        ([0] * 40, [0] * 40, {"sampler": "uniform"}, "has one person"),
        ([], [], {}, "but the training set has 0"),
        (np.repeat(range(20), 2), [0] * 40, {"sampler": "random"}, "data.sampler: .*'random'"),
    ],
)
def test_sets_without_triplets_are_refused(person, action, options, message):
    with pytest.raises(ValueError, match=message):
        Sampler(np.array(person), np.array(action), **options)
