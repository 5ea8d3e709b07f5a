"""The Python of the pages, run as it stands, at toy size: names, shapes and files are those that the pages say."""

import contextlib
import re
import shutil

import keras  # noqa: F401 - draws random numbers where it is imported
import numpy as np
import pytest
from tiny_runs import make_run, script

from kreid.config.loading import dump
from website.paths import PAGES

pytestmark = pytest.mark.usefixtures("resnet_stem")

RUN = {"getting_started.md", "formats.md", "how_to/own_footage.md", "how_to/search_and_match.md", "how_to/tracker.md"}
ELSEWHERE = {
    "records.md",
    "adding_a_backbone.md",
    "adding_a_loss.md",
    "serving.md",
    "trackers.md",
}  # by tests of their own


def snippets(page):
    return re.findall(r"^```python\n(.*?)^```", (PAGES / page).read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory, records, tiny_one):
    """A folder that has what the pages name, at toy size."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "configs").mkdir()
    (folder / "configs" / "two_stream.yaml").write_text(dump(tiny_one), encoding="utf-8")
    (folder / "records").symlink_to(records)
    make_run(folder / "saved_models" / "two_stream", tiny_one)
    (folder / "run").symlink_to(folder / "saved_models" / "two_stream")
    return folder


def run(page, place, **names):
    with contextlib.chdir(place):
        for code in snippets(page):
            exec(compile(code, page, "exec"), names)
    return names


def test_every_snippet_is_run():
    pages = {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.md") if "```python" in path.read_text()}
    assert pages == RUN | ELSEWHERE


def test_the_first_lines_lead_from_records_to_scores(place, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")  # the lines about TensorFlow's own words would leave it set
    said = run("getting_started.md", place)
    assert said["config"].train.epochs == 5
    assert len(said["ranking"].query)
    assert 0 < said["metrics"]["mAP"] <= 1


def test_a_tracker_gets_unit_vectors_of_its_boxes(place):
    frame = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    said = run("how_to/tracker.md", place)
    assert said["embed_boxes"](frame, np.zeros((0, 4), int)).shape[0] == 0
    vectors = said["embed_boxes"](frame, [(0, 0, 10, 20), (30, 5, 60, 40)])
    assert vectors.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_vectors_are_read_as_the_page_of_formats_says(place, records):
    (place / "toy").mkdir()
    image = next((records.parent / "tree").rglob("*.png"))
    shutil.copy(image, place / "a.png")
    done = script("kreid-embed", "saved_models/two_stream", "a.png", "--out", "toy/queries.npz", cwd=place)
    assert done.returncode == 0, done.stderr
    said = run("formats.md", place)
    np.testing.assert_allclose(said["similarity"], [[1]], rtol=1e-5)


def test_own_footage_has_intervals(place, capsys):
    said = run("how_to/own_footage.md", place)
    assert said["name"] == "rank5"
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2].startswith("rank1 ")
    assert " 95 % interval " in shown[-2]
    low, mean, high = said["interval"].low, said["interval"].mean, said["interval"].high
    assert 0 <= low <= mean <= high <= 1


def test_tracks_are_matched_as_the_command_does(place, records, capsys):
    images = sorted((records.parent / "tree").rglob("*.png"))[:4]
    for image, track in zip(images, ("left/7", "left/9", "right/a", "right/b"), strict=True):
        (place / "crops" / track).mkdir(parents=True)
        shutil.copy(image, place / "crops" / track / "1.png")
    said = run("how_to/search_and_match.md", place)
    found = said["found"]
    printed = capsys.readouterr().out
    assert printed.startswith(f"{found!r}\n")
    assert printed.count(" apart\n") == len(found.pairs()) > 0
    written = place / "matches"
    assert (written / "matches.html").is_file()
    line = ["kreid-match", "run", "crops", "--one-to-one", "--most", "0.9", "--pool", "weighted", "--out", "commanded"]
    done = script(*line, cwd=place)
    assert done.returncode == 0, done.stderr
    assert (written / "matches.csv").read_bytes() == (place / "commanded" / "matches.csv").read_bytes()
