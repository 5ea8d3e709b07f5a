import json
import shutil

import numpy as np
import pytest
from tiny_tree import LISTS, write_thumbnail, write_tree

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.fraction import limit_actions
from tfrecords_tools.naming import parse_name
from tfrecords_tools.sources.soccernet import SPLITS, find_root, find_splits, scan
from tfrecords_tools.sources.thumbnails import ByIndex


def summary(entries):
    return [(e.thumbnail.action, e.subset, e.thumbnail.bbox, e.thumbnail.person) for e in entries]


def remove(folder, pattern):
    for path in list(folder.rglob(pattern)):
        path.unlink()


# === Whole trees ===


def test_thumbnails_come_by_action_query_first_then_index(tree):
    assert summary(scan(tree, "valid")) == [
        (0, "query", 0, 10),
        (0, "gallery", 0, 10),
        (0, "gallery", 1, 11),
        (1, "query", 1, 12),
        (1, "gallery", 2, 12),
    ]


def test_order_does_not_follow_the_text_of_names(tmp_path):
    write_tree(tmp_path, {"train": [("train", action, 0) for action in (10, 9, 2, 2, 10, 2, 2, 2, 2, 2, 2, 2)]})
    ordered = [(e.thumbnail.action, e.thumbnail.bbox) for e in scan(tmp_path, "train")]
    assert ordered == sorted(ordered)
    assert ordered[0] == (2, 2)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_carries_its_files_and_games(tree, split):
    entries = scan(tree, split)
    assert len(entries) == len(LISTS[split])
    assert {e.split for e in entries} == {split}
    assert {e.game for e in entries} == {"" if split == "challenge" else "england/2014-2015/A 1 - 0 B"}
    assert all(e.path.is_file() for e in entries)


def test_challenge_labels_are_withheld(tree):
    thumbnail = scan(tree, "challenge")[0].thumbnail
    assert (thumbnail.person, thumbnail.frame, thumbnail.role, thumbnail.jersey, thumbnail.uai) == (None,) * 5


def test_root_may_hold_the_splits_itself_or_in_reid(tree):
    assert find_root(tree) == find_root(tree / "reid") == tree / "reid"
    assert summary(scan(tree, "test")) == summary(scan(str(tree / "reid"), "test"))
    assert find_splits(tree / "reid") == list(SPLITS)


def test_junk_and_other_files_are_left_out_and_told(tree, caplog):
    before = summary(scan(tree, "valid"))
    image = scan(tree, "valid")[0].path
    for junk in (image.parent / f"._{image.name}", image.parent / ".DS_Store", image.parent / "notes.txt"):
        junk.write_bytes(b"junk")
    for hidden in ("__MACOSX", ".cache"):
        (tree / "reid/valid/query" / hidden).mkdir()
        (tree / "reid/valid/query" / hidden / "x.png").write_bytes(b"junk")
    (tree / "reid/valid/query/empty/folder").mkdir(parents=True)
    assert caplog.messages == []  # the lists beside the thumbnails are no junk
    assert summary(scan(tree, "valid")) == before
    (message,) = caplog.messages
    assert message.startswith(f"{tree}/reid/valid/query: skipped 5: .cache (hidden), __MACOSX (hidden), england/")
    assert "notes.txt (not .png)" in message


def test_links_to_folders_are_followed(tree, tmp_path):
    shutil.move(tree / "reid/valid/gallery/england", tmp_path / "disk2")
    (tree / "reid/valid/gallery/england").symlink_to(tmp_path / "disk2")
    assert len(scan(tree, "valid")) == len(LISTS["valid"])


def test_entries_are_made_of_their_files_whenever_they_are_asked_for(tree):
    entries = scan(tree, "valid")
    made = list(entries)
    assert [entries[row] for row in range(-5, 5)] == made * 2
    assert list(entries[1:4]) == made[1:4]
    assert list(entries[::-2]) == made[::-2]
    assert [entry.thumbnail for entry in made] == [parse_name(entry.path.name) for entry in made]
    assert [tree / "reid" / entry.source for entry in made] == [entry.path for entry in made]
    assert entries.actions.tolist() == [entry.thumbnail.action for entry in made]
    with pytest.raises(IndexError):
        entries[5]


def test_a_list_by_index_is_that_of_its_entries(tree):
    entries = scan(tree, "train")
    by_index = ByIndex(entries)
    assert dict(by_index) == {entry.thumbnail.bbox: entry for entry in entries}
    assert 6 not in by_index
    assert -1 not in by_index


# === A part of the training set ===


@pytest.mark.parametrize(
    "actions, fraction, kept",
    [
        (10, 0.1, 1),
        (10, 0.11, 2),
        (10, 1.0, 10),
        (10, 0.05, 1),
        (100, 0.07, 7),  # in floating point 100 * 0.07 is 7.000000000000001, which would keep 8
        (100, 0.29, 29),  # and 100 * 0.29 is 28.999999999999996
        (184, 0.5, 92),
        (3, 1e-9, 1),
    ],
)
def test_fraction_keeps_actions_below_its_share(tmp_path, actions, fraction, kept):
    write_tree(tmp_path, {"train": [("train", action, 0) for action in range(actions)]})
    assert [e.thumbnail.action for e in scan(tmp_path, "train", fraction)] == list(range(kept))


def test_fraction_goes_by_the_last_index_not_by_the_count(tree):
    # Actions 0, 1, 3: half of (3 + 1) keeps 0 and 1.
    assert {e.thumbnail.action for e in scan(tree, "train", 0.5)} == {0, 1}


@pytest.mark.parametrize("fraction, kept", [(0.1, 919), (0.02, 184), (1, 9190), (np.float32(0.1), 919)])
def test_fraction_at_the_real_size(fraction, kept):
    # The last training action has index 9,189; the paper's 10 % and 2 %.
    assert limit_actions(9189, fraction) == kept


@pytest.mark.parametrize("fraction", [0, -0.1, 1.0001, 10, float("nan"), float("inf"), "0.1", None, True])
def test_fraction_outside_its_range_is_refused(tree, fraction):
    with pytest.raises(ConfigError, match=r"fraction: expected a number in \(0, 1\]"):
        scan(tree, "train", fraction)


def test_fraction_is_for_training_only(tree):
    with pytest.raises(ConfigError, match="only the training set"):
        scan(tree, "valid", 0.5)


def test_fraction_that_keeps_nothing(tmp_path):
    write_tree(tmp_path, {"train": [("train", 9, 0)]})
    with pytest.raises(ConfigError, match="take a larger fraction"):
        scan(tmp_path, "train", 0.1)


# === What is missing or wrong ===


def test_unknown_split(tree):
    with pytest.raises(ConfigError, match="split: expected one of train, valid, test, challenge, received 'vaild'"):
        scan(tree, "vaild")


def test_missing_root(tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such folder; expected a folder with train, valid"):
        find_root(tmp_path / "nowhere")


def test_root_that_is_a_file(tmp_path):
    (tmp_path / "train.zip").touch()
    with pytest.raises(ConfigError, match=r"train\.zip: not a folder"):
        find_root(tmp_path / "train.zip")


@pytest.mark.parametrize(
    "inside, hint",
    [
        ([], "found nothing"),
        (["a", "b"], "found a, b"),
        (["valid.zip", "train.zip"], "unzip train.zip, valid.zip first"),
    ],
)
def test_root_without_splits_says_what_it_found(tmp_path, inside, hint):
    for name in inside:
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=hint):
        find_root(tmp_path)


def test_missing_split_names_those_found(tree):
    shutil.rmtree(tree / "reid/test")
    with pytest.raises(ConfigError, match="split 'test' is missing; found only train, valid, challenge"):
        scan(tree, "test")


def test_missing_subset(tree):
    shutil.rmtree(tree / "reid/valid/gallery")
    with pytest.raises(ValueError, match=r"valid/gallery: the gallery folder of split 'valid' is missing"):
        scan(tree, "valid")


@pytest.mark.parametrize("split, subset", [("train", ""), ("valid", "query"), ("challenge", "gallery")])
def test_empty_split(tree, split, subset):
    remove(tree / "reid" / split / subset, "*.png")
    with pytest.raises(ValueError, match=rf"{split}/?{subset}: split '{split}' is empty, no \*\.png here"):
        scan(tree, split)


def test_empty_split_says_what_it_found(tree):
    for path in (tree / "reid/challenge/query").iterdir():
        path.rename(path.with_suffix(".webp"))
    with pytest.raises(ValueError, match=r"empty, no \*\.png here \(skipped 1: 0.*\.webp \(not \.png\)\); was"):
        scan(tree, "challenge")


def test_name_of_neither_convention(tree):
    bad = scan(tree, "train")[0].path.with_name("holiday.png")
    bad.touch()
    with pytest.raises(ValueError, match=r"/0/holiday\.png: the file name fits neither form") as refused:
        scan(tree, "train")
    assert str(bad) in str(refused.value)


def test_challenge_name_in_a_labelled_split(tree):
    scan(tree, "train")[0].path.with_name("99-0-12x6.png").touch()
    with pytest.raises(ValueError, match=r"99-0-12x6\.png: the file name has no labels"):
        scan(tree, "train")


def test_split_unpacked_one_folder_too_deep(tree):
    shutil.move(tree / "reid/train", tree / "reid/inner")
    (tree / "reid/train").mkdir()
    shutil.move(tree / "reid/inner", tree / "reid/train/train")
    with pytest.raises(ValueError, match=r"out of place; expected .*/train/<championship>/<season>/<game>/<action>/\*"):
        scan(tree, "train")


def test_challenge_in_folders(tree):
    write_thumbnail(tree / "reid", "test", "query", 7, 0, 0)
    shutil.move(tree / "reid/test/query/england", tree / "reid/challenge/query/england")
    with pytest.raises(ValueError, match=r"out of place; expected .*challenge/query/\*\.png"):
        scan(tree, "challenge")


def test_index_twice_in_a_list(tree):
    first = scan(tree, "train")[0]
    twin, _ = write_thumbnail(tree / "reid", "train", "train", first.thumbnail.bbox, 7, 70)
    with pytest.raises(ValueError, match="bbox index 0 is also that of") as refused:
        scan(tree, "train")
    assert str(twin) in str(refused.value)
    assert str(first.path) in str(refused.value)


def test_link_that_leads_back_is_left_out(tree, caplog):
    (tree / "reid/train/loop").symlink_to(tree / "reid/train")
    assert len(scan(tree, "train")) == len(LISTS["train"])
    assert "reid/train: skipped 1: loop (leads to a folder seen already)" in caplog.text


def test_gap_in_the_indices_is_told(tree, caplog):
    (tree / "reid/train/train_bbox_info.json").unlink()
    entries = {e.thumbnail.bbox: e for e in scan(tree, "train")}
    assert caplog.messages == []
    entries[1].path.unlink()
    entries[3].path.unlink()
    assert len(scan(tree, "train")) == 4
    assert len(caplog.messages) == 1
    assert "2 of the train indices 0..5 have no thumbnail, first 1" in caplog.messages[0]


def test_label_lists_are_compared_under_either_name(tree):
    folder = tree / "reid/test"
    (folder / "bbox_info.json").rename(folder / "test_bbox_info.json")
    content = json.loads((folder / "test_bbox_info.json").read_text())
    content["query"]["0"]["person_uid"] = 999
    (folder / "test_bbox_info.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"test_bbox_info\.json: 1 of 1 query labels differ"):
        scan(tree, "test")
