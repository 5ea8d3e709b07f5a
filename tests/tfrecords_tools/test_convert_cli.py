import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from sets import write_tracks
from tiny_tree import LISTS, make_image, write_tree

from tfrecords_tools import cli
from tfrecords_tools.images import IMAGE_FORMATS
from tfrecords_tools.index import read_index, read_info
from tfrecords_tools.info import VERSION
from tfrecords_tools.sources.soccernet import SPLITS, scan


@pytest.fixture
def convert(monkeypatch, capsys):
    """Runs kreid-convert in this process: returns its exit code, standard output and standard error."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["kreid-convert", *map(str, args)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


def start(*args, **options):
    """Starts kreid-convert in a process of its own."""
    code = "import sys; sys.argv[0] = 'kreid-convert'; from tfrecords_tools.cli import main; main()"
    command = [sys.executable, *options.pop("python", []), "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_choices_are_those_of_the_converter():
    assert [split.value for split in cli.Split] == list(SPLITS)
    assert [one.value for one in cli.ImageFormat] == list(IMAGE_FORMATS)


def test_everything_there_is(convert, tree, tmp_path):
    code, out, err = convert(tree, tmp_path / "out")
    assert code == 0
    assert out.splitlines()[-1] == str(tmp_path / "out")
    assert "valid: 5 images (2 queries, 3 gallery), 3 identities, 2 actions" in err
    assert "challenge: 3 images (1 queries, 2 gallery), identities withheld" in err
    assert list(read_info(tmp_path / "out")["splits"]) == list(SPLITS)


def test_options_reach_the_records(convert, tree, tmp_path):
    code, _, _ = convert(
        tree, tmp_path / "out", "--split", "train", "--split", "valid", "--fraction", "0.5", "--shards", "2",
        "--resize", "8x4", "--image-format", "jpeg",
    )  # fmt: skip
    assert code == 0
    info = read_info(tmp_path / "out")["splits"]
    assert list(info) == ["train", "valid"]
    assert info["train"]["images"] == 4
    assert info["train"]["fraction"] == 0.5
    assert info["valid"] | {"bytes": 0, "images": 0, "queries": 0, "gallery": 0, "identities": 0, "actions": 0} == {
        "bytes": 0, "images": 0, "queries": 0, "gallery": 0, "identities": 0, "actions": 0,
        "shards": 2, "fraction": 1.0, "resize": [8, 4], "image_format": "jpeg", "source": "soccernet",
        "protocol": "action", "cameras": 0, "tracks": 0, "notes": {}, "skipped": 0,
    }  # fmt: skip


def test_overwrite(convert, tree, tmp_path):
    assert convert(tree, tmp_path / "out", "--split", "test")[0] == 0
    code, out, err = convert(tree, tmp_path / "out")
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path}/out/test: already there; replace it with --overwrite, or give another folder\n"
    assert convert(tree, tmp_path / "out", "--overwrite")[0] == 0
    assert len(read_info(tmp_path / "out")["splits"]) == 4


# === Wrong arguments: exit code 2, one line, nothing written ===


@pytest.mark.parametrize(
    "args, message",
    [
        (["--fraction", "0"], "fraction: expected a number in (0, 1], such as 0.1, received 0.0"),
        (["--fraction", "1.5"], "fraction: expected a number in (0, 1]"),
        (["--fraction", "nan"], "fraction: expected a number in (0, 1]"),
        (["--fraction", "ten"], "'--fraction'"),
        (["--fraction", "0.1", "--split", "valid"], "fraction: only the training set is cut"),
        (["--split", "vaild"], "'vaild'"),
        (["--shards", "0"], "shards: expected 1 or more, received 0"),
        (["--shards", "1.5"], "'--shards'"),
        (["--resize", "256"], "--resize: expected HEIGHTxWIDTH in pixels, such as 256x128, received '256'"),
        (["--resize", "256x128x3"], "--resize: expected HEIGHTxWIDTH"),
        (["--resize", "0x128"], "resize: expected (height, width) of 1 pixel or more"),
        (["--image-format", "webp"], "'webp'"),
        (["--seed", "1"], "--seed: the source soccernet takes no such option; leave it out"),
        (["--margin", "0.1"], "--margin: the source soccernet takes no such option; leave it out"),
        (["--train-share", "1.5"], "--train-share: expected a number from 0 to 1, received 1.5"),
        (["--every", "0"], "--every: expected a whole number from 1 up, received 0"),
        (["--actions", "1"], "--actions goes with --synthetic"),
        (["--source", "market"], "--source: expected one of soccernet"),
        (["--max-pixels", "0"], "max_pixels: expected 1 to 178956970, received 0"),
        (["--on-error", "ignore"], "'ignore'"),
        (["--synthetic", "--source", "market1501"], "--source: --synthetic draws a set of the source soccernet"),
        (["--frction", "0.1"], "--frction"),
        (["third"], "third"),
        (["--synthetic"], "expected a folder that is missing or empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_argument(convert, tree, tmp_path, args, message):
    code, out, err = convert(tree, tmp_path / "out", *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_arguments(convert):
    code, _, err = convert()
    assert code == 2
    assert "ROOT" in err
    assert "kreid-convert --help" in err


@pytest.mark.parametrize(
    "args, message",
    [
        (["", "out"], "expected a path, received an empty one"),
        (["tree", ""], "expected a path, received an empty one"),
        (["tree", "--", "--fraction"], "expected a path, received the option --fraction"),
    ],
)
def test_what_is_no_path_is_refused(convert, tree, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    before = list(tmp_path.rglob("*"))
    code, _, err = convert(*args)
    assert code == 2
    assert message in err
    assert list(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda root: None, "no such folder; expected a SoccerNet-v3 ReID tree"),
        (lambda root: root.write_text("a file"), "root: a file; expected a folder of images"),
        (lambda root: root.mkdir(), "soccernet: no SoccerNet-v3 ReID split in this folder"),
    ],
    ids=["missing", "file", "empty"],
)
def test_root_that_is_no_tree(convert, tmp_path, make, message):
    make(tmp_path / "root")
    code, _, err = convert(tmp_path / "root", tmp_path / "out")
    assert code == 2
    assert f"error: {tmp_path}/root: " in err
    assert message in err


def test_split_that_is_not_there(convert, tree, tmp_path):
    shutil.rmtree(tree / "reid/test")
    code, _, err = convert(tree, tmp_path / "out", "--split", "test")
    assert code == 2
    assert (
        err.splitlines(keepends=True)[-1]
        == f"error: {tree}/reid/test: the folder of split 'test' is missing; found only train, valid, challenge\n"
    )
    assert not (tmp_path / "out").exists()


def test_fraction_that_keeps_nothing(convert, tmp_path):
    root = write_tree(tmp_path / "tree", {"train": [("train", 9, 0)]})
    code, _, err = convert(root, tmp_path / "out", "--fraction", "0.1")
    assert code == 2
    assert (
        err.splitlines(keepends=True)[-1]
        == "error: fraction: 0.1 keeps action indices below 1, and the first one there is 9; take a larger fraction\n"
    )
    assert not (tmp_path / "out").exists()


# === Bad data: exit code 1, one line, nothing written ===


def damage(path):
    path.write_bytes(make_image(0)[:50])


DAMAGES = {
    "empty_split": lambda tree: [entry.path.unlink() for entry in scan(tree, "train")],
    "name_of_neither_form": lambda tree: scan(tree, "train")[0].path.with_name("a [b].png").touch(),
    "png_cut_short": lambda tree: damage(scan(tree, "challenge")[0].path),
    "not_an_image": lambda tree: scan(tree, "test")[0].path.write_text("<html>"),
    "archive_unpacked_in_part": lambda tree: scan(tree, "train")[2].path.unlink(),
    "index_twice": lambda tree: scan(tree, "challenge")[0].path.with_name("0-9-1x1.png").touch(),
    "label_list_cut": lambda tree: (tree / "reid/valid/bbox_info.json").write_text("{"),
}


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES)
def test_bad_data(convert, tree, tmp_path, harm):
    harm(tree)
    code, out, err = convert(tree, tmp_path / "out")
    assert (code, out) == (1, "")
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert f"{tree}/reid/" in errors[0]  # the file or folder is named
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_records_of_another_version(convert, tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/info.json").write_text(json.dumps({"schema_version": VERSION + 1, "splits": {}}))
    code, _, err = convert(tree, tmp_path / "out")
    assert code == 1
    assert f"{tmp_path}/out/info.json: the records have schema version {VERSION + 1}" in err


def test_warnings_are_lines_of_their_own(convert, tree, tmp_path):
    scan(tree, "test")[0].path.write_bytes(make_image(0, height=9, width=7))
    code, _, err = convert(tree, tmp_path / "out", "--split", "test")
    assert code == 0
    assert "warning: 1 images are not of the size their names say" in err


def test_bad_images_can_be_skipped_and_are_listed(convert, tree, tmp_path):
    (bad,) = [entry for entry in scan(tree, "test") if entry.subset == "gallery" and entry.thumbnail.person == 20]
    bad.path.write_bytes(b"<html>, no image")
    code, _, err = convert(tree, tmp_path / "out", "--on-error", "skip")
    assert code == 0
    assert "test: 2 images (1 queries, 1 gallery)" in err
    assert "(1 queries without a match, 1 bad images skipped, see test/problems.csv)" in err
    lines = (tmp_path / "out/test/problems.csv").read_text().splitlines()
    assert lines[0] == "source,subset,problem"
    assert lines[1].startswith(f'{bad.source},gallery,"{bad.path}: is not an image')
    assert len(lines) == 2
    info = read_info(tmp_path / "out")["splits"]
    assert (info["test"]["skipped"], info["valid"]["skipped"]) == (1, 0)
    assert not (tmp_path / "out/valid/problems.csv").exists()
    assert convert(tree, tmp_path / "out", "--on-error", "skip", "--overwrite")[0] == 0


def test_what_is_skipped_no_longer_counts_as_a_query_without_a_match(convert, tmp_path):
    rows = ["path,person,split,subset", "0.png,1,test,query", "1.png,1,test,gallery", "2.png,2,test,query"]
    for name in ("0.png", "1.png", "2.png"):
        (tmp_path / name).write_bytes(make_image(0))
    (tmp_path / "images.csv").write_text("\n".join(rows))
    assert "(1 queries without a match)" in convert(tmp_path, tmp_path / "before")[2]
    (tmp_path / "2.png").write_bytes(b"no image")
    _, _, err = convert(tmp_path, tmp_path / "out", "--on-error", "skip")
    assert "(1 bad images skipped, see test/problems.csv)" in err


def test_a_split_that_cannot_be_scored_is_warned_of(convert, tree, tmp_path):
    crops, table = write_tracks(tmp_path)
    why = "warning: test: it has no queries to score: a person must be on two cameras or more"
    code, _, err = convert(crops, tmp_path / "out")
    assert (code, err.count("warning: "), why in err) == (0, 1, True)
    for root, options in ((crops, ["--identities", table]), (tree, [])):  # SoccerNet's, with train and challenge
        code, _, err = convert(root, tmp_path / "out", "--overwrite", *options)
        assert (code, "warning: " in err) == (0, False)


def test_the_protocol_is_told_in_a_line(convert, tree, tmp_path):
    crops, table = write_tracks(tmp_path)
    line = "scored across cameras (protocol cross_camera), cameras: 2 in train, 2 in test"
    code, out, err = convert(crops, tmp_path / "across", "--identities", table)
    assert (code, out, err.splitlines().count(line)) == (0, f"{tmp_path}/across\n", 1)
    line = "scored inside actions (protocol action), actions: 2 in valid, 1 in challenge"
    code, _, err = convert(tree, tmp_path / "inside", "--split", "valid", "--split", "challenge")
    assert (code, err.splitlines()[-1]) == (0, line)


def test_a_split_whose_images_are_all_bad_is_an_error(convert, tree, tmp_path):
    for entry in scan(tree, "test"):
        entry.path.write_bytes(b"")
    code, _, err = convert(tree, tmp_path / "out", "--on-error", "skip")
    assert code == 1
    assert err.splitlines()[-1].endswith("is empty; get it again, or leave it out; and so are all 3 images of test")
    assert not (tmp_path / "out").exists()


def test_too_many_pixels_are_refused(convert, tree, tmp_path):
    code, _, err = convert(tree, tmp_path / "out", "--split", "test", "--max-pixels", "71")
    assert code == 1
    assert "has 6 x 12 pixels, more than the 71 that are let pass; make it smaller, " in err
    assert convert(tree, tmp_path / "out", "--split", "test", "--max-pixels", "72")[0] == 0


# === A synthetic set ===


@pytest.mark.slow
def test_synthetic_set_is_drawn_and_converted(convert, tmp_path):
    code, out, err = convert(tmp_path / "toy", tmp_path / "out", "--synthetic", "--actions", "2", "--seed", "3")
    assert code == 0, err
    assert out.splitlines()[-1] == str(tmp_path / "out")
    assert {split: one["actions"] for split, one in read_info(tmp_path / "out")["splits"].items()} == {
        "train": 2, "valid": 1, "test": 1, "challenge": 1,
    }  # fmt: skip
    entries = scan(tmp_path / "toy", "train")
    assert entries[0].path.read_bytes() in read_index(tmp_path / "out/train").read([0])[0]


@pytest.mark.parametrize("args", [["--actions", "0"], ["--seed", "-1"]])
def test_synthetic_set_that_cannot_be_drawn(convert, tmp_path, args):
    code, _, err = convert(tmp_path / "toy", tmp_path / "out", "--synthetic", *args)
    assert code == 2
    assert err.splitlines()[-1].startswith("error: ")
    assert list(tmp_path.iterdir()) == []


# === A process of its own ===


@pytest.mark.parametrize("args", [["--help"], ["nowhere", "out"], ["--fraction", "2", "a", "b"], []])
def test_tensorflow_is_not_needed_to_answer(tmp_path, args):
    process = start(*args, python=["-X", "importtime"], cwd=os.getcwd())  # noqa: PTH109
    out, err = process.communicate(timeout=60)
    assert process.returncode == (0 if args == ["--help"] else 2)
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines()}
    assert "tfrecords_tools.sources.table" in imported  # importtime works
    assert not imported & {"tensorflow", "rich.console"}
    if args == ["--help"]:
        assert "--fraction" in out
        assert "(0, 1]" in " ".join(out.split())


@pytest.mark.slow
def test_interruption_leaves_nothing(tmp_path):
    # Large images make enough work for many seconds; the signal comes as soon as the first file is there.
    root = write_tree(tmp_path / "tree", {"challenge": [(subset, 0, 0) for subset in ("query", "gallery")] * 100})
    process = start(root, tmp_path / "out", "--resize", "1536x768")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/.kreid-convert-*/challenge/*.tfrecord")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_standard_error_is_quiet_and_the_last_line_is_the_path(tmp_path):
    root = write_tree(tmp_path / "tree", {"test": LISTS["test"]})
    process = start(root, tmp_path / "out")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert out == f"{tmp_path / 'out'}\n"
    assert err.count("\n") == 3  # nothing of TensorFlow's, and no bar where there is no terminal
    first, second, third = err.splitlines()
    assert first == f"{root}: taken for a SoccerNet-v3 ReID tree (--source soccernet)"
    assert second.startswith("test: 3 images (1 queries, 2 gallery), 2 identities, 1 actions")
    assert third == "scored inside actions (protocol action), actions: 1 in test"
