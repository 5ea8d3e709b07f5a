"""What a configuration draws from: the rows of its fraction."""

import pytest

from kreid.config.sections import Data
from kreid.data.training_set import TrainingSet
from kreid.errors import ConfigError


def test_a_fraction_of_a_single_action_is_refused(filmed):
    told = r"^data\.fraction: keeps whole actions, and this training set is a single one: expected 1, all .* 0\.1$"
    with pytest.raises(ConfigError, match=told):
        TrainingSet(filmed, Data(persons=2, views=2, fraction=0.1), seed=1)
    whole = TrainingSet(filmed, Data(persons=2, views=2, fraction=1.0), seed=1)
    assert len(whole.rows) == len(whole.index)


def test_a_fraction_of_several_actions_is_a_part(records):
    training_set = TrainingSet(records, Data(persons=2, views=2, fraction=0.5), seed=1)
    assert 0 < len(training_set.rows) < len(training_set.index)
