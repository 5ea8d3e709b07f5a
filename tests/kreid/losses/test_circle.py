"""Circle loss against the naive loop, its gradient against finite differences of it, and cases worked by hand."""

import numpy as np
import pytest
from gradients import gradient_of_loss

from kreid.losses.circle import CircleLoss

pytestmark = pytest.mark.backend


def naive(labels, x, margin, scale, same_action, held):
    """The formula as the paper has it, anchor by anchor, in float64; the factors are those of `held`, as in a gradient.

    Anchors without a positive or without a negative do not count.
    """
    cosines, cosines_held = (rows @ rows.T / np.outer(*2 * [np.linalg.norm(rows, axis=1)]) for rows in (x, held))
    values = []
    for a in range(len(x)):
        pulls, pushes = [], []
        for i in range(len(x)):
            now, then = cosines[a, i], cosines_held[a, i]
            if labels[i, 0] != labels[a, 0]:
                if not same_action or labels[i, 1] == labels[a, 1]:
                    pushes.append(np.exp(scale * max(then + margin, 0) * (now - margin)))
            elif i != a:
                pulls.append(np.exp(-scale * max(1 + margin - then, 0) * (now - (1 - margin))))
        if pulls and pushes:
            values.append(np.log(1 + sum(pushes) * sum(pulls)))
    return np.mean(values)


def draw(seed):
    """People with one view and with several over two actions, and one alone in an action of its own."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, 4, 12), rng.integers(0, 2, 12)], axis=1)
    labels[:2] = 7, 9
    return labels, rng.standard_normal((12, 4))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("same_action", [True, False])
@pytest.mark.parametrize(("margin", "scale"), [(0.25, 128.0), (-0.1, 4.0)])
def test_value_and_gradient_are_the_naive_loops(seed, same_action, margin, scale):
    labels, x = draw(seed)
    loss = CircleLoss(margin, scale, same_action)
    value, found = gradient_of_loss(loss, labels, x)
    assert value == pytest.approx(naive(labels, x, margin, scale, same_action, x), rel=1e-5)
    expected = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-6
        ends = [naive(labels, x + sign * step, margin, scale, same_action, x) for sign in (1, -1)]
        expected[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def softplus(value):
    return np.log1p(np.exp(value))


# Margin 1/4 and scale 16: the pair (a, p) adds 16 (5/4 - s) (3/4 - s), the pair (a, n) 16 (s + 1/4) (s - 1/4).
BY_HAND = {
    # Positives equal, negative at a right angle: -1 and -1. The negative's anchor has no positive.
    "as good as can be": ([[1, 0], [1, 0], [0, 1]], [1, 1, 2], softplus(-2)),
    # s = 1 to both: -1 and 15.
    "collapsed": ([[1, 0], [1, 0], [1, 0]], [1, 1, 2], softplus(14)),
    # The first has its positive at a right angle and a negative on it: 15 and 15; the second 15 and -1.
    "the wrong way round": ([[1, 0], [0, 1], [1, 0]], [1, 1, 2], (softplus(30) + softplus(14)) / 2),
    # s = -1 to the negative: its factor is max(-3/4, 0), so it adds 0, not 15.
    "a negative beyond reach": ([[1, 0], [1, 0], [-1, 0]], [1, 1, 2], softplus(-1)),
    # Two of the negatives of "as good as can be": the sum holds e^-1 twice.
    "two negatives": ([[1, 0], [1, 0], [0, 1], [0, -1]], [1, 1, 2, 3], np.log(1 + 2 * np.exp(-2))),
    # All four are anchors with two negatives each, and lengths do not matter.
    "lengths": ([[3, 0], [0.1, 0], [0, 2], [0, 9]], [1, 1, 2, 2], np.log(1 + 2 * np.exp(-2))),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case):
    x, person, expected = BY_HAND[case]
    labels = np.stack([person, np.zeros_like(person)], axis=1)
    value, _ = gradient_of_loss(CircleLoss(0.25, 16.0), labels, x)
    assert value == pytest.approx(expected, rel=1e-5)


def test_a_negative_of_another_action_counts_only_where_it_is_asked_for():
    labels, x = np.array([[1, 0], [1, 0], [2, 0], [3, 1]]), np.float32([[1, 0], [1, 0], [0, 1], [1, 0]])
    within, _ = gradient_of_loss(CircleLoss(0.25, 16.0), labels, x)
    assert within == pytest.approx(softplus(-2), rel=1e-5)
    everywhere, _ = gradient_of_loss(CircleLoss(0.25, 16.0, same_action=False), labels, x)
    assert everywhere == pytest.approx(np.log(1 + np.exp(-1) * (np.exp(-1) + np.exp(15))), rel=1e-5)


@pytest.mark.parametrize("scale", [128.0, 1e6])
def test_a_row_of_zeros_beside_others_has_a_finite_gradient(scale):
    labels, x = draw(0)
    x[[0, 5]] = 0.0
    value, found = gradient_of_loss(CircleLoss(scale=scale), labels, x)
    assert np.isfinite(value)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": 1}, r"margin: expected a number in \(-1, 1\), received 1"),
        ({"margin": -1.0}, r"margin: .* received -1.0"),
        ({"scale": 0}, "scale: expected a positive number, received 0"),
    ],
)
def test_mistakes_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        CircleLoss(**arguments)
