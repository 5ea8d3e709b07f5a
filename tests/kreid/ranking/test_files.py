"""Ranking files: equal scores from the official scorer, every fault named, nonsense cheaply refused."""

import json
import time
import tracemalloc

import numpy as np
import pytest
from ranking_cases import CASES, bbox_info, drawn, filmed, golden, listed

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.files import read, score, to_json, write
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from kreid.ranking.truth import read_groundtruth

# === Against the official scorer ===


@pytest.mark.parametrize("levels", [None, 1], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(6))
def test_the_official_scorer_gives_the_same_figures(tmp_path, seed, levels):
    official = pytest.importorskip(
        "SoccerNet.Evaluation.ReIdentification", reason="pip install --no-deps SoccerNet brings the official scorer"
    )
    embeddings = drawn(seed, actions=12, most=20, levels=levels)
    truth = tmp_path / "bbox_info.json"
    truth.write_text(json.dumps(bbox_info(embeddings)))
    path = write(rank(embeddings), tmp_path / "ranking.json")
    expected = official.evaluate(truth, path)
    for groundtruth in (truth, embeddings, embeddings.images):
        result = score(path, groundtruth)
        assert result["mAP"] == pytest.approx(expected["mAP"], abs=1e-12)
        assert result["rank1"] == pytest.approx(expected["rank-1"], abs=1e-6)  # the scorer's is float32
    assert result == evaluate(rank(embeddings))


@pytest.mark.parametrize("fault", ["missing", "twice", "other_action", "notes", "text"])
def test_what_the_official_scorer_refuses_is_refused(tmp_path, fault):
    official = pytest.importorskip(
        "SoccerNet.Evaluation.ReIdentification", reason="pip install --no-deps SoccerNet brings the official scorer"
    )
    embeddings = drawn(1, actions=12, most=20)
    truth, path = tmp_path / "bbox_info.json", tmp_path / "ranking.json"
    truth.write_text(json.dumps(bbox_info(embeddings)))
    lists = to_json(rank(embeddings))
    key = max(lists, key=lambda key: len(lists[key]))
    other = next(entries for entries in lists.values() if not set(entries) & set(lists[key]))
    if fault == "missing":
        del lists[key]
    else:
        change = {"twice": [lists[key][1]], "other_action": [other[0]], "notes": [], "text": [str(lists[key][0])]}
        lists[key][:1] = change[fault]
    path.write_text(json.dumps(lists))
    with pytest.raises((ValueError, TypeError)):
        official.evaluate(truth, path)
    with pytest.raises(ValueError, match="ranking.json: not a ranking of these images"):
        score(path, truth)


def test_a_byte_order_mark_is_read_over(tmp_path):
    embeddings = drawn(1)
    truth, path = tmp_path / "bbox_info.json", tmp_path / "ranking.json"
    truth.write_text("\ufeff" + json.dumps(bbox_info(embeddings)), encoding="utf-8")
    path.write_text("\ufeff" + json.dumps(to_json(rank(embeddings))), encoding="utf-8")
    assert score(path, truth) == evaluate(rank(embeddings))


@pytest.mark.parametrize("case", CASES)
def test_recorded_scores_of_the_official_scorer(tmp_path, case):
    arrays, embeddings = golden(case)
    ranking = rank(embeddings, CASES[case]["metric"])
    result = score(write(ranking, tmp_path / "ranking.json"), embeddings)
    recorded = CASES[case]
    expected = recorded.get("official") or recorded["official_on_matchable_queries"]
    if not recorded["queries_with_ties"]:
        assert result["mAP"] == pytest.approx(expected["mAP"], abs=1e-12)
    assert result == evaluate(ranking)
    lists = np.split(arrays["order_flat"].tolist(), np.cumsum(arrays["order_len"])[:-1])
    kit = tmp_path / "kit.json"  # the development kit leaves a query without a gallery out
    kit.write_text(json.dumps({str(row): entries.tolist() for row, entries in enumerate(lists) if len(entries)}))
    assert score(kit, embeddings)["mAP"] == pytest.approx(expected["mAP"], abs=1e-12)


# === The file ===


def test_the_file_by_hand(tmp_path):
    embeddings = listed("-+", "+", "")
    path = write(rank(embeddings), tmp_path / "new" / "ranking.json")
    assert path.read_text() == '{"0":[0,1],"1":[100],"2":[]}'
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_scored_by_either_protocol(tmp_path):
    embeddings = filmed(3, distractors=0.1)
    path = write(rank(embeddings), tmp_path / "ranking.json")
    assert score(path, embeddings) == evaluate(rank(embeddings))
    assert score(path, embeddings, protocol="cross_camera") == evaluate(rank(embeddings, protocol="cross_camera"))
    junk = filmed(3, junk=0.2)
    path = write(rank(junk), tmp_path / "junk.json")
    assert score(path, junk, (3,), "cross_camera") == evaluate(rank(junk, protocol="cross_camera"), (3,))
    with pytest.raises(ValueError, match=r"junk.json: .* their labels are withheld"):
        score(path, junk)


@pytest.mark.parametrize("arguments", [{"protocol": "cross_camera"}, {"nearest": 3}], ids=["protocol", "nearest"])
def test_lists_that_are_not_of_the_whole_action_are_not_written(tmp_path, arguments):
    with pytest.raises(ValueError, match="ranking: expected lists of every gallery image of an action, received"):
        write(rank(filmed(3), **arguments), tmp_path / "ranking.json")
    assert not list(tmp_path.iterdir())


def test_challenge_images_are_written_and_read_but_not_scored(tmp_path):
    embeddings = drawn(0)
    labels = {name: getattr(embeddings, name) for name in ("action", "bbox", "is_query")}
    hidden = Embeddings(embeddings.vectors, np.full(len(embeddings), -1), **labels)
    path = write(rank(hidden), tmp_path / "ranking.json")
    np.testing.assert_array_equal(read(path, hidden).gallery, rank(embeddings).gallery)
    assert score(path, embeddings) == evaluate(rank(embeddings))
    with pytest.raises(
        ValueError, match=f"ranking.json: a complete ranking of {len(rank(hidden))} queries, but .*with"
    ):
        score(path, hidden)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("missing_query", {"1": None}, r"queries left out: 1 \(1\)"),
        ("unknown_query", {"17": [1]}, r"keys that are no query: 1 \('17'\)"),
        ("zero_padded_key", {"01": [100]}, r"keys that are no query: 1 \('01'\)"),
        ("duplicate", {"0": [0, 1, 1, 2]}, r"gallery images listed again: 1 \(1 of action 0 in query 0\)"),
        ("another_action", {"1": [100, 0, 1]}, r"of another action: 2 \(0 of action 0 in query 1, 1 of action 0 in q"),
        ("no_image", {"1": [100, 555]}, r"entries that are no gallery image: 1 \(555 in query 1\)"),
        ("notes", {"0": [1]}, r"gallery images left out: 2 \(0 in query 0, 2 in query 0\)"),
        ("text", {"1": ["100"]}, r"entries that are no integer: 1 \('100' in query 1\)"),
        ("float", {"1": [100.0]}, r"no integer: 1 \(100.0 in query 1\)"),
        ("bool", {"0": [0, True, 2]}, r"no integer: 1 \(True in query 0\)"),
        ("nested", {"1": [[100]]}, r"no integer: 1 \(\[100\] in query 1\)"),
        ("null", {"1": [None]}, r"no integer: 1 \(None in query 1\)"),
        ("huge_number", {"1": [10**4000]}, r"no gallery image: 1 \(10+\.\.\.0+ in query 1\)"),
        ("not_a_list", {"1": {"100": 1}}, r"values that are no list: 1 \(\{'100': 1\} for query 1\)"),
        ("empty_list", {"0": []}, r"gallery images left out: 3"),
        ("many", {str(key): [] for key in range(50, 60)}, r"no query: 10 \('50', '51', '52', \.\.\.\)"),
        (
            "several",
            {"0": [0, 0], "1": None},
            r"listed again: 1 .*; gallery images left out: 2 .*; queries left out: 1",
        ),
        ("script", {"<script>alert(1)</script>": []}, "no query: 1 .'<script>al"),
    ],
)
def test_a_wrong_ranking_is_named(tmp_path, name, changes, message):
    images = listed("-+-", "+")
    lists = {"0": [2, 1, 0], "1": [100]} | changes
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps({key: entries for key, entries in lists.items() if entries is not None}))
    with pytest.raises(ValueError, match=message) as caught:
        score(path, images)
    assert str(caught.value).startswith(f"{path}: not a ranking of these images: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("empty", b"", "expected a JSON ranking file: Expecting value"),
        ("text", b"mAP: 63.7", "expected a JSON ranking file: Expecting value"),
        ("cut", b'{"0": [2, 1,', "expected a JSON ranking file"),
        ("list", b"[[1, 2]]", "received a list"),
        ("number", b"12", "received a int"),
        ("zeros", bytes(10_000), "expected a JSON ranking file"),
        ("latin", b'{"\xe9": []}', "expected a JSON ranking file: 'utf-8' codec"),
        ("deep", b"[" * 500_000, "expected a JSON ranking file: nested too deeply"),
        ("digits", b"[" + b"9" * 5000 + b"]", "expected a JSON ranking file: Exceeds the limit"),
        ("key_twice", b'{"0": [0], "1": [100], "0": [0]}', r"queries that stand twice: 1 \('0'\)"),
    ],
)
def test_a_file_that_is_no_ranking_is_refused_in_a_line(tmp_path, name, data, message):
    path = tmp_path / "ranking.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read(path, listed("+", "+"))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_hundred_megabytes_are_refused_unread(tmp_path):
    path = tmp_path / "ranking.json"
    with path.open("wb") as file:
        file.write(b'{"0": [' + b"1, " * 1000)
        file.truncate(100_000_000)
    images = drawn(0)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"100,000,000 bytes; a ranking of these images has at most 1,\d\d\d,\d\d\d"):
        read(path, images)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_nonsense_that_fits_costs_linear_time(tmp_path):
    images = listed("-" * 300)
    path = tmp_path / "ranking.json"
    path.write_text(json.dumps({"0": [0] * 200_000 + ["x"] * 60_000}))
    start = time.perf_counter()
    with pytest.raises(
        ValueError, match=r"listed again: 199,999 .0 of action 0 in query 0, .*; entries that are no integer: 60,000"
    ):
        read(path, images)
    assert time.perf_counter() - start < 2


def test_a_missing_file_is_told_by_the_system(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.json"):
        read(tmp_path / "nowhere.json", listed("+"))


# === The ground truth ===


def test_labels_from_every_source(tmp_path):
    embeddings = drawn(2)
    columns = {name: getattr(embeddings, name) for name in ("person", "action", "bbox", "is_query")}
    (tmp_path / "bbox_info.json").write_text(json.dumps(bbox_info(embeddings)))
    np.savez(tmp_path / "index.npz", **columns, shard=np.zeros(3), games=np.array(["a"]))
    embeddings.save(tmp_path / "embeddings.npz")
    rows = np.lexsort((embeddings.bbox, ~embeddings.is_query))
    for source in ("bbox_info.json", "index.npz", "embeddings.npz", "."):
        images = read_groundtruth(tmp_path / source)
        order = np.lexsort((images.bbox, ~images.is_query))
        for name, values in columns.items():
            np.testing.assert_array_equal(getattr(images, name)[order], values[rows])


def test_labels_without_persons(tmp_path):
    info = bbox_info(drawn(2))
    for subset in info.values():
        for number, entry in enumerate(subset.values()):
            entry["person_uid"] = None
            if number % 2:
                del entry["person_uid"]
    (tmp_path / "bbox_info.json").write_text(json.dumps(info))
    assert (read_groundtruth(tmp_path).person == -1).all()


def entry(**changes):
    return {"bbox_idx": 3, "action_idx": 0, "person_uid": 1} | changes


@pytest.mark.parametrize(
    "info, message",
    [
        ([], "received no object named query"),
        ({"query": {}}, "received no object named gallery"),
        ({"query": {"3": 5}, "gallery": {}}, "query '3': expected an object, received int"),
        (
            {"query": {}, "gallery": {"3": entry(action_idx="a")}},
            "gallery '3': action_idx: expected an integer, received 'a'",
        ),
        ({"query": {"3": entry(person_uid=1.5)}, "gallery": {}}, "person_uid: expected an integer, received 1.5"),
        ({"query": {"3": entry(person_uid=2**63)}, "gallery": {}}, "person_uid: expected an integer, received 9223"),
        ({"query": {"3": {"bbox_idx": 3}}, "gallery": {}}, "query '3': action_idx: expected an integer, received None"),
        ({"query": {"4": entry()}, "gallery": {}}, "query '4': bbox_idx: expected the entry's key, received 3"),
    ],
)
def test_wrong_labels_are_named(tmp_path, info, message):
    path = tmp_path / "bbox_info.json"
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match=message) as caught:
        read_groundtruth(path)
    assert str(caught.value).startswith(str(path))


def test_wrong_label_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="expected index.npz or bbox_info.json or test_bbox_info.json in this folder"):
        read_groundtruth(tmp_path)
    path = tmp_path / "bbox_info.json"
    path.write_bytes(b"\x00\x01nonsense")
    with pytest.raises(ValueError, match="bbox_info.json: expected JSON"):
        read_groundtruth(path)
    path.write_text('{"query": {"3": {}, "4": {}, "3": {}}, "gallery": {}}')
    with pytest.raises(ValueError, match=r"bbox_info.json: keys that stand twice: 1 \(first: '3'\)"):
        read_groundtruth(path)
    np.savez(tmp_path / "index.npz", bbox=[1, 1], person=[0, 0], action=[0, 0], is_query=[False, False])
    with pytest.raises(ValueError, match="index.npz: bbox: 1 stands in rows 0 and 1"):
        read_groundtruth(tmp_path)
