"""What the commands say where there are no records, all alike and before TensorFlow loads."""

import importlib

import pytest
from sets import write_images
from tiny_runs import invoke

from kreid.cli import embed, evaluate
from tfrecords_tools.writer import convert

COMMANDS = {
    "train": ["{config}", "--out", "new"],
    "batch": ["{config}", "--out", "new.png"],
    "tune": ["{config}", "--out", "new", "--space", "{config}"],
    "evaluate": ["{run}"],
    "rank": ["{run}"],
    "compare": ["{run}"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_records_are_told_alike(command, run_folder, records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"kreid.cli.{command}")
    monkeypatch.setattr(module, "load_tensorflow", None, raising=False)  # calling it would fail
    (tmp_path / "empty" / "train").mkdir(parents=True)
    (tmp_path / "filmed").mkdir()
    (tmp_path / "filmed" / "valid").symlink_to(records / "valid")
    (tmp_path / "file").touch()
    other, split = ("test", "train") if command in ("train", "batch", "tune") else ("train", "test")
    arguments = [one.format(config=run_folder / "config.yaml", run=run_folder) for one in COMMANDS[command]]
    for data, message in (
        ("nowhere", "no such folder; give the one that kreid-convert wrote"),
        ("file", "a file, expected a folder; give the one that kreid-convert wrote"),
        ("empty", "no records in this folder; give the one that kreid-convert wrote"),
        (records / other, f"the split {other} alone, expected '{split}'; give the folder that holds it, {records}"),
        ("filmed", f"no split '{split}'; found valid"),
    ):
        code, lines, err = invoke(capsys, module.app, *arguments, "--data", data)
        assert (code, lines, err) == (2, [], f"error: --data {data}: {message}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "filmed"]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["1.png,p,a,test,gallery", "2.png,q,b,test,gallery"], "it has no queries to score: a person must be on two"),
        (["1.png,p,a,test,query", "2.png,q,b,test,gallery"], "none of its 1 queries has a match to score: a person"),
    ],
)
def test_what_cannot_be_scored_is_told_before_the_network_loads(rows, why, run_folder, tmp_path, monkeypatch, capsys):
    write_images(tmp_path, ["1.png", "2.png"])
    (tmp_path / "set.csv").write_text("\n".join(["path,person,camera,split,subset", *rows]))
    convert(tmp_path / "set.csv", tmp_path / "records")
    monkeypatch.setattr(evaluate, "load_tensorflow", None)
    code, lines, err = invoke(capsys, evaluate.app, run_folder, "--data", tmp_path / "records")
    assert (code, lines, err.count("\n")) == (1, [], 1)
    assert err.startswith(f"error: {tmp_path}/records/test: {why}")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["{records}"], "{records}: records of several splits; give one of {records}/challenge, {records}/test, "),
        (["{one}"], "{one}: records of one split; give {one}/test\n"),
        (["{records}/test", "{records}/valid"], "{records}/test: stands alone, without other crops; 2 were given\n"),
        (["{records}/test", "--endpoint", "http://127.0.0.1:9"], "--server takes images, not a folder of records\n"),
        (["nowhere"], "nowhere: no such file or folder\n"),
        (["{empty}"], "{empty}: no PNG or JPEG file in this folder, and nothing else\n"),
        (["{other}"], "{other}: no PNG or JPEG file in this folder; skipped 2: ._a.png (hidden), b.webp (not .png or"),
    ],
)
def test_embed_says_what_to_give(run_folder, records, tmp_path, monkeypatch, capsys, images, message):
    monkeypatch.setattr(embed, "load_tensorflow", None)
    places = {"records": records, "one": tmp_path / "one", "empty": tmp_path / "empty"}
    places["other"] = tmp_path / "other"
    for name in ("empty", "other"):
        places[name].mkdir()
    for name in ("b.webp", "._a.png"):
        (places["other"] / name).touch()
    (places["one"] / "test").mkdir(parents=True)
    (places["one"] / "test" / "index.npz").touch()
    given = [one.format(**places) for one in images]
    code, lines, err = invoke(capsys, embed.app, run_folder, *given, "--out", tmp_path / "x.npz")
    assert (code, lines) == (2, [])
    assert message.format(**places) in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.npz").exists()
