"""Distances that are all alike: noticed by their mean over the batches, and said once."""

import math

from kreid.training.collapse import CollapseWatch


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "kreid.training.collapse"]


def test_one_batch_says_little_and_many_say_it_once(caplog):
    watch = CollapseWatch()
    first = math.ceil(math.log(0.01) / math.log(0.9))  # batches until 0.9 ** n is below 0.01
    for _ in range(first - 1):
        watch.batch(0.0)
    assert not warnings(caplog)
    for _ in range(20):
        watch.batch(0.0)
    assert warnings(caplog) == [
        f"the embedding has collapsed: all distances are alike, to {0.9**first:.4f}; lower train.learning_rate, or "
        "begin with loss.mining: all"
    ]
    watch.validation(0.0)
    assert len(warnings(caplog)) == 1


def test_distances_that_spread_now_and_then_are_sound(caplog):
    watch = CollapseWatch()
    for _ in range(100):
        for spread in [0.0] * 10 + [0.5]:
            watch.batch(spread)
    assert not warnings(caplog)


def test_a_validation_says_it_at_once(caplog):
    watch = CollapseWatch()
    watch.validation(0.01)
    assert not warnings(caplog)
    watch.validation(0.0099)
    assert len(warnings(caplog)) == 1


def test_other_machines_keep_silent(caplog):
    watch = CollapseWatch(active=False)
    watch.validation(0.0)
    assert not warnings(caplog)
