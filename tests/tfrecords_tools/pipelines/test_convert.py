"""A conversion by a pipeline gives the records of the local command, byte for byte, wherever they lie."""

import json
import shutil

import pytest

pytest.importorskip("apache_beam")

from tiny_tree import make_image, write_thumbnail, write_tree
from toy_files import ToyFileSystem

from tfrecords_tools import console, writer
from tfrecords_tools.cli import app
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index
from tfrecords_tools.pipelines.convert import convert
from tfrecords_tools.pipelines.run import check_runner
from tfrecords_tools.settings import Settings
from tfrecords_tools.sources.source import Options

DIRECT = check_runner("DirectRunner", [])


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def tree(tmp_path):
    """Actions of three games in turns, so that every file of records meets games in another order."""
    root = write_tree(tmp_path / "tree", label_lists=True)
    shutil.rmtree(root / "train")
    for action, game in enumerate("ABACBC"):
        for bbox in (2 * action, 2 * action + 1):
            write_thumbnail(root, "train", "train", bbox, action, action, game=f"england/2014-2015/{game} 1 - 0 B")
    return root


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(ToyFileSystem, "root", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "chosen", [{}, {"shards": 3}, {"shards": 2, "resize": (8, 4), "image_format": "jpeg"}, {"fraction": 0.5}]
)
def test_the_records_are_the_local_command_s_byte_for_byte(tree, tmp_path, chosen):
    info = writer.convert(tree, tmp_path / "local", **chosen)
    assert convert(str(tree), str(tmp_path / "beam"), None, Settings(**chosen), DIRECT) == info
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_addresses_give_the_same(tree, toy):
    info = writer.convert(tree, toy / "local", ["train", "valid"], shards=2)
    assert convert("toy://tree", "toy://beam", ["train", "valid"], Settings(shards=2), DIRECT) == info
    assert files(toy / "beam") == files(toy / "local")
    read_index(toy / "beam/train").read(range(12))


def test_tracks_are_counted_as_the_local_command_counts_them(tmp_path):
    for split in ("train", "query", "gallery"):
        for camera, track in (("a", "1"), ("b", "1"), ("b", "2"), ("a", "2")):
            folder = tmp_path / "set" / split / camera / track
            folder.mkdir(parents=True)
            for number in range(2):
                (folder / f"{number}.png").write_bytes(make_image([number, ord(camera), int(track)]))
    info = writer.convert(tmp_path / "set", tmp_path / "local", shards=3)
    assert convert(str(tmp_path / "set"), str(tmp_path / "beam"), None, Settings(shards=3), DIRECT) == info
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_splits_join_those_that_are_there(tree, tmp_path):
    def by_pipeline(splits, overwrite=False):
        convert(str(tree), str(tmp_path / "beam"), splits, Settings(shards=2), DIRECT, overwrite=overwrite)

    for splits, overwrite in ((["test", "valid"], False), (["train"], False), (["test"], True)):
        writer.convert(tree, tmp_path / "local", splits, shards=2, overwrite=overwrite)
        by_pipeline(splits, overwrite)
    with pytest.raises(ConfigError, match="test: already there"):
        by_pipeline(["test"])
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_bad_images_stop_it_and_leave_nothing(tree, tmp_path):
    for path in sorted((tree / "train").rglob("*.png"))[::5]:
        path.write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"0-0-0-.*is not an image.*; and bad images in 2 more files$"):
        convert(str(tree), str(tmp_path / "beam"), ["train"], Settings(shards=6), DIRECT)
    assert not (tmp_path / "beam").exists()


def test_bad_images_are_skipped_as_the_local_command_skips_them(tree, tmp_path):
    for path in sorted((tree / "train").rglob("*.png"))[:2]:  # all of one file of records
        path.write_bytes(b"not an image")
    chosen = {"shards": 6, "on_error": "skip"}
    info = writer.convert(tree, tmp_path / "local", ["train"], **chosen)
    assert convert(str(tree), str(tmp_path / "beam"), ["train"], Settings(**chosen), DIRECT) == info
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_an_image_that_cannot_be_read_is_no_bad_image(tree, toy, monkeypatch):
    monkeypatch.setattr(ToyFileSystem, "broken", [".png"])
    with pytest.raises(ValueError, match=r"toy://tree/.*\.png: no connection"):
        convert("toy://tree", str(toy / "beam"), ["train"], Settings(on_error="skip"), DIRECT)
    assert not (toy / "beam").exists()


def test_an_address_with_records_is_left_alone(tree, toy):
    (toy / "beam").mkdir()
    (toy / "beam/info.json").write_text("{}")
    with pytest.raises(ConfigError, match="toy://beam: holds records already; give another address"):
        convert("toy://tree", "toy://beam", None, Settings(), DIRECT)
    assert json.loads((toy / "beam/info.json").read_text()) == {}


@pytest.mark.parametrize(
    ("root", "words"),
    [("toy://nothing", "toy://nothing: no files here"), ("toy://odd", "toy://odd: "), ("none://x", "cannot be listed")],
)
def test_a_wrong_address_is_told_by_its_name(toy, root, words):
    (toy / "odd").mkdir()
    (toy / "odd/a.bin").touch()
    with pytest.raises(ValueError, match=words) as error:
        convert(root, str(toy / "beam"), None, Settings(), DIRECT)
    assert "/tmp" not in str(error.value).replace(str(toy), "")


def test_a_video_is_refused(tree, tmp_path):
    with pytest.raises(ConfigError, match="--video: goes without --runner"):
        convert(str(tree), str(tmp_path / "x"), None, Settings(), DIRECT, options=Options(video=tmp_path / "v.mp4"))


@pytest.mark.parametrize(
    ("runner", "options", "words"),
    [
        ("NoRunner", [], "--runner NoRunner: .*DirectRunner"),
        ("DirectRunner", ["--direct_num_workers=many"], "Beam does not take --direct_num_workers=many"),
        ("DirectRunner", ["project=x"], "expected options of the runner, such as --project=NAME, received 'project=x'"),
    ],
)
def test_a_wrong_runner_is_told(runner, options, words):
    with pytest.raises(ConfigError, match=words):
        check_runner(runner, options)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        console.run(app, list(map(str, arguments)))
    return left.value.code, *capsys.readouterr()


def test_the_command_hands_options_on(tree, toy, capsys):
    local = tree, toy / "local", "--shards", 2
    _, _, said = run(capsys, *local)
    direct = ("--runner", "DirectRunner", "--", "--direct_num_workers=1")
    code, out, told = run(capsys, "toy://tree", "toy://beam", "--shards", 2, *direct)
    assert (code, out) == (0, "toy://beam\n"), told
    assert told.splitlines()[-4:] == said.splitlines()[-4:]
    assert files(toy / "beam") == files(toy / "local")


def test_a_wrong_option_is_told(tree, tmp_path, capsys):
    code, _, said = run(capsys, tree, tmp_path / "x", "--runner=DirectRunner", "--", "--direct_num_workers=x")
    assert (code, said) == (2, "error: --runner DirectRunner: Beam does not take --direct_num_workers=x\n")
