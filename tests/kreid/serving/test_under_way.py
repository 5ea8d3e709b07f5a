"""Several requests at once: how many, in whose thread, and what a failure leaves."""

import threading

import pytest

from kreid.serving.under_way import answers_to


def nothing():
    pass


def test_so_many_are_under_way_and_no_more():
    barrier, made, yielded = threading.Barrier(3, timeout=30), [], []

    def requests():
        for number in range(9):
            made.append(number)
            assert len(made) - len(yielded) <= 3
            yield number

    def ask(number):
        barrier.wait()  # passes where three are here
        return number * 10

    for request, answer in answers_to(requests(), ask, 3, nothing):
        yielded.append((request, answer))
    assert sorted(yielded) == [(number, number * 10) for number in range(9)]


@pytest.mark.parametrize("where", ["request", "source"])
def test_after_a_failure_those_under_way_are_kept(where):
    """The second one fails while the first is under way; the first ends once it has."""
    failed, made, stops = threading.Event(), [], []

    def requests():
        for number in range(5):
            made.append(number)
            if where == "source" and number == 1:
                failed.set()
                raise ValueError("no image")
            yield number

    def ask(number):
        if number == 1:
            failed.set()
            raise ValueError("no answer")
        assert failed.wait(30)
        return number

    found = []
    with pytest.raises(ValueError, match="no image" if where == "source" else "no answer"):
        found += [request for request, _ in answers_to(requests(), ask, 2, lambda: stops.append(True))]
    assert made in ([0, 1], [0, 1, 2])  # the first may have been answered before the failure was seen
    assert stops


def test_what_was_answered_after_a_failure_comes_before_it_is_raised():
    failed = threading.Event()

    def ask(number):
        if number == 1:
            failed.set()
            raise OSError("gone")
        assert failed.wait(30)
        return number

    answers = answers_to(iter(range(2)), ask, 2, nothing)
    assert next(answers) == (0, 0)
    with pytest.raises(OSError, match="gone"):
        next(answers)


def test_nothing_to_ask():
    assert list(answers_to([], None, 2, nothing)) == []
