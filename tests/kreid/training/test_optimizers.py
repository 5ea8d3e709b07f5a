"""Learning-rate schedules by hand."""

import pytest

from kreid.config.sections import Train
from kreid.training.optimizers import learning_rate


@pytest.mark.parametrize(
    ("settings", "epoch", "rate"),
    [
        ({"schedule": "constant"}, 7.5, 1.0),
        ({"schedule": "step", "decay": 0.1, "decay_epochs": 3}, 2.99, 1.0),
        ({"schedule": "step", "decay": 0.1, "decay_epochs": 3}, 3.0, 0.1),
        ({"schedule": "step", "decay": 0.1, "decay_epochs": 3}, 9.5, 1e-3),
        ({"schedule": "cosine"}, 0.0, 1.0),
        ({"schedule": "cosine"}, 5.0, 0.5),
        ({"schedule": "cosine"}, 10.0, 0.0),
        ({"schedule": "cosine", "warmup_epochs": 2}, 6.0, 0.5),
        ({"schedule": "constant", "warmup_epochs": 2}, 0.5, 0.25),
        ({"schedule": "step", "warmup_epochs": 2, "decay_epochs": 3}, 1.0, 0.5),
        ({"schedule": "step", "warmup_epochs": 0.5}, 0.5, 1.0),
    ],
)
def test_rates_by_hand(settings, epoch, rate):
    assert learning_rate(Train(learning_rate=1.0, epochs=10, **settings), epoch) == pytest.approx(rate, abs=1e-12)


def test_warmup_begins_above_zero():
    assert 0 < learning_rate(Train(learning_rate=1.0, warmup_epochs=1), 0.0) < 0.01


def test_no_warmup_is_so_short_that_it_exceeds_the_rate():
    assert learning_rate(Train(learning_rate=1.0, warmup_epochs=1e-5), 0.0) == 1.0
