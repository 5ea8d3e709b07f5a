import pytest

from tfrecords_tools.given_names import find_alike, frame_of


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
    ],
)
def test_names_that_a_person_reads_as_one(names, alike):
    assert find_alike(names) == alike
