"""States on disk: written whole, the newest kept, and refused where they belong to something else."""

import keras
import numpy as np
import pytest

from kreid.runs import checkpoints


def variables(*shapes, name="v"):
    return [keras.Variable(np.random.rand(*shape), name=f"{name}{number}") for number, shape in enumerate(shapes)]


def save_some(folder, states, keep=2):
    kept = variables((2, 3), ())
    for epoch, step in states:
        checkpoints.save(folder, kept, {"epoch": epoch, "step": step, "sums": {"loss": 0.1}}, keep)
    return kept


def test_the_newest_stay_by_epoch_and_step(tmp_path):
    assert checkpoints.newest(tmp_path) is None
    save_some(tmp_path, [(9, 0), (9, 12), (10, 0), (10, 3)], keep=3)
    names = ["state-00009-0000012.npz", "state-00010-0000000.npz", "state-00010-0000003.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert checkpoints.newest(tmp_path).name == names[-1]


def test_values_and_place_come_back_exactly(tmp_path):
    kept = save_some(tmp_path, [(0, 7)])
    others = variables((2, 3), ())
    assert checkpoints.restore(tmp_path, others, checkpoints.plain) == {"epoch": 0, "step": 7, "sums": {"loss": 0.1}}
    for one, other in zip(kept, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (variables((2, 3)), "belongs to another network or optimiser .a different number"),
        (variables((2, 3), (), ()), "belongs to another network or optimiser .a different number"),
        (variables((2, 3), (), name="w"), "belongs to another network or optimiser .00000:.*v0"),
        (variables((3, 2), ()), r"00000:.*v0 is \(2, 3\), the model's is \(3, 2\)"),
    ],
)
def test_a_state_of_another_network_is_refused_and_nothing_assigned(tmp_path, others, message):
    save_some(tmp_path, [(1, 0)])
    before = [np.asarray(variable) for variable in others]
    with pytest.raises(ValueError, match=message) as error:
        checkpoints.restore(tmp_path, others, checkpoints.plain)
    assert "\n" not in str(error.value)
    for variable, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_failed_write_keeps_the_older_state(tmp_path):
    kept = save_some(tmp_path, [(1, 0)])
    with pytest.raises(TypeError):
        checkpoints.save(tmp_path, kept, {"epoch": 2, "step": 0, "sums": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["state-00001-0000000.npz"]
