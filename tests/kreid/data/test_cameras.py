"""Cameras of records by name, and their numbers among those that a network knows."""

import dataclasses

import numpy as np
import pytest

from kreid.data.cameras import cameras_of, check_cameras, learned_cameras, numbers_among, numbers_given, numbers_of
from kreid.errors import ConfigError
from tfrecords_tools.index import read_index

ROWS = np.arange(60)


@pytest.fixture(scope="module")
def trained(filmed):
    """The index of training records, of the cameras 1, 2 and 3."""
    return read_index(filmed / "train")


def of(index, **columns):
    return dataclasses.replace(index, **columns)


def test_a_camera_goes_by_its_name_wherever_its_number_stands(trained):
    index = of(trained, camera=np.array([2, 0, 3, 2]), cameras=np.array(["left", "", "goal"]))
    assert cameras_of(index).tolist() == ["goal", "left", "3", "goal"]  # 3 has no name
    assert numbers_of(index, ["3", "goal", "x", "left"]).tolist() == [1, 3, 0, 1]
    assert numbers_of(index, ["goal"], np.array([3])).tolist() == [0]
    assert numbers_of(index, ["goal"], np.array([3])).dtype == np.int32


def test_a_camera_that_the_network_does_not_know_is_named():
    with pytest.raises(
        ValueError, match=r"^there: 2 images are of camera 'c7', which is none of the network's 2 \(c1, c2\); leave"
    ):
        numbers_among(["c1", "c7", "c2", "c7"], ["c1", "c2"], "there")


@pytest.mark.parametrize(
    ("cameras", "end"),
    [
        (["c1"], "2 names, one an image, received 1 in a list"),
        ("c1", "2 names, one an image, received 'c1'"),
        (5, "2 names, one an image, received 5"),
        ([["c1"], ["c2"]], "names, such as 'c1', received a list among them"),
        (np.zeros(2, np.int64), "names, such as 'c1', received an int64 of shape () among them"),
    ],
)
def test_an_argument_that_names_no_camera_an_image_is_refused(cameras, end):
    with pytest.raises(ConfigError) as caught:
        numbers_given(cameras, ["c1", "c2"], 2)
    assert str(caught.value) == f"cameras: expected {end}"
    assert numbers_given(np.array(["c2", "c1"]), ["c1", "c2"], 2).tolist() == [1, 0]


def test_records_without_cameras_are_refused(trained, records):
    index = of(trained, camera=np.array([0, -1, 2, -1]))
    with pytest.raises(ValueError, match=r"train: 2 of 4 records tell no camera, which the network asks for"):
        cameras_of(index)
    with pytest.raises(ValueError, match=r"valid: \d+ of \d+ records tell no camera"):
        check_cameras(["1"], records / "valid")
    check_cameras(None, records / "valid")  # a network without cameras takes them


def test_a_network_learns_the_cameras_of_its_training_images(trained):
    assert learned_cameras(trained, ROWS, 3, None) == ("1", "2", "3")
    assert learned_cameras(trained, ROWS, 4, ["9", "3", "2", "1"]) == ("9", "3", "2", "1")
    alone = np.flatnonzero(trained.camera == 1)
    assert learned_cameras(trained, alone, 1, None) == ("2",)


@pytest.mark.parametrize(
    ("count", "end"),
    [(2, "received 2; set it so"), (4, "received 4; set it so, or name them all in model.appearance.camera_names")],
)
def test_more_or_fewer_cameras_than_asked_for_are_refused(trained, count, end):
    with pytest.raises(ConfigError) as raised:
        learned_cameras(trained, ROWS, count, None)
    assert str(raised.value) == f"model.appearance.cameras: expected 3, those of {trained.folder} (1, 2, 3), {end}"


def test_training_images_of_a_camera_without_a_name_are_refused(trained):
    with pytest.raises(ValueError, match="images are of camera '3', which is none of the network's 3"):
        learned_cameras(trained, ROWS, 3, ["1", "2", "x"])
