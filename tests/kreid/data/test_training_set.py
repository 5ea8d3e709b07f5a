"""What a configuration draws from: the rows of its fraction."""

import pytest

from kreid.config.sections import Data
from kreid.data.training_set import TrainingSet


@pytest.mark.parametrize("fraction", [0.1, 1.0])
def test_a_fraction_of_a_single_action_is_all_of_it_and_is_told(filmed, caplog, fraction):
    training_set = TrainingSet(filmed, Data(persons=2, views=2, fraction=fraction), seed=1)
    assert len(training_set.rows) == len(training_set.index)
    told = "data.fraction: keeps whole actions, and the training set is a single one: all of it is taken"
    assert caplog.messages == ([told] if fraction < 1 else [])


def test_a_fraction_of_several_actions_is_not_told(records, caplog):
    training_set = TrainingSet(records, Data(persons=2, views=2, fraction=0.5), seed=1)
    assert 0 < len(training_set.rows) < len(training_set.index)
    assert caplog.messages == []
