"""Tracks matched in one call: the sources, what is asked of them, and what is wrong with them."""

import numpy as np
import pytest

import kreid
from kreid.errors import ConfigError
from kreid.tracks import distances
from kreid.tracks.from_crops import match
from kreid.tracks.rules import Rules

# Two cameras; of the left one p and q overlap in time, and r follows. By direction p is s, r is t, and q is u.
PATHS = ["l/p/1.png", "l/p/9.png", "l/q/5.png", "l/r/20.png", "r/s/1.png", "r/t/2.png", "r/u/3.png"]
ANGLES = np.radians([9, 11, 50, 80, 10, 81, 52])
PERSON = {"l/p": "anna", "l/q": "berta", "l/r": "carla", "r/s": "anna", "r/t": "carla", "r/u": "dora"}


@pytest.fixture
def crops(tmp_path):
    vectors = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    np.savez(tmp_path / "crops.npz", vectors=vectors, path=np.array(PATHS))
    return tmp_path / "crops.npz"


def named(found):
    return [(pair["track"], pair["match"]) for pair in found.pairs()]


def test_a_file_of_embeddings_needs_no_network(crops):
    found = match(None, crops)
    assert named(found) == [("p", "s"), ("q", "u"), ("r", "t"), ("s", "p"), ("t", "r"), ("u", "q")]
    assert found.metrics is None
    assert found.pairs()[0]["distance"] == pytest.approx(0, abs=1e-12)  # the mean of 9 and 11 degrees
    np.testing.assert_array_equal(found.distance[:3, :3], np.inf)
    np.testing.assert_array_equal(found.distance[:3, 3:], distances(found.vectors)[:3, 3:])


def test_rules_are_kept(crops):
    assert named(match(None, crops, one_to_one=True)) == [("p", "s"), ("q", "u"), ("r", "t")]
    assert named(match(None, crops, most=0.03)) == [("p", "s"), ("r", "t"), ("s", "p"), ("t", "r")]
    assert len(match(None, crops, top=2).matches) == 12
    within = [pair for pair in match(None, crops, within_camera=True).pairs() if pair["camera"] == pair["match_camera"]]
    assert ("p", "q") not in [(pair["track"], pair["match"]) for pair in within]  # at one time
    assert ("q", "r") in [(pair["track"], pair["match"]) for pair in within]
    cosine = match(None, [str(crops)], metric="cosine", title="two cameras")
    assert (cosine.metric, cosine.title) == ("cosine", "two cameras")
    assert cosine.pairs()[1]["distance"] == pytest.approx(1 - np.cos(np.radians(2)))


def test_a_table_of_who_is_who_scores_it(crops, tmp_path):
    rows = [f"{track.replace('/', ',')},{person}" for track, person in PERSON.items()]
    (tmp_path / "who.csv").write_text("\n".join(["camera,track,person", *rows]))
    found = match(None, crops, tmp_path / "who.csv")
    assert (found.metrics["labelled_matches"], found.metrics["right_matches"]) == (6, pytest.approx(4 / 6))
    assert "right, of 6 with labels" in repr(found)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([], {}, "crops: expected a folder, or a list of folders and images, received none"),
        (b"crops", {}, "crops: expected a folder, or a list of folders and images, received a bytes"),
        ("{npz}", {"title": None}, "title: expected a text, received None"),
        (
            "{npz}",
            {"progress": True},
            "progress: expected a function of the images done and their total, received",
        ),
        ("{npz}", {"identities": "gs://bucket/who.csv"}, "gs://bucket/who.csv: an address, expected a path on this"),
        ("{records}/test", {"identities": ""}, ": tells who is who among folders of crops; records know"),
        (3, {}, "crops: expected a folder, or a list of folders and images, received 3"),
        (["{npz}", 3], {}, "crops: number 1: expected the path of a folder or an image, received 3"),
        ("nowhere", {}, "nowhere: no such file or folder"),
        ("{records}", {}, "crops {records}: records of several splits; give one of "),
        ("{records}/test", {}, "{records}/test: its records tell no tracks; convert a source that does"),
        ("{records}/test", {"identities": "who.csv"}, "who.csv: tells who is who among folders of crops; records know"),
        ("{npz}", {"identities": 3}, "identities: expected the path of a CSV file with the columns camera, track, per"),
        ("{npz}", {"top": 2, "one_to_one": True}, "top: belongs to matching without one_to_one"),
    ],
)
def test_what_cannot_be_matched_is_told(records, crops, given, options, message):
    places = {"npz": crops, "records": records}

    def filled(value):
        return value.format(**places) if isinstance(value, str) else value

    with pytest.raises(ConfigError) as raised:
        match(None, [filled(path) for path in given] if isinstance(given, list) else filled(given), **options)
    assert str(raised.value).startswith(message.format(**places))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"pool": "median"}, "pool: expected one of mean, weighted, received 'median'"),
        ({"metric": None}, "metric: expected one of"),
        ({"most": "far"}, "most: expected a number, received 'far'"),
        ({"most": float("nan")}, "most: expected a distance, 0 or more, received nan"),
        ({"most": -1}, "most: expected a distance, 0 or more, received -1"),
        ({"top": 1.5}, "top: expected a whole number, received 1.5"),
        ({"one_to_one": "no"}, "one_to_one: expected True or False, received 'no'"),
        ({"within_camera": np.zeros(2, bool)}, "within_camera: expected True or False, received an ndarray of shape"),
        ({"across_actions": None}, "across_actions: expected True or False, received None"),
        ({"top": 0}, "top: expected 1 or more matches of a track, received 0"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(rules, message):
    with pytest.raises(ValueError, match=message):
        Rules(**rules)


def test_what_is_no_network_is_named(tmp_path):
    for camera in "lr":
        (tmp_path / camera / "a").mkdir(parents=True)
        (tmp_path / camera / "a" / "1.png").touch()
    with pytest.raises(ConfigError, match=r"model: expected a Model, received None; give kreid\.load_model"):
        kreid.match(None, tmp_path)
