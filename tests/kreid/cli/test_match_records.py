"""kreid-match on records that tell tracks."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import invoke
from track_cases import CAMERAS, draw_crops

from kreid.cli.match import app
from tfrecords_tools.sources.source import Options
from tfrecords_tools.writer import convert

pytestmark = pytest.mark.usefixtures("resnet_stem")

EVERYTHING = Options(train_share=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_crops(tmp_path_factory.mktemp("crops") / "crops")


@pytest.fixture(scope="module")
def tracked(folder):
    """The crops as records, all in the split test, where a track names its person."""
    convert(folder, folder.parent / "records", options=EVERYTHING)
    return folder.parent / "records"


def table(folder):
    with (folder / "matches.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_records_match_as_their_files_do(run_folder, folder, tracked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kreid.tracks.pooling._CROPS", 8)
    line = ["--pool", "weighted", "--within-camera", "--out"]
    assert invoke(capsys, app, run_folder, folder, *line, tmp_path / "files")[0] == 0
    code, lines, err = invoke(capsys, app, run_folder, "--data", tracked, *line, tmp_path / "records")
    assert (code, err) == (0, "")
    for one, two in zip(table(tmp_path / "files"), table(tmp_path / "records"), strict=True):
        for name in ("distance", "margin"):
            left, right = (float(row.pop(name) or "nan") for row in (one, two))
            assert left == pytest.approx(right, abs=1e-5, nan_ok=True)
        assert one == two
    page = (tmp_path / "records" / "matches.html").read_text(encoding="utf-8")
    assert page.count("no picture") == 0
    assert "4 crops · frames 20–23" in page
    # p2 is matched with p0 or p1 of its own camera, and everybody with their own selves on the other one.
    metrics = json.loads((tmp_path / "records" / "metrics.json").read_text())
    assert (metrics["protocol"], metrics["mAP"], metrics["rank1"], metrics["queries"]) == ("cross_camera", 1, 1, 6)
    assert (metrics["matches"], metrics["right_matches"]) == (12, 0.5)
    assert any(one.startswith("mAP ") and one.endswith(" 100.0") for one in lines)


def test_the_folder_of_a_split_will_do_and_names_are_those_of_the_source(run_folder, tracked, tmp_path, capsys):
    code, _, err = invoke(capsys, app, run_folder, tracked / "test", "--out", tmp_path / "x")
    assert code == 0, err
    rows = table(tmp_path / "x")
    assert [(row["camera"], row["track"]) for row in rows] == [
        (camera, f"p{n}") for camera in CAMERAS for n in range(3)
    ]


def test_records_without_tracks_are_named(run_folder, records, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kreid.cli.match.load_tensorflow", None)  # calling it would fail
    code, lines, err = invoke(capsys, app, run_folder, "--data", records, "--out", tmp_path / "x")
    assert (code, lines) == (2, [])
    assert err == (
        f"error: {records / 'test'}: its records tell no tracks; convert a source that does, such as folders of tracks "
        "or mot\n"
    )


def test_actions_of_one_camera_each_are_matched_across_them_alone(run_folder, tmp_path, monkeypatch, capsys):
    """As sequences of which nobody has said who is who."""
    drawn = draw_crops(tmp_path / "crops", crops=2)
    names = sorted(path.relative_to(drawn) for path in drawn.rglob("*.png"))
    lines = [
        f"{name},{camera}/{track},{CAMERAS.index(camera)},{camera},{track},{name.stem}"
        for name in names
        for camera, track in [name.parts[:2]]
    ]
    (drawn / "images.csv").write_text("\n".join(["path,person,action,camera,track,frame", *lines, ""]))
    convert(drawn / "images.csv", tmp_path / "records", options=EVERYTHING)
    line = [run_folder, "--data", tmp_path / "records", "--out", tmp_path / "x"]
    code, _, err = invoke(capsys, app, *line, "--across-actions")
    assert code == 0, err
    found = [(Path(row["track"]), Path(row["match"])) for row in table(tmp_path / "x")]
    assert [(track.name == match.name, track.parent == match.parent) for track, match in found] == [(True, False)] * 6
    assert not (tmp_path / "x" / "metrics.json").exists()  # nobody has said who is who
    monkeypatch.setattr("kreid.cli.match.load_tensorflow", None)  # calling it would fail
    code, _, err = invoke(capsys, app, *line)
    assert code == 2
    assert "none of the 2 actions has tracks of two cameras; match tracks of different actions by --across-act" in err
    with np.load(tmp_path / "x" / "distances.npz") as arrays:
        assert arrays["action"].tolist() == [0, 0, 0, 1, 1, 1]
