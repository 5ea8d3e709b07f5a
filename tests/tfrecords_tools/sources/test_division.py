from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.entry import Entry
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.scorable import find_unmatched
from tfrecords_tools.sources.assembly import check_alike, number_names
from tfrecords_tools.sources.division import NO_SECOND_VIEW, NOBODY_TRAINED, divide


def entry(person, camera, split="", subset="", action=0):
    thumbnail = Thumbnail(0, action, person, None, None, None, None, 0, 0)
    return Entry(thumbnail, Path("a.png"), split, subset, "", camera)


def told(entries):
    return [(one.thumbnail.person, one.camera, one.subset) for one in entries]


def test_a_query_a_camera_and_every_camera_keeps_one():
    views = [entry(1, 0), entry(1, 0), entry(1, 1), entry(1, 1), entry(1, 1), entry(1, 2)]
    divided, notes = divide(views, "cross_camera", 0, 0.0)
    assert Counter(told(divided)) == {
        (1, 0, "query"): 1,
        (1, 0, "gallery"): 1,
        (1, 1, "query"): 1,
        (1, 1, "gallery"): 2,
        (1, 2, "gallery"): 1,
    }
    assert notes["test"][NO_SECOND_VIEW] == 0


def test_cameras_of_single_images_give_one_query_together():
    divided, _ = divide([entry(1, camera) for camera in range(3)], "cross_camera", 0, 0.0)
    assert sorted(one.subset for one in divided) == ["gallery", "gallery", "query"]


def test_a_person_on_one_camera_is_a_negative_and_counted():
    divided, notes = divide([entry(1, 0), entry(1, 0), entry(2, 1)], "cross_camera", 0, 0.0)
    assert {one.subset for one in divided} == {"gallery"}
    assert notes["test"] == {NO_SECOND_VIEW: 2}


def test_without_cameras_two_images_give_a_query():
    divided, notes = divide([entry(1, None), entry(1, None), entry(1, None), entry(2, None)], "action", 0, 0.0)
    assert [one.subset for one in divided if one.thumbnail.person == 1].count("query") == 1
    assert notes["test"] == {NO_SECOND_VIEW: 1}


def test_nobody_is_never_a_query_and_never_trained_on():
    views = [entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1), entry(2, 0), entry(2, 1)]
    divided, notes = divide(views, "cross_camera", 0, 0.5)
    assert [(one.split, one.subset) for one in divided if one.thumbnail.person == 0] == [("test", "gallery")] * 2
    assert notes["test"][NO_SECOND_VIEW] == 0
    given, notes = divide([entry(0, 0, "train"), entry(1, 0, "train")], "cross_camera", 0, 0.5)
    assert told(given) == [(1, 0, "train")]
    assert notes["train"] == {NOBODY_TRAINED: 1}


def test_what_is_told_stays():
    views = [entry(1, 0, "train"), entry(2, 0, "test", "query"), entry(2, 1, "test", "gallery")]
    assert [(one.split, one.subset) for one in divide(views, "cross_camera", 0, 0.5)[0]] == [
        ("train", "train"),
        ("test", "query"),
        ("test", "gallery"),
    ]


@pytest.mark.parametrize("share, people", [(0.0, 0), (0.01, 1), (0.5, 5), (0.99, 9), (1.0, 10)])
def test_the_share_is_one_of_people(share, people):
    divided, _ = divide(
        [entry(person, camera) for person in range(1, 11) for camera in (0, 1)], "cross_camera", 3, share
    )
    assert len({one.thumbnail.person for one in divided if one.split == "train"}) == people


def test_whole_actions_where_there_are_several():
    views = [entry(10 * action + person, None, action=action) for action in range(6) for person in (1, 1, 2)]
    divided, _ = divide(views, "action", 0, 0.5)
    splits = defaultdict(set)
    for one in divided:
        splits[one.thumbnail.action].add(one.split)
    assert sorted(len(split) for split in splits.values()) == [1] * 6
    assert Counter(next(iter(split)) for split in splits.values()) == {"train": 3, "test": 3}


@pytest.mark.parametrize("protocol", ["action", "cross_camera"])
@pytest.mark.parametrize("seed", range(4))
def test_any_set_is_divided_so_that_every_query_has_a_match(protocol, seed):
    random = np.random.default_rng(seed)
    views = [entry(int(random.integers(0, 25)), int(random.integers(0, 4))) for _ in range(150)]
    divided, notes = divide(views, protocol, seed, 0.4)
    assert divided == divide(views, protocol, seed, 0.4)[0]
    people = {split: {one.thumbnail.person for one in divided if one.split == split} for split in ("train", "test")}
    assert not people["train"] & people["test"]
    test = [one for one in divided if one.split == "test"]
    columns = zip(*((0, one.thumbnail.person, one.camera, one.subset == "query") for one in test), strict=True)
    assert not find_unmatched(*map(np.array, columns), protocol).any()
    seen = defaultdict(list)
    for one in test:
        seen[one.thumbnail.person].append(one.camera if protocol == "cross_camera" else id(one))
    lonely = [person for person, cameras in seen.items() if person and len(set(cameras)) < 2]
    assert notes["test"][NO_SECOND_VIEW] == len(lonely)
    queries = {one.thumbnail.person for one in test if one.subset == "query"}
    assert queries == people["test"] - set(lonely) - {0}


def test_another_seed_divides_otherwise():
    views = [entry(person, camera) for person in range(1, 30) for camera in (0, 0, 1, 1)]
    assert divide(views, "cross_camera", 0, 0.5)[0] != divide(views, "cross_camera", 1, 0.5)[0]


# === Names ===


def test_names_that_are_numbers_are_ordered_by_value():
    assert number_names(["10", "9", "b", "", "a", "9"]) == (
        {"9": 1, "10": 2, "a": 3, "b": 4},
        ["", "9", "10", "a", "b"],
    )
    assert number_names([], first=0) == ({}, [])


@pytest.mark.parametrize("names", [("Main", "main"), ("main", "main "), ("caf\u00e9", "cafe\u0301"), ("a  b", "a b")])
def test_names_that_a_person_reads_as_one(names):
    with pytest.raises(ValueError, match="two cameras of one name"):
        check_alike("cameras", names)
    check_alike("cameras", [names[0], names[0], "other"])


def test_people_are_told_apart_by_case_but_not_by_the_form_of_a_letter():
    check_alike("people", ["aB", "ab", "a b", "\u00e9", ""], case=False)
    with pytest.raises(ValueError, match=r"^two people of one name, 'a/e\\u0301' and 'a/\\xe9': rename one$"):
        check_alike("people", ["a/\u00e9", "a/b", "a/e\u0301"], case=False)
