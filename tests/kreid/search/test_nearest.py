"""The nearest crops: re-ranked among all, and without the query itself."""

import numpy as np
import pytest

from kreid.errors import ConfigError
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.neighbours import Found, search
from kreid.ranking.reranking import rerank
from kreid.search import nearest
from kreid.search.crops import Crops, crops_of_embeddings
from kreid.search.nearest import reranked, without_themselves

LINE = np.array([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0], [7.0, 1.0]])


def crops(vectors, keys=None):
    return Crops(np.asarray(vectors, float), str, lambda row: None, keys.__getitem__ if keys else lambda row: None)


def plainly(queries, gallery):
    return lambda k: search(queries.vectors, gallery.vectors, k)


def test_a_query_is_left_out_of_its_own_results():
    queries, gallery = crops(LINE[[0, 2]], "ac"), crops(LINE, "abcd")
    found, left_out = without_themselves(plainly(queries, gallery), queries, gallery, 2)
    assert left_out == 2
    assert found.index.tolist() == [[1, 2], [1, 0]]
    assert found.distance.tolist() == [[1, 3], [2, 3]]


def test_who_is_no_crop_of_the_gallery_finds_all_and_rows_end_at_different_places():
    queries, gallery = crops(LINE[[0, 2]], "ax"), crops(LINE, "abcd")
    found, left_out = without_themselves(plainly(queries, gallery), queries, gallery, 9)
    assert left_out == 1
    assert found.index.tolist() == [[1, 2, 3, -1], [2, 1, 0, 3]]
    assert found.distance[0, 3] == np.inf


def test_a_crop_that_stands_in_the_gallery_many_times_is_left_out_each_time():
    queries, gallery = crops(LINE[:1], "a"), crops(np.concatenate([LINE[:1]] * 9 + [LINE[1:]]), "a" * 9 + "bcd")
    found, left_out = without_themselves(plainly(queries, gallery), queries, gallery, 2)
    assert (left_out, found.index.tolist()) == (1, [[9, 10]])


def test_who_stands_behind_others_that_are_equal_is_counted(monkeypatch):
    equal = crops(np.ones((9, 2)), "abcdefghi")
    for find in (plainly(equal, equal), reranked(equal, equal, "euclidean", 3, 2, 0.3)):
        found, left_out = without_themselves(find, equal, equal, 2)
        assert left_out == 9
        assert found.index.shape == (9, 2)
        assert (found.index != np.arange(9)[:, None]).all()
    other = crops(np.ones((2, 2)), "ix")
    assert without_themselves(plainly(other, equal), other, equal, 2)[1] == 1


def test_nobody_is_left_out_without_a_key_or_with_another_vector():
    queries, gallery = crops(LINE[:2], [None, "b"]), crops(LINE + np.array([[0], [5], [0], [0]]), [None, "b", "c", "d"])
    found, left_out = without_themselves(plainly(queries, gallery), queries, gallery, 4)
    assert left_out == 0
    assert found.index[0, 0] == 0
    assert 1 in found.index[1]


def test_only_themselves_are_there():
    alone = crops(LINE[:1], "a")
    found, left_out = without_themselves(plainly(alone, alone), alone, alone, 3)
    assert (left_out, found.index.shape) == (1, (1, 0))


def test_keys_of_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1.png").touch()
    (tmp_path / "link").symlink_to("real")
    np.savez("one.npz", vectors=np.eye(2), path=np.array(["real/1.png", "gone.png"]))
    np.savez("two.npz", vectors=np.eye(2), path=np.array([str(tmp_path / "link/1.png"), "gone2.png"]))
    np.save("rows.npy", np.eye(2))
    one, two = (crops_of_embeddings(name, queries=False) for name in ("one.npz", "two.npz"))
    assert one.key(0) == two.key(0)
    (tmp_path / "real" / "1.png").write_bytes(b"image")
    monkeypatch.chdir("/")
    assert one.key(0) == two.key(0)
    assert one.picture(0) == b"image"
    monkeypatch.chdir(tmp_path)
    assert one.key(1) != two.key(1)
    rows, again = (crops_of_embeddings(path, queries=True) for path in ("rows.npy", tmp_path / "rows.npy"))
    assert rows.key(1) == again.key(1) != rows.key(0)


def test_re_ranking_is_that_of_an_action_of_all_crops():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(20, 6))
    is_query = np.arange(20) < 4
    bbox = np.where(is_query, np.arange(20), np.arange(20) - 4)
    expected = rerank(Embeddings(vectors, np.zeros(20, int), np.zeros(20, int), bbox, is_query), 4, 2, 0.4)
    found = reranked(crops(vectors[:4]), crops(vectors[4:]), "euclidean", 4, 2, 0.4)(16)
    np.testing.assert_array_equal(found.index.ravel() + 4, expected.gallery)
    np.testing.assert_allclose(found.distance.ravel(), expected.distance, atol=1e-6)  # from float32 vectors
    assert isinstance(found, Found)
    assert (np.diff(found.distance) >= 0).all()


def test_too_many_to_re_rank_are_refused_in_words(monkeypatch):
    monkeypatch.setattr(nearest, "MOST_RERANKED", 7)
    with pytest.raises(ConfigError, match=r"expected at most 7 queries and gallery crops together, received 8; leave"):
        reranked(crops(LINE), crops(LINE), "euclidean", 3, 2, 0.3)
