"""The drawn set: the real set's layout, labels, mix of people and difficulty; the same bytes for the same arguments."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.locks import LOCK_NAME
from tfrecords_tools.naming import parse_name
from tfrecords_tools.sources.soccernet import scan
from tfrecords_tools.synthetic import tree as synthetic
from tfrecords_tools.synthetic.tree import draw, sheet

ACTIONS = {"train": 5, "valid": 2, "test": 9, "challenge": 2}
GAME = r"[a-z_]+/\d{4}-\d{4}/\d{4}-\d\d-\d\d - \d\d-00 [A-Z][\w ]+ \d - \d [A-Z][\w ]+/\d+"
LABELLED = r"\d+-\d+-\d+-\d+-[A-Za-z_]+-(\d+|[a-z]|None)-[0-9a-z]+_?[0-9a-f]+-\d+x\d+\.png"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "set", ACTIONS, seed=3)


@pytest.fixture(scope="module")
def entries(tree):
    return {split: scan(tree.parent, split) for split in ACTIONS}


def labelled(entries):
    return [entry for split in ("train", "valid", "test") for entry in entries[split]]


def digest(root, pattern="*"):
    """Every file below `root` by relative path, with a hash of its bytes."""
    files = sorted(path for path in Path(root).rglob(pattern) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# === Layout ===


def test_every_file_stands_where_the_real_set_has_it(tree):
    allowed = {
        "train": rf"train/(train_bbox_info\.json|{GAME}/{LABELLED})",
        "valid": rf"valid/(bbox_info\.json|(query|gallery)/{GAME}/{LABELLED})",
        "test": rf"test/(bbox_info\.json|(query|gallery)/{GAME}/{LABELLED})",
        "challenge": r"challenge/(query|gallery)/\d+-\d+-\d+x\d+\.png",
    }
    names = list(digest(tree))
    assert {name.split("/")[0] for name in names} == set(ACTIONS)
    for name in names:
        assert re.fullmatch(allowed[name.split("/")[0]], name), name
    assert [path.name for path in tree.parent.iterdir()] == ["reid"]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_label_lists_hold_what_the_files_say(tree, entries, split):
    lists = json.loads((tree / split / f"{'train_' * (split == 'train')}bbox_info.json").read_text())
    lists = {"train": lists} if split == "train" else lists
    files = defaultdict(dict)
    for entry in entries[split]:
        files[entry.subset][entry.thumbnail.bbox] = entry
    for subset, by_index in files.items():
        assert list(lists[subset]) == [str(bbox) for bbox in range(len(by_index))]
        for bbox, entry in by_index.items():
            one = entry.thumbnail
            place = tree / split if split == "train" else tree / split / subset
            assert lists[subset][str(bbox)] == {
                "bbox_idx": bbox,
                "action_idx": one.action,
                "person_uid": one.person,
                "frame_idx": one.frame,
                "clazz": one.role,
                "id": str(one.jersey),
                "UAI": one.uai,
                "relative_path": str(entry.path.parent.relative_to(place)),
                "height": one.height,
                "width": one.width,
            }


@pytest.mark.parametrize("split", list(ACTIONS))
def test_indices_follow_the_actions(entries, split):
    for subset in {entry.subset for entry in entries[split]}:
        listed = sorted((entry.thumbnail for entry in entries[split] if entry.subset == subset), key=lambda t: t.bbox)
        actions = [thumbnail.action for thumbnail in listed]
        assert actions == sorted(actions)
        assert set(actions) == set(range(ACTIONS[split]))
        assert [thumbnail.bbox for thumbnail in listed] == list(range(len(listed)))


def test_pictures_have_the_size_their_name_says(entries):
    heights = []
    for entry in (entry for split in entries.values() for entry in split):
        with Image.open(entry.path) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            assert image.size == (entry.thumbnail.width, entry.thumbnail.height)
        assert 40 <= entry.thumbnail.height <= 250
        assert 20 <= entry.thumbnail.width <= 110
        heights.append(entry.thumbnail.height)
    assert 105 < np.median(heights) < 140  # 123 in the real set


def test_challenge_set_withholds_its_labels(tree):
    assert not list((tree / "challenge").rglob("*.json"))
    for path in (tree / "challenge").rglob("*.png"):
        assert parse_name(path.name).person is None


# === People ===


def test_a_person_belongs_to_one_action_of_one_split(entries):
    homes = defaultdict(set)
    for entry in labelled(entries):
        homes[entry.thumbnail.person].add((entry.split, entry.thumbnail.action))
    assert all(len(home) == 1 for home in homes.values())


def test_a_person_has_one_role_and_one_shirt_number_and_one_box_a_frame(entries):
    faces, frames = defaultdict(set), Counter()
    for entry in labelled(entries):
        one = entry.thumbnail
        faces[one.person].add((one.role, one.jersey))
        frames[entry.split, one.person, one.frame] += 1
    assert all(len(face) == 1 for face in faces.values())
    assert max(frames.values()) == 1


def test_no_two_people_of_an_action_share_role_and_number(entries):
    owners = defaultdict(set)
    for entry in labelled(entries):
        one = entry.thumbnail
        if one.jersey and not (one.role.startswith("Goalkeeper") and one.jersey.isdigit()):
            owners[entry.split, one.action, one.role, one.jersey].add(one.person)
    assert all(len(people) == 1 for people in owners.values())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_query_is_the_action_frame_and_has_a_match_in_a_replay(entries, split):
    frames = defaultdict(set)
    for entry in entries[split]:
        frames[entry.thumbnail.action].add(entry.thumbnail.frame)
    matches, seen = defaultdict(list), set()
    for entry in entries[split]:
        if entry.subset == "gallery":
            matches[entry.thumbnail.action, entry.thumbnail.person].append(entry.thumbnail.frame)
    for entry in (entry for entry in entries[split] if entry.subset == "query"):
        one = entry.thumbnail
        first = min(frames[one.action])
        assert one.frame == first
        assert matches[one.action, one.person], one
        assert first not in matches[one.action, one.person]
        assert one.person not in seen  # one query a person
        seen.add(one.person)
    alone = {person for _, person in matches} - seen
    assert alone  # people without a match fill the gallery


def test_both_forms_of_the_annotation_identifier_occur(entries):
    forms = Counter("_" in entry.thumbnail.uai for entry in labelled(entries))
    assert forms[True] > forms[False] > 0
    for split in ("train", "valid", "test"):
        for subset in ("train", "query", "gallery"):
            names = [entry.thumbnail.uai for entry in entries[split] if entry.subset == subset]
            assert len(set(names)) == len(names)


# === Difficulty ===


def mean_average_precision(vectors, entries):
    """Action-restricted mAP as the protocol says it, query by query."""
    scores = []
    for i, query in enumerate(entries):
        if query.subset != "query":
            continue
        rows = [j for j, one in enumerate(entries) if one.subset == "gallery"]
        rows = [j for j in rows if entries[j].thumbnail.action == query.thumbnail.action]
        rows.sort(key=lambda j: float(((vectors[j] - vectors[i]) ** 2).sum()))
        hits = [entries[j].thumbnail.person == query.thumbnail.person for j in rows]
        precisions = [sum(hits[: k + 1]) / (k + 1) for k, hit in enumerate(hits) if hit]
        scores.append(sum(precisions) / len(precisions))
    return float(np.mean(scores))


def test_pixels_alone_beat_chance_but_do_not_solve_the_set(entries):
    test = entries["test"]
    generator = np.random.default_rng(0)
    chance = np.mean([mean_average_precision(generator.normal(size=(len(test), 4)), test) for _ in range(5)])
    tiny = np.stack([np.asarray(Image.open(one.path).resize((4, 8), Image.Resampling.BOX), float) for one in test])
    pixels = mean_average_precision(tiny, test)
    assert 0.1 < chance < 0.35  # 0.19 in the real set
    assert chance + 0.04 < pixels < 0.55


# === Same arguments, same bytes ===

SMALL = {"valid": 2, "challenge": 1}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return digest(draw(tmp_path_factory.mktemp("small"), SMALL, seed=5))


def test_another_process_order_and_hash_seed_draw_the_same_bytes(small, tmp_path):
    code = "import sys; from tfrecords_tools.synthetic import draw; draw(sys.argv[1], {'challenge': 1, 'valid': 2}, 5)"
    settings = os.environ | {"PYTHONHASHSEED": "271828"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=settings, timeout=120)
    assert digest(tmp_path / "again" / "reid") == small


def test_several_workers_draw_the_same_bytes(small, tmp_path):
    assert digest(draw(tmp_path, SMALL, seed=5, workers=2)) == small


def test_another_seed_draws_another_set(small, tmp_path):
    other = digest(draw(tmp_path, SMALL, seed=6))
    assert not {value for name, value in other.items() if name.endswith("png")} & set(small.values())


def test_more_actions_begin_with_the_same_pictures(small, tmp_path):
    longer = digest(draw(tmp_path, {"valid": 3}, seed=5), "*.png")
    first = {name: value for name, value in small.items() if re.match(r"valid/.*\.png", name)}
    assert first.items() < longer.items()


# === Arguments and failures ===


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"actions": {"trian": 1}}, "received 'trian'"),
        ({"actions": {}}, "actions: expected a number for at least one of train"),
        ({"actions": {"train": 0}}, r"actions\['train'\]: expected a whole number from 1 up, received 0"),
        ({"actions": {"test": -3}}, r"actions\['test'\].* received -3; leave a split out"),
        ({"actions": {"test": 2.0}}, r"received 2\.0"),
        ({"actions": {"test": True}}, "received True"),
        ({"actions": {"test": 1}, "seed": -1}, "seed: expected a whole number from 0 up, received -1"),
        ({"actions": {"test": 1}, "workers": 0}, "workers: expected a whole number from 1 up, received 0"),
    ],
)
def test_arguments_it_cannot_follow(tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        draw(tmp_path / "set", **arguments)
    assert not (tmp_path / "set").exists()


def test_root_must_be_a_missing_or_empty_folder(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    for taken in (tmp_path / "full", tmp_path / "full" / "thesis.txt"):
        with pytest.raises(ConfigError, match=re.escape(str(taken))):
            draw(taken, {"valid": 1})
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years of work"
    assert len(list((tmp_path / "full").iterdir())) == 1


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_left_when_drawing_fails(tmp_path, monkeypatch, exists):
    drawn = []

    def stumble(*arguments):
        drawn.append(arguments)
        if len(drawn) == 4:
            raise OSError("disk full")
        return Image.new("RGB", (30, 60))

    monkeypatch.setattr(synthetic, "draw_crop", stumble)
    root = tmp_path / "set"
    if exists:
        root.mkdir()
    with pytest.raises(OSError, match="disk full"):
        draw(root, {"train": 2})
    assert len(drawn) == 4
    assert list(tmp_path.rglob("*")) == ([root] if exists else [])


def test_what_a_killed_drawing_left_is_removed_and_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(synthetic, "draw_crop", lambda *_: Image.new("RGB", (30, 60)))
    (tmp_path / ".reid-incomplete" / "train").mkdir(parents=True)
    (tmp_path / LOCK_NAME).touch()
    draw(tmp_path, {"test": 1})
    assert caplog.messages == [f"{tmp_path}/.reid-incomplete: removed, it was left by a run that was killed"]
    assert [path.name for path in tmp_path.iterdir()] == ["reid"]
    assert not (tmp_path / "reid" / "train").exists()


def test_a_drawing_that_is_under_way_is_left_alone(tmp_path, monkeypatch):
    def second(*arguments):
        with pytest.raises(ConfigError, match=r"another kreid-convert --synthetic \(process \d+ on .* is at work"):
            draw(tmp_path, {"test": 1})
        return Image.new("RGB", (30, 60))

    monkeypatch.setattr(synthetic, "draw_crop", second)
    draw(tmp_path, {"test": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["reid"]


def test_without_locks_a_leftover_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *arguments: (_ for _ in ()).throw(OSError(errno.ENOSYS, "no locks")))
    (tmp_path / ".reid-incomplete").mkdir()
    with pytest.raises(ConfigError, match=r"\.reid-incomplete: left by a run that was killed, or one under way"):
        draw(tmp_path, {"test": 1})
    assert (tmp_path / ".reid-incomplete").is_dir()


def test_a_set_that_is_there_already_can_be_converted(tmp_path):
    (tmp_path / "reid").mkdir()
    with pytest.raises(ConfigError, match="found reid; give another one, or leave out --synthetic"):
        draw(tmp_path, {"test": 1})


def test_a_full_disk_names_the_folder(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(synthetic, "draw_crop", fail)
    with pytest.raises(OSError, match="No space left") as failure:
        draw(tmp_path, {"test": 1})
    assert failure.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_ends_when_its_parent_has_died(monkeypatch):
    died, left = threading.Event(), threading.Event()
    monkeypatch.setattr(synthetic, "parent_process", lambda: SimpleNamespace(join=lambda: died.wait(60)))
    monkeypatch.setattr(os, "_exit", lambda code: left.set())
    synthetic.end_with_parent()
    assert not left.is_set()
    died.set()
    assert left.wait(60)


def test_every_worker_waits_for_the_death_of_its_parent(tmp_path, monkeypatch):
    class Pool:
        def __init__(self, workers, context, initializer):
            assert initializer is synthetic.end_with_parent
            assert context.get_start_method() == "spawn"

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

        map = staticmethod(map)

    monkeypatch.setattr(synthetic, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(synthetic, "draw_crop", lambda *_: Image.new("RGB", (30, 60)))
    draw(tmp_path, {"test": 1}, workers=3)


def test_progress_counts_actions(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "draw_crop", lambda *_: Image.new("RGB", (30, 60)))
    calls = []
    root = draw(str(tmp_path / "deep" / "set"), {"test": 2, "train": 1}, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert root == tmp_path / "deep" / "set" / "reid"


# === Contact sheet ===


@pytest.fixture
def patches(tmp_path):
    """Plain pictures of person 7 (red, two views), person 9 (blue); file order differs from the order of people."""
    folder = tmp_path / "patches"
    folder.mkdir()
    for bbox, person, colour in ((0, 9, "blue"), (1, 7, "red"), (2, 7, "red")):
        name = f"{bbox}-0-{person}-0-Player_team_left-a-000r000_0-40x20.png"
        Image.new("RGB", (20, 40), colour).save(folder / name)
    return folder


def test_sheet_puts_views_of_a_person_side_by_side(patches):
    page = sheet(patches, columns=2, height=32)
    cell = 32 * 5 // 8 + 2
    assert page.size == (2 * cell, 2 * 34)
    colours = [page.getpixel((x * cell + cell // 2, y * 34 + 16)) for y in (0, 1) for x in (0, 1)]
    assert colours[:3] == [(255, 0, 0), (255, 0, 0), (0, 0, 255)]
    assert colours[3] not in colours[:3]


def test_sheet_keeps_the_order_of_a_list(patches):
    page = sheet(sorted(patches.iterdir()), height=32)
    assert page.getpixel((11, 16)) == (0, 0, 255)


@pytest.mark.parametrize("height", [30, 200])
def test_sheet_shows_wide_pictures_too(tmp_path, height):
    Image.new("RGB", (300, 40), "red").save(tmp_path / "wide.png")
    page = sheet([tmp_path / "wide.png"], height=height)
    assert page.size == (height * 5 // 8 + 2, height + 2)
    assert page.getpixel((1, 1)) == (255, 0, 0)


def test_sheet_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="found none"):
        sheet(tmp_path)
    with pytest.raises(ValueError, match="received 0 and 128"):
        sheet([tmp_path / "x.png"], columns=0)
