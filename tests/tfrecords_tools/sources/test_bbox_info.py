import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfrecords_tools.naming import parse_name
from tfrecords_tools.sources.bbox_info import check_labels, find_label_files

NAMES = [
    "0-0-5-0-Player_team_left-9-000r000_0a-12x6.png",
    "1-0-6-0-Main_referee-None-07aa00020045669b0007-12x6.png",
    "2-1-7-3-Player_team_right-b-000r001_0c-12x6.png",
    "3-1-7-4-Player_team_right-b-000r001_0d-12x6.png",
    "4-1-7-5-Player_team_right-b-000r001_0e-12x6.png",
]


def found(names=NAMES):
    return {int(name.split("-")[0]): SimpleNamespace(thumbnail=parse_name(name), path=Path(name)) for name in names}


def entries():
    keys = ("bbox_idx", "action_idx", "person_uid", "frame_idx", "clazz", "id", "UAI")
    rows = {}
    for name in NAMES:
        values = name.split("-")
        rows[values[0]] = dict(zip(keys, [*map(int, values[:4]), *values[4:7]], strict=True)) | {
            "relative_path": "england/2014-2015/A - B/0",
            "height": 12,
            "width": 6,
        }
    return rows


def check(tmp_path, content, **subsets):
    path = tmp_path / "bbox_info.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    check_labels(path, subsets)


def test_flat_list_of_the_training_set(tmp_path):
    check(tmp_path, entries(), train=found())


def test_a_byte_order_mark_is_read_over(tmp_path):
    check(tmp_path, "\ufeff" + json.dumps(entries()), train=found())


def test_list_by_subset(tmp_path):
    check(tmp_path, {"query": entries(), "gallery": {}}, query=found(), gallery={})


def test_wrong_subset_is_not_taken_for_the_other(tmp_path):
    with pytest.raises(ValueError, match="5 of 5 gallery entries have no thumbnail"):
        check(tmp_path, {"query": entries(), "gallery": entries()}, query=found(), gallery={})


@pytest.mark.parametrize(
    "key, value",
    [
        ("bbox_idx", 1),
        ("action_idx", 1),
        ("person_uid", 6),
        ("frame_idx", 9),
        ("clazz", "Player_team_right"),
        ("id", "10"),
        ("id", None),
        ("UAI", "000r000_0b"),
    ],
)
def test_label_that_differs(tmp_path, key, value):
    content = entries()
    content["0"][key] = value
    with pytest.raises(ValueError, match=rf"1 of 5 train labels differ from the file names \({key} .* but {NAMES[0]}"):
        check(tmp_path, content, train=found())


@pytest.mark.parametrize(
    "bbox, key, value",
    [
        ("0", "person_uid", "5"),
        ("1", "id", None),
        ("1", "UAI", "07aa_00020045669b0007"),
        ("0", "clazz", "Player team left"),
        ("0", "relative_path", "elsewhere"),
        ("0", "height", 13),
    ],
)
def test_spelling_that_does_not_matter(tmp_path, bbox, key, value):
    content = entries()
    content[bbox][key] = value
    check(tmp_path, content, train=found())


def test_key_that_is_absent_is_not_compared(tmp_path):
    content = entries()
    del content["0"]["person_uid"]
    check(tmp_path, content, train=found())


def test_withheld_labels_are_not_compared(tmp_path):
    content = {"query": {"0": entries()["0"]}, "gallery": {}}
    check(tmp_path, content, query=found(["0-0-12x6.png"]), gallery={})
    with pytest.raises(ValueError, match="1 of 1 query labels differ"):
        check(tmp_path, content, query=found(["0-1-12x6.png"]), gallery={})


def test_archive_unpacked_in_part(tmp_path):
    with pytest.raises(ValueError, match=r"4 of 5 train entries have no thumbnail on disk \(.*/1-\.+, .*/2-.*, \.+\)"):
        check(tmp_path, entries(), train=found(NAMES[:1]))


def test_thumbnail_without_entry(tmp_path):
    content = entries()
    del content["2"]
    with pytest.raises(ValueError, match=rf"1 of 5 train thumbnails have no entry \({NAMES[2]}\)"):
        check(tmp_path, content, train=found())


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"a": {}}', '{"0": 3}', '{"0": []x}', '{"query": {}}'])
def test_file_that_is_no_list(tmp_path, content):
    with pytest.raises(ValueError, match=r"bbox_info\.json: not a list of labels"):
        check(tmp_path, content, train=found())


def test_list_without_a_subset(tmp_path):
    with pytest.raises(ValueError, match=r"not a list of labels, KeyError: 'gallery'; expected \{\"query\""):
        check(tmp_path, {"query": entries()}, query=found(), gallery={})


def test_files_are_found_under_both_names(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    assert find_label_files(folder) == []
    for name in ("bbox_info.json", "train_bbox_info.json", "test_bbox_info.json"):
        (folder / name).touch()
    assert [path.name for path in find_label_files(folder)] == ["bbox_info.json", "train_bbox_info.json"]
