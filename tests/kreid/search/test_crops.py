"""Search beyond one action: sources of crops, and results in each form."""

import csv
import json
import tracemalloc

import numpy as np
import pytest
from ranking_cases import drawn
from tiny_report import picture

from kreid.ranking.distances import pairwise
from kreid.ranking.neighbours import search
from kreid.search.crops import Crops, Rows, crops_of_embeddings
from kreid.search.files import write_results
from kreid.search.page import search_page
from kreid.search.results import Results
from tfrecords_tools.arrays import map_arrays

HOSTILE = "\"><img src=x onerror='window.hacked=1'>, <script>window.hacked=1<\udce9.png"  # and not UTF-8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six crops, one of them with a name out to do harm."""
    folder = tmp_path_factory.mktemp("crops")
    for person in range(5):
        (folder / f"{person}.png").write_bytes(picture(person, 40 + person, 24))
    (folder / HOSTILE).write_bytes(picture(9, 48, 20))
    return folder


def named(vectors, prefix, pictures=False):
    vectors = np.asarray(vectors, np.float32)
    encoded = [picture(row, 30 + row, 20) for row in range(len(vectors))] if pictures else [None] * len(vectors)
    return Crops(vectors, lambda row: f"{prefix}{row}.png", encoded.__getitem__)


def labelled(bbox, is_query):
    return {"vectors": np.eye(2), "person": [1, 1], "action": [0, 0], "bbox": bbox, "is_query": is_query}


def results(queries=3, rows=7, k=4, pictures=False, seed=0):
    rng = np.random.default_rng(seed)
    one, two = (named(rng.standard_normal((n, 5)), name, pictures) for n, name in ((queries, "q"), (rows, "g/")))
    return Results("A run, search", one, two, search(one.vectors, two.vectors, k), "euclidean")


# === Files of embeddings ===


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_a_file_are_mapped_not_read(tmp_path, order):
    rng = np.random.default_rng(0)
    arrays = {"vectors": np.asarray(rng.random((9, 5)), order=order), "x": np.arange(3, dtype=np.int8)}
    arrays |= {"path": np.array(["a", "ö" * 7]), "flag": np.array([True]), "none": np.zeros((0, 4))}
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    np.save(tmp_path / "vectors.npy", arrays["vectors"])
    for name in ("plain.npz", "small.npz"):
        found = map_arrays(tmp_path / name)
        assert found.keys() == arrays.keys()
        for key, array in found.items():
            np.testing.assert_array_equal(array, arrays[key])
            assert isinstance(array, np.memmap) == (name == "plain.npz" and key != "none")
    np.testing.assert_array_equal(map_arrays(tmp_path / "vectors.npy")["vectors"], arrays["vectors"])


@pytest.mark.parametrize("length", [0, 1, 100, 500, -30])
def test_a_cut_file_is_named(tmp_path, length):
    np.savez(tmp_path / "x.npz", vectors=np.ones((9, 5)))
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[:length])
    with pytest.raises(ValueError, match="cut.npz: not a whole .npz or .npy file"):
        map_arrays(tmp_path / "cut.npz")


def test_searching_a_file_takes_less_memory_than_it_holds(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50_000, 64), dtype=np.float32)  # 12.8 MB
    np.savez(tmp_path / "x.npz", pad=np.zeros(1, np.int8), vectors=vectors)
    wanted = vectors[[7, 40_000]]
    tracemalloc.start()
    crops = crops_of_embeddings(tmp_path / "x.npz", queries=False)
    chosen = Rows(crops.vectors, np.arange(1, 50_000, 3))
    found = [search(wanted, rows, k=1, block=2000).index.ravel().tolist() for rows in (crops.vectors, chosen)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [[7, 40_000], [2, 13_333]]
    assert peak < 4_000_000


def test_names_and_pictures_of_each_kind_of_file(tmp_path, folder):
    embeddings = drawn(1)
    embeddings.save(tmp_path / "labels.npz")
    for queries in (True, False):
        crops = crops_of_embeddings(tmp_path / "labels.npz", queries)
        rows = np.flatnonzero(embeddings.is_query == queries)
        np.testing.assert_array_equal(crops.vectors[:], embeddings.vectors[rows])
        kind = "query" if queries else "gallery"
        last = rows[-1]
        name = f"labels.npz: {kind} {embeddings.bbox[last]} of action {embeddings.action[last]}"
        assert crops.name(len(crops) - 1).endswith(name)
    np.savez(tmp_path / "files.npz", vectors=np.eye(2), path=np.array([str(folder / "1.png"), "gone.png"]))
    crops = crops_of_embeddings(tmp_path / "files.npz", queries=True)
    assert (crops.picture(0), crops.picture(1)) == ((folder / "1.png").read_bytes(), None)
    assert crops.name(1) == "gone.png"
    np.save(tmp_path / "plain.npy", np.eye(3))
    assert crops_of_embeddings(tmp_path / "plain.npy", queries=True).name(2).endswith("plain.npy: row 2")


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"a": np.eye(2)}, "expected vectors, .N, D. real numbers, as kreid-embed writes them, received none"),
        ({"vectors": np.ones(3)}, r"received float64 of shape \(3,\)"),
        ({"vectors": np.array([["a"]])}, "received <U1 of shape"),
        ({"vectors": np.array([[None]])}, "Python objects, which are not read"),
        ({"vectors": np.zeros((0, 4))}, "holds no vectors"),
        (
            {"vectors": np.eye(3), "path": np.array(["a"])},
            "expected 3 of each, as there are vectors, received {'path': 1}",
        ),
        (labelled([4, 4], [False, False]), "bbox: 4 stands in rows 0 and 1"),
        (labelled([4, 5], [True, True]), "no gallery image among its 2 images"),
    ],
)
def test_wrong_files_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=f"x.npz: .*{message}"):
        crops_of_embeddings(tmp_path / "x.npz", queries=False)


# === Results ===


def test_json_and_csv_hold_the_same(tmp_path):
    found = results()
    for ending in ("json", "csv"):
        assert write_results(found, tmp_path / f"x.{ending}") == tmp_path / f"x.{ending}"
    tree = json.loads((tmp_path / "x.json").read_text())
    assert (tree["metric"], tree["gallery"]) == ("euclidean", 7)
    distance = pairwise(found.queries.vectors, found.gallery.vectors)
    order = np.argsort(distance, axis=1)[:, :4]
    for row, query in enumerate(tree["queries"]):
        assert query["query"] == f"q{row}.png"
        assert query["ranking"] == [{"image": f"g/{i}.png", "distance": distance[row, i]} for i in order[row]]
    with (tmp_path / "x.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    flat = [(query["query"], str(place), one["image"], str(one["distance"]))
            for query in tree["queries"] for place, one in enumerate(query["ranking"], start=1)]  # fmt: skip
    assert [tuple(line.values()) for line in lines] == flat


def test_page_shows_every_query_with_its_pictures(tmp_path):
    page = "".join(search_page(results(pictures=True)))
    assert page.count("<article") == 3
    assert page.count("<img ") == 3 * (1 + 4)
    assert "3 queries · the nearest 4 of 7 crops · euclidean distance" in page
    assert 'class="note"' not in page
    assert "no picture" in "".join(search_page(results()))


def test_page_says_what_its_budget_leaves_out():
    page = "".join(search_page(results(pictures=True), budget=1))
    assert page.count("<article") == 1
    assert "it shows the first 1 of 3 queries" in page


def test_another_ending_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"x.txt: expected a name that ends in .html, .json or .csv"):
        write_results(results(), tmp_path / "x.txt")
    assert not list(tmp_path.iterdir())
