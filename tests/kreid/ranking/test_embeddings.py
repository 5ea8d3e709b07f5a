"""Embeddings: what is refused, by which words, and that files give back what was saved."""

from dataclasses import replace

import numpy as np
import pytest
from ranking_cases import drawn

from kreid.ranking.embeddings import Embeddings, same_rows
from kreid.ranking.truth import read_groundtruth

GOOD = {
    "vectors": np.arange(12.0).reshape(4, 3),
    "person": [7, 7, 8, -1],
    "action": [2, 2, 2, 2],
    "bbox": [5, 5, 6, 9],
    "is_query": [True, False, False, False],
}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"vectors": np.zeros(4)}, r"vectors: expected \(M, D\) real numbers, received float64 of shape \(4,\)"),
        ({"vectors": np.zeros((3, 3))}, "vectors: expected 4 rows, as many as is_query has, received 3"),
        ({"vectors": [["a"]] * 4}, r"vectors: expected \(M, D\) real numbers, received <U1"),
        ({"vectors": np.diag([1, np.nan, 1, np.inf])}, "2 of 4 rows are not; first row 1, gallery 5 of action 2"),
        ({"vectors": np.full((4, 2), 1e39)}, "4 of 4 rows are not; first row 0, query 5 of action 2"),
        ({"person": [1, 1, 1]}, "person: expected 4 values, as many as is_query has, received 3"),
        ({"person": [1.0, 1, 1, 1]}, "person: expected .M,. integers, received float64"),
        ({"person": [1, 1, -2, 1]}, "person: expected -1 or more, received -2 in row 2"),
        ({"action": [[1, 1, 1, 1]]}, "action: expected .M,. integers"),
        ({"bbox": [5, -1, 6, 9]}, "bbox: expected 0 or more, received -1 in row 1"),
        ({"bbox": [5, 9, 6, 9]}, "bbox: 9 stands in rows 1 and 3, both gallery images"),
        ({"is_query": [True, True, False, False]}, "bbox: 5 stands in rows 0 and 1, both queries"),
        ({"is_query": [1, 0, 0, 0]}, "is_query: expected .M,. booleans, received int64"),
        ({"records": {"role": ["a", "b"]}}, "records.'role'.: expected 4 plain values"),
        ({"records": {"role": np.array([None] * 4)}}, "records.'role'.: expected 4 plain values, received object"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Embeddings(**(GOOD | changes))


def test_arrays_are_typed_and_read_only_and_the_callers_stay_as_they_were():
    vectors = np.ones((4, 3), np.float32)
    embeddings = Embeddings(**(GOOD | {"vectors": vectors}))
    assert embeddings.vectors.dtype == np.float32
    assert np.shares_memory(embeddings.vectors, vectors)
    assert embeddings.person.dtype == embeddings.action.dtype == embeddings.bbox.dtype == np.int64
    for name in ("vectors", "person", "action", "bbox", "is_query"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(embeddings, name)[0] = 0
    vectors[0] = 2


def test_a_query_and_a_gallery_image_may_share_an_index():
    assert Embeddings(**GOOD).bbox.tolist() == [5, 5, 6, 9]


def test_actions_come_in_order_with_their_rows_by_index():
    embeddings = Embeddings(
        np.zeros((7, 1)),
        person=[0] * 7,
        action=[9, 3, 3, 3, 3, 9, 4],
        bbox=[0, 8, 2, 5, 1, 7, 6],
        is_query=[True, False, False, True, True, True, False],
    )
    actions = [(query.tolist(), gallery.tolist()) for query, gallery in embeddings.images.actions()]
    assert actions == [([4, 3], [2, 1]), ([], [6]), ([0, 5], [])]


def test_saved_and_loaded(tmp_path):
    records = {"role": np.array(["goalkeeper", "", "referee", "player"]), "height": np.arange(4)}
    embeddings = Embeddings(**GOOD, records=records)
    embeddings.save(tmp_path / "deep" / "embeddings.npz")
    again = Embeddings.load(tmp_path / "deep" / "embeddings.npz")
    for name in GOOD:
        np.testing.assert_array_equal(getattr(again, name), getattr(embeddings, name))
        assert getattr(again, name).dtype == getattr(embeddings, name).dtype
    assert set(again.records) == {"role", "height"}
    np.testing.assert_array_equal(again.records["role"], records["role"])
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["embeddings.npz"]


def test_cameras_are_saved_where_there_are_any(tmp_path):
    path = tmp_path / "embeddings.npz"
    Embeddings(**GOOD).save(path)
    assert "camera" not in np.load(path).files
    assert Embeddings.load(path).camera is None
    Embeddings(**GOOD, camera=[3, 1, -1, 3]).save(path)
    again = Embeddings.load(path)
    assert again.camera.tolist() == again.images.camera.tolist() == [3, 1, -1, 3]
    assert read_groundtruth(path).camera.tolist() == [3, 1, -1, 3]
    with pytest.raises(ValueError, match="read-only"):
        again.camera[0] = 0


def test_a_failed_save_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "embeddings.npz"
    Embeddings(**GOOD).save(path)
    before = path.read_bytes()

    def fail(file, arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("kreid.ranking.embeddings.write_arrays", fail)
    with pytest.raises(OSError, match="disk full"):
        Embeddings(**GOOD).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def damage(path, how):
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "flipped":
        data = bytearray(path.read_bytes())
        data[150] ^= 0xFF
        path.write_bytes(data)
    elif how == "text":
        path.write_text("<script>alert(1)</script>")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "one_array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif how == "lacking":
        np.savez(path, vectors=np.zeros((1, 1)), person=[0])
    elif how == "pickled":
        np.savez(path, **(GOOD | {"person": np.array([None] * 4)}))
    elif how == "inconsistent":
        np.savez(path, **(GOOD | {"person": np.zeros(2, int)}))


@pytest.mark.parametrize(
    "how", ["truncated", "flipped", "text", "empty", "one_array", "lacking", "pickled", "inconsistent"]
)
def test_a_damaged_file_is_refused_by_name(tmp_path, how):
    path = tmp_path / "embeddings.npz"
    Embeddings(**GOOD).save(path)
    damage(path, how)
    with pytest.raises(ValueError, match="embeddings.npz: ") as caught:
        Embeddings.load(path)
    assert "\n" not in str(caught.value)


def test_same_rows_brings_two_lists_in_line_or_names_the_first_difference():
    embeddings = drawn(0)
    names = ("person", "action", "bbox", "is_query")
    rows = np.random.default_rng(1).permutation(len(embeddings))
    labels = {name: getattr(embeddings, name)[rows] for name in names}
    shuffled = Embeddings(embeddings.vectors[rows], **labels)
    one, other = same_rows(embeddings.images, shuffled.images, "other")
    np.testing.assert_array_equal(embeddings.vectors[one], shuffled.vectors[other])

    labels["person"] = labels["person"] + (np.arange(len(rows)) == 4)
    changed = Embeddings(shuffled.vectors, **labels)
    seen, other = (replace(part, camera=np.arange(len(rows))) for part in (embeddings, shuffled))
    same_rows(seen.images, shuffled.images, "other")
    with pytest.raises(ValueError, match="other: expected .* with camera"):
        same_rows(seen.images, other.images, "other")
    kind = "query" if labels["is_query"][4] else "gallery"
    expected = f"{kind} {labels['bbox'][4]} of action {labels['action'][4]} with person {labels['person'][4] - 1}"
    with pytest.raises(ValueError, match=f"other: expected {expected}, received {labels['person'][4]}"):
        same_rows(embeddings.images, changed.images, "other")
    fewer = Embeddings(changed.vectors[1:], **{name: values[1:] for name, values in labels.items()})
    with pytest.raises(ValueError, match=f"expected the same {len(rows)} images, received {len(rows) - 1}"):
        same_rows(embeddings.images, fewer.images, "other")
