import pytest

from tfrecords_tools.given_names import find_alike, frame_of, means_nobody


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("000123.jpg", 123),
        ("cam1_p07_000012.v2.png", 2),
        ("crop.png", None),
        ("a-5.png", 5),
        ("1234567890123456789.png", None),
        ("7.\udce9.png", 7),
        ("٣.png", None),
    ],
)
def test_frames(name, frame):
    assert frame_of(name) == frame


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        ([], None),
        (["a", "b", "a b"], None),
        (["a", "b", "a"], ("a", "a")),
        (["x", "Main", "main ", "main"], ("Main", "main ")),
        (["caf\u00e9", "cafe\u0301"], ("caf\u00e9", "cafe\u0301")),
        (["\udce9", "\udce8"], None),
        (["cam1", "cam01", "1a", "01a", "1.5", "1.05", "10", "100", "0", "", "-1"], None),
    ],
)
def test_names_that_a_person_reads_as_one(names, alike):
    assert find_alike(names) == alike


@pytest.mark.parametrize("case", [True, False])
@pytest.mark.parametrize(
    "names", [("1", "01"), ("1.0", "1"), ("00", "0.00"), ("7", "007."), ("Anna ", "Anna"), ("a/07/b", "a/7/ b")]
)
def test_spellings_of_one_number_and_blanks_around_a_name_are_read_as_one(names, case):
    assert find_alike(["x", *names], case) == names


def test_without_case_the_inside_of_a_name_tells_it_apart():
    assert find_alike(["a b", "a  b", "A b", "1/a", "a/1"], case=False) is None


def test_words_for_nobody():
    assert all(map(means_nobody, ["-1", "-1.0", "-", "Unknown", " none", "NaN", "N/A"]))
    assert not any(map(means_nobody, ["", "0", "0000", "1", "Nana", "unknown player 3", "a-1", "-2"]))
