"""kreid-match: tracks as folders, and as embeddings of them."""

import csv
import json
import shutil

import numpy as np
import pytest
from tiny_runs import invoke
from track_cases import CAMERAS, draw_crops

from kreid.cli.embed import app as embed_app
from kreid.cli.match import app
from tfrecords_tools.arrays import read_arrays, write_arrays

pytestmark = pytest.mark.usefixtures("resnet_stem")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_crops(tmp_path_factory.mktemp("crops") / "crops")


def table(folder):
    with (folder / "matches.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_people_are_found_on_the_other_camera(run_folder, folder, tmp_path, capsys):
    folder = shutil.copytree(folder, tmp_path / folder.name)
    (folder / "left" / "p0" / "notes.txt").touch()
    code, lines, err = invoke(capsys, app, run_folder, folder, folder / "left")
    assert (code, lines[-1]) == (0, str(run_folder / "matches"))
    assert err.count("skipped 1: ") == 2  # the folder and one inside it
    rows = table(run_folder / "matches")
    assert [(row["camera"], row["track"], row["match_camera"], row["match"]) for row in rows] == [
        (camera, f"p{person}", other, f"p{person}") for camera, other in (CAMERAS, CAMERAS[::-1]) for person in range(3)
    ]
    assert {row["mutual"] for row in rows} == {"true"}
    said = dict(line.rsplit("  ", 1) for line in lines[:-1])
    said = {name.strip(): number.strip() for name, number in said.items()}
    assert said["tracks"] == "6"
    assert said["crops"] == "24"
    assert said["pairs that overlap in time on one camera: never matched"] == "2"
    assert said["mutual"] == "6"
    page = (run_folder / "matches" / "matches.html").read_text(encoding="utf-8")
    assert page.count("<article") == 6
    assert page.count("<img ") == 6 * 2 * 4
    assert not (run_folder / "matches" / "metrics.json").exists()


def test_every_option(run_folder, folder, tmp_path, capsys):
    line = [run_folder, folder, "--pool", "weighted", "--metric", "cosine", "--one-to-one", "--within-camera"]
    code, lines, err = invoke(capsys, app, *line, "--most", "1.9", "--out", tmp_path / "new" / "x")
    assert (code, lines[-1]) == (0, str(tmp_path / "new" / "x")), err
    pairs = [
        (row["camera"] + row["track"], row["match_camera"] + row["match"]) for row in table(tmp_path / "new" / "x")
    ]
    across = [(f"leftp{person}", f"rightp{person}") for person in range(3)]
    assert set(across) < set(pairs)
    within = {pair for pair in pairs if pair not in across}
    assert len(within) == 2  # on each camera one of p0 and p1 is followed by p2
    assert all(second.endswith("p2") for _, second in within)
    with np.load(tmp_path / "new" / "x" / "distances.npz") as arrays:
        assert np.isinf(arrays["distance"][0, 1])
        assert np.isfinite(arrays["distance"][0, 2])


def test_embeddings_of_folders_match_alike(run_folder, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    assert invoke(capsys, embed_app, run_folder, folder.name, "--out", tmp_path / "x.npz")[0] == 0
    written = []
    monkeypatch.setattr("kreid.tracks.pooling._CROPS", 8)
    for source, how in ((folder, "files"), (tmp_path / "x.npz", "stored")):
        if how == "stored":
            monkeypatch.setattr("kreid.cli.match.load_tensorflow", None)  # calling it would fail
        code, _, err = invoke(
            capsys, app, run_folder, source, "--pool", "weighted", "--out", tmp_path / how, "--top", 2
        )
        assert (code, err) == (0, "")
        written.append(table(tmp_path / how))
    assert len(written[0]) == 12
    for one, two in zip(*written, strict=True):
        assert float(one.pop("distance")) == pytest.approx(float(two.pop("distance")), abs=1e-5)
        assert float(one.pop("margin")) == pytest.approx(float(two.pop("margin")), abs=1e-5)
        assert one == two
    write_arrays(tmp_path / "y.npz", read_arrays(tmp_path / "x.npz") | {"network": np.array("0" * 64)})
    code, _, err = invoke(capsys, app, run_folder, tmp_path / "y.npz", "--out", tmp_path / "y")
    assert (code, err) == (
        0,
        f"warning: {tmp_path / 'y.npz'}: embeddings of another network than {run_folder} has now\n",
    )


def test_a_table_of_who_is_who_scores_the_matches(run_folder, folder, tmp_path, monkeypatch, capsys):
    """p2 of the right camera is called another person than p2 of the left one, and nothing is said of its p1."""
    people = {("left", 0): "a", ("right", 0): "a", ("left", 1): "b", ("left", 2): "c", ("right", 2): "d"}
    rows = [f"{camera},p{track},{person}" for (camera, track), person in people.items()]
    (tmp_path / "tracks.csv").write_text("\n".join(["camera,track,person", *rows]))
    monkeypatch.chdir(folder.parent)
    assert invoke(capsys, embed_app, run_folder, folder.name, "--out", tmp_path / "x.npz")[0] == 0
    for source, out in ((folder, tmp_path / "files"), (tmp_path / "x.npz", tmp_path / "stored")):
        code, lines, err = invoke(
            capsys, app, run_folder, source, "--identities", tmp_path / "tracks.csv", "--out", out
        )
        assert (code, err) == (
            0,
            f"warning: {tmp_path}/tracks.csv: tells no person of 1 of 6 tracks, which are matched but not scored, the "
            "first: right/p1\n",
        )
        assert [line.split()[-1] for line in lines if line.startswith(("right, of 4 ", "mAP "))] == ["2", "100.0"]
        metrics = json.loads((out / "metrics.json").read_text())
        assert (metrics["queries"], metrics["skipped"]) == (5, 3)
        assert (metrics["labelled_matches"], metrics["right_matches"]) == (4, 0.5)
        with np.load(out / "distances.npz") as arrays:
            assert arrays["person"].tolist() == [1, 2, 3, 1, -1, 4]


def test_sizes_of_files_that_are_gone_are_said_not_to_count(run_folder, tmp_path, capsys):
    paths = np.array([f"{camera}/p/{frame}.png" for camera in CAMERAS for frame in range(3)])
    np.savez(tmp_path / "x.npz", vectors=np.eye(6), path=paths)
    code, _, err = invoke(capsys, app, run_folder, tmp_path / "x.npz", "--pool", "weighted", "--out", tmp_path / "out")
    assert code == 0
    assert err == (
        "warning: the files of some crops cannot be read any more: in their tracks the size of crops does not count\n"
    )
    assert (tmp_path / "out" / "matches.html").read_text().count("no picture") == 2 * 2 * 3


@pytest.fixture
def places(folder, records, tmp_path):
    """What the arguments below stand for."""
    places = {
        "crops": folder,
        "left": folder / "left",
        "records": records,
        "tmp": tmp_path,
        "one": folder / "left" / "p0",
    }
    for name, arrays in {
        "paths": {"path": np.array(["l/a/1.png", "r/b/1.png"])},
        "unnumbered": {"path": np.array(["l/a/x.png", "l/b/1.png"])},
        "twice": {"path": np.array(["x/l/a/1.png", "y/L/b/1.png"])},
        "outside": {"path": np.array(["x/l/a/1.png", "x/l/1.png"])},
        "plain": {},
        "nan": {"vectors": np.array([[1.0, 0.0], [np.nan, 1.0]]), "path": np.array(["l/a/1.png", "r/b/1.png"])},
        "zero": {"vectors": np.array([[1.0, 0.0], [0.0, 0.0]]), "path": np.array(["l/a/1.png", "r/b/1.png"])},
    }.items():
        places[name] = tmp_path / f"{name}.npz"
        np.savez(places[name], **({"vectors": np.eye(2)} | arrays))
    (tmp_path / "file").touch()
    (tmp_path / "other.csv").write_text("camera,track,person\nl,b,p\n")
    (tmp_path / "taken" / "matches.html").mkdir(parents=True)
    return places


def test_no_match_is_a_result(run_folder, places, tmp_path, capsys):
    line = [run_folder, places["paths"], "--most", "0", "--out", tmp_path / "none"]
    code, lines, err = invoke(capsys, app, *line)
    assert (code, lines[-1], err) == (0, str(tmp_path / "none"), "")
    assert table(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "expected folders of crops, or --data with records, received nothing"),
        (["{crops}", "--data", "{records}"], 2, "expected folders of crops, or --data with records, received both"),
        (["{crops}", "--split", "test"], 2, "--split: belongs to --data"),
        (["--data", "nowhere"], 2, "--data nowhere: no such folder"),
        (["--data", "{records}", "--split", "x"], 2, "no split 'x'; found challenge, test, train, valid"),
        (["nowhere"], 2, "nowhere: no such file or folder"),
        (["{one}"], 2, "expected two tracks or more, received one, left/p0"),
        (["{left}"], 2, "all 3 tracks are of one camera, left; give those of another one, or --within-camera"),
        (
            ["{unnumbered}", "--within-camera"],
            2,
            "the frames of track l/a are unknown, and so whether it overlaps others",
        ),
        (["{twice}"], 2, "two cameras of one name but for case, spaces or zeros: "),
        (["{outside}"], 2, "x/l/1.png: outside a track's folder; expected all images as CAMERA/TRACK/IMAGE"),
        (["{plain}"], 1, "plain.npz: holds no paths of image files, which tell the tracks"),
        (["{nan}"], 1, "track r/b: a vector is not finite"),
        (["{zero}"], 1, "track r/b: the vectors of its crops are all zeros or cancel out"),
        (["{paths}", "--identities", "{tmp}/no.csv"], 1, "no.csv"),
        (["{paths}", "--identities", "{tmp}/other.csv"], 2, "other.csv: joins none of the 2 tracks to a person; its "),
        (["--data", "{records}", "--identities", "{tmp}/other.csv"], 2, "other.csv: tells who is who among folders of"),
        (["{paths}", "--most", "nan"], 2, "--most"),
        (["{paths}", "--most", "-1"], 2, "--most"),
        (["{paths}", "--top", "0"], 2, "--top"),
        (["{paths}", "--top", "2", "--one-to-one"], 2, "--top: belongs to matching without --one-to-one"),
        (["{paths}", "--out", "{tmp}/file"], 2, "file: a file, expected a folder to write into"),
        (["{paths}", "--out", "{tmp}/taken"], 2, "taken/matches.html: a folder, expected the name of a file to write"),
        (["{paths}", "--pool", "median"], 2, "--pool"),
    ],
)
def test_mistakes_are_told_in_a_line_before_tensorflow_loads(
    run_folder, places, monkeypatch, capsys, arguments, code, message
):
    monkeypatch.setattr("kreid.cli.match.load_tensorflow", None)  # calling it would fail
    before = {path for path in run_folder.rglob("*") if path.parent.name != "matches"}
    received, lines, err = invoke(capsys, app, run_folder, *(one.format(**places) for one in arguments))
    assert (received, lines) == (code, [])
    assert message in err
    assert err.count("\n") == 1
    assert {path for path in run_folder.rglob("*") if path.parent.name != "matches"} == before


def test_a_broken_image_is_named(run_folder, tmp_path, capsys):
    draw_crops(tmp_path / "crops", tracks=1, crops=2)
    (tmp_path / "crops" / "right" / "p0" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    code, lines, err = invoke(capsys, app, run_folder, tmp_path / "crops", "--out", tmp_path / "out")
    assert (code, lines) == (1, [])
    assert "right/p0/001.png" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run(places, tmp_path, capsys):
    code, _, err = invoke(capsys, app, tmp_path, places["paths"])
    assert (code, err) == (
        2,
        f"error: {tmp_path}: not a run folder, it has no config.yaml; give the folder that kreid-train wrote\n",
    )
