import json
import sys

import numpy as np
import pytest
from sets import write_images, write_tracks
from tiny_tree import make_image, write_tree

from tfrecords_tools import cli
from tfrecords_tools.check import check_records
from tfrecords_tools.index import NAMES, read_index, read_info
from tfrecords_tools.records import FOOTER, HEADER, checksum, frame
from tfrecords_tools.sources.soccernet import scan
from tfrecords_tools.sources.source import Options
from tfrecords_tools.writer import convert

SET = [
    "bounding_box_train/0002_c1s1_000451_03.png",
    "bounding_box_train/0007_c2s3_001051_00.png",
    "query/0001_c1s1_001051_00.png",
    "bounding_box_test/0000_c2s1_000151_01.png",
    "bounding_box_test/0001_c5s1_001051_00.png",
]


@pytest.fixture
def records(tmp_path):
    """Records of a small set in Market-1501's form, to break."""
    write_images(tmp_path / "set", SET)
    convert(tmp_path / "set", tmp_path / "records")
    return tmp_path / "records"


def problems(records):
    return check_records(records).problems


def edit(path, **changes):
    with np.load(path) as arrays:
        content = {name: changes.get(name, array) for name, array in arrays.items()}
    np.savez(path, **content)


def rewrite(records, split, row, change):
    """Write a record anew after a change of its bytes, which keeps their number."""
    with read_index(records / split) as index:
        (record,) = index.read([row])
        path, start = index.shards[index.shard[row]], int(index.offset[row])
        checksums = index.checksum.copy()
    changed = change(record)
    assert len(changed) == len(record)
    data = bytearray(path.read_bytes())
    data[start - HEADER : start + len(record) + FOOTER] = frame(changed)
    path.write_bytes(data)
    checksums[row] = checksum(changed)
    edit(records / split / "index.npz", checksum=checksums)


@pytest.mark.parametrize("settings", [{}, {"resize": (8, 4)}, {"image_format": "jpeg"}, {"shards": 2}], ids=str)
def test_what_was_converted_is_sound(tree, tmp_path, settings):
    write_images(tmp_path / "market", SET)
    for name, root in (("a", tree), ("b", tmp_path / "market")):
        convert(root, tmp_path / name, **settings)
        found = check_records(tmp_path / name)
        assert found.problems == []
    assert found.images == {"train": 2, "test": 3}


def test_a_flipped_byte_is_found_and_the_rest_is_read(records):
    path = next((records / "test").glob("*.tfrecord"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (problem,) = problems(records)
    assert "the record is damaged, its checksum differs" in problem
    assert problem.startswith(f"{path}: action 0 bbox ")


def test_an_image_that_is_none_though_its_checksum_is_right(records):
    rewrite(records, "test", 1, lambda record: record.replace(b"IHDR", b"IHDX"))
    found = problems(records)
    assert any("bbox 0: the image is not a whole PNG or JPEG" in problem for problem in found)


def test_a_field_that_is_not_there(records):
    rewrite(records, "test", 0, lambda record: record.replace(b"\x06camera", b"\x06kamera"))
    assert [problem.partition(": action ")[2] for problem in problems(records)] == [
        "0 bbox 0: lacks the field camera, or has it in another form"
    ]


def test_what_is_no_example(records):
    rewrite(records, "train", 0, lambda record: b"\xff" * len(record))
    assert all("is no tf.train.Example" in problem for problem in problems(records))
    assert problems(records)


def test_an_index_that_says_otherwise(records):
    edit(records / "test/index.npz", camera=np.array([1, 2, 3]))
    found = problems(records)
    assert any(problem.endswith("bbox 1: camera is 5, and 3 in the index") for problem in found)


def test_counts_of_info(records):
    info = json.loads((records / "info.json").read_text())
    info["splits"]["test"] |= {"images": 9, "queries": 0}
    (records / "info.json").write_text(json.dumps(info))
    (problem,) = problems(records)
    assert problem.startswith(
        f"{records}/test: not the records that info.json beside it describes: images 3, not 9, queries 1, not 0; "
    )


def test_people_in_two_splits_and_queries_without_a_match(tmp_path):
    write_images(tmp_path / "set", [*SET, "query/0009_c1.png", "bounding_box_train/0001_c3.png"])
    convert(tmp_path / "set", tmp_path / "out")
    found = problems(tmp_path / "out")
    assert len(found) == 2
    assert "1 of 2 queries have no match, the first: " in found[0]
    assert found[1] == f"{tmp_path}/out: 1 people stand in train and in test, the first: 1"


def test_a_split_that_cannot_be_scored(tmp_path):
    crops, table = write_tracks(tmp_path)
    why = "to score: a person must be on two cameras or more, by one name on each or by a table of tracks and people"
    convert(crops, tmp_path / "out")
    assert problems(tmp_path / "out") == [f"{tmp_path}/out/test: it has no queries {why} (kreid-convert --identities)"]
    convert(crops, tmp_path / "joined", options=Options(identities=table))
    assert problems(tmp_path / "joined") == []
    write_images(tmp_path / "set", [*SET[:3], "bounding_box_test/0003_c5s1_001051_00.png"])
    convert(tmp_path / "set", tmp_path / "lonely")
    (problem,) = problems(tmp_path / "lonely")
    assert problem.startswith(f"{tmp_path}/lonely/test: none of its 1 queries has a match {why}")


def test_a_challenge_and_a_training_set_are_not_to_be_scored(tree, tmp_path):
    images = {"train": [("train", 0, 5)], "challenge": [("query", 0, 5), ("gallery", 0, 6)]}
    convert(write_tree(tmp_path / "tree", images), tmp_path / "out")
    assert problems(tmp_path / "out") == []


def test_a_person_in_two_actions(tmp_path):
    root = write_tree(tmp_path / "tree", {"train": [("train", 0, 5), ("train", 1, 5), ("train", 1, 6)]})
    convert(root, tmp_path / "out")
    assert problems(tmp_path / "out") == [f"{tmp_path}/out/train: 1 people stand in several actions, the first: 5"]


def test_a_name_that_says_another_size(tree, tmp_path):
    scan(tree, "test")[0].path.write_bytes(make_image(0, height=9, width=7))
    convert(tree, tmp_path / "out", ["test"])
    (problem,) = problems(tmp_path / "out")
    assert problem.endswith("bbox 0: its name says 12 x 6 pixels, and it has 9 x 7")


def test_a_split_that_cannot_be_opened_and_one_that_is_not_known(records):
    (records / "train/index.npz").write_bytes(b"")
    (records / "test").rename(records / "valid")
    found = problems(records)
    assert found[0].startswith(f"{records}/train/index.npz: ")
    assert found[1].startswith(f"{records}/test: no such folder of records")
    assert found[2] == f"{records}/valid: holds records that info.json does not know"


def as_version_1(records):
    """Turn a folder into what the version before left: no cameras, tracks and names, and less in info.json."""
    for path in records.glob("*/index.npz"):
        with np.load(path) as arrays:
            content = {name: array for name, array in arrays.items() if name not in ("camera", "track", *NAMES)}
        np.savez(path, **content)
    info = json.loads((records / "info.json").read_text())
    for split in info["splits"].values():
        for name in ("source", "protocol", "cameras", "tracks", "notes", "skipped"):
            del split[name]
    (records / "info.json").write_text(json.dumps(info | {"schema_version": 1}))


def test_a_split_joins_records_of_version_1(tree, tmp_path):
    out = tmp_path / "out"
    convert(tree, out, ["train"])
    as_version_1(out)
    assert problems(out) == []
    convert(tree, out, ["test"])
    info = read_info(out)
    assert info["schema_version"] == 2
    assert [split["source"] for split in info["splits"].values()] == ["soccernet", "soccernet"]
    assert [len(read_index(out / split)) for split in ("train", "test")] == [6, 3]
    assert problems(out) == []


# === The command ===


def run(monkeypatch, capsys, *args):
    monkeypatch.setattr(sys, "argv", ["kreid-convert", "check", *map(str, args)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    return left.value.code, captured.out, captured.err


def test_the_command_says_that_nothing_is_wrong(records, monkeypatch, capsys):
    code, out, err = run(monkeypatch, capsys, records)
    assert (code, out) == (0, f"{records}\n")
    assert err.splitlines()[-1] == "train: 2 images, test: 3 images: nothing wrong"


def test_the_command_lists_what_is_wrong(records, monkeypatch, capsys):
    edit(records / "test/index.npz", camera=np.array([1, 2, 3]))
    code, out, err = run(monkeypatch, capsys, records)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"error: {records}: ")
    assert "camera is 5, and 3 in the index" in err


def test_a_folder_of_something_else(tmp_path, monkeypatch, capsys):
    code, _, err = run(monkeypatch, capsys, tmp_path)
    assert code == 1
    assert err == (
        f"error: {tmp_path}/info.json: no such file; expected a folder that kreid-convert wrote, received {tmp_path}\n"
    )
    assert run(monkeypatch, capsys)[0] == 2
