"""kreid-search, and its old spelling as a second way of kreid-rank."""

import json

import numpy as np
import pytest
from tiny_report import picture
from tiny_runs import invoke

from kreid.cli.embed import app as embed_app
from kreid.cli.rank import app as rank_app
from kreid.cli.search import app as search_app
from kreid.ranking.reranking import reciprocal
from tfrecords_tools.arrays import read_arrays, write_arrays

pytestmark = pytest.mark.usefixtures("resnet_stem")

ODD = "a [bold], <script>\udce9.png"  # as a name is shown, whatever it holds; and not UTF-8
FORMER = "warning: a search is kreid-search RUN --gallery CROPS... --query CROPS... now; this spelling still works\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six crops, one of them with an odd name."""
    folder = tmp_path_factory.mktemp("crops")
    for person, name in enumerate(("0.png", "1.png", "2.png", "3.png", "4.png", ODD)):
        (folder / name).write_bytes(picture(person, 40 + person, 24))
    return folder


@pytest.fixture
def places(records, tmp_path):
    """What the arguments below stand for."""
    broken = np.eye(4)
    broken[1, 2] = np.nan
    places = {"records": records}
    for name, vectors in (("x", np.eye(4)), ("wide", np.eye(5)), ("nan", broken)):
        places[name] = tmp_path / f"{name}.npz"
        np.savez(places[name], vectors=vectors, path=np.array([f"{row}.png" for row in range(len(vectors))]))
    return places


def test_files_among_files(run_folder, folder, tmp_path, capsys):
    queries, out = [folder / "3.png", folder / ODD], tmp_path / "x.json"
    (tmp_path / "link").symlink_to(folder)
    line = [run_folder, "--query", *queries, "--gallery", tmp_path / "link", "--out", out, "--top", 9]
    said = "left out of their own results: 2 of 2 queries, as crops of the gallery too\n"
    assert invoke(capsys, search_app, *line) == (0, [str(out)], said)
    found = json.loads(out.read_text())["queries"]
    assert [one["query"] for one in found] == list(map(str, queries))
    for query, file in zip(found, queries, strict=True):
        others = {path.name for path in folder.iterdir()} - {file.name}
        assert {one["image"].rpartition("/")[2] for one in query["ranking"]} == others
        assert len(query["ranking"]) == 5
        distances = [one["distance"] for one in query["ranking"]]
        assert distances == sorted(distances)


@pytest.fixture
def mirrored(run_folder, folder):
    """Vectors of the crops, each averaged with its mirror image's."""
    from kreid.config.sections import Evaluation
    from kreid.embedding.extract import embed_files
    from kreid.runs.folder import load_model

    return embed_files(load_model(run_folder), sorted(folder.iterdir()), settings=Evaluation(flip=True))


def test_switches_flip_and_re_rank(run_folder, folder, mirrored, tmp_path, capsys):
    for app in (search_app, rank_app):
        out = tmp_path / "x.json"
        line = [run_folder, "--query", folder / "3.png", "--gallery", folder, "--out", out, "--flip", "--rerank"]
        code, lines, err = invoke(capsys, app, *line, "--k1", 2)
        assert (code, lines) == (0, [str(out)]), err
        tree = json.loads(out.read_text())
        assert tree["metric"] == "euclidean, re-ranked"
        (query,) = tree["queries"]
        expected = reciprocal(np.concatenate([mirrored[3:4], mirrored]), 1, 2, 2, 0.3)[0]
        names = [str(path) for path in sorted(folder.iterdir())]
        assert len(query["ranking"]) == 5
        for one in query["ranking"]:
            assert one["distance"] == pytest.approx(expected[names.index(one["image"])], abs=1e-4)


def test_embed_flips_too(run_folder, folder, mirrored, tmp_path, capsys):
    assert invoke(capsys, embed_app, run_folder, folder, "--out", tmp_path / "x.npz", "--flip")[0] == 0
    with np.load(tmp_path / "x.npz") as written:
        np.testing.assert_allclose(written["vectors"], mirrored, atol=1e-5)
        assert written["path"].tolist() == list(map(str, sorted(folder.iterdir())))
    line = [run_folder, folder, "--out", tmp_path / "y.npz", "--flip", "--endpoint", "http://127.0.0.1:9/v1"]
    code, _, err = invoke(capsys, embed_app, *line)
    assert (code, err[:37]) == (2, "error: --flip: a server embeds images")


@pytest.fixture
def embedded(run_folder, folder, tmp_path, capsys):
    """The crops as kreid-embed writes them, and the same said to be of another network, or mirrored."""
    assert invoke(capsys, embed_app, run_folder, folder, "--out", tmp_path / "own.npz")[0] == 0
    arrays = read_arrays(tmp_path / "own.npz")
    for name, change in (("other", {"network": np.array("0" * 64)}), ("flipped", {"flip": np.array(True)})):
        write_arrays(tmp_path / f"{name}.npz", arrays | change)
    return {name: tmp_path / f"{name}.npz" for name in ("own", "other", "flipped")} | {"files": folder}


@pytest.mark.parametrize(
    ("query", "gallery", "code", "said"),
    [
        ("files", "own", 0, []),
        ("own", "own", 0, []),
        ("files", "other", 1, ["error: --gallery is of another network than the other side"]),
        ("other", "files", 1, ["error: --query is of another network than the other side"]),
        ("own", "other", 1, ["error: --gallery is of another network than the other side"]),
        ("other", "other", 0, 2 * ["embeddings of another network than"]),
        ("files", "flipped", 0, ["warning: --gallery was embedded with --flip, unlike the other side"]),
        ("flipped", "own", 0, ["warning: --gallery was embedded without --flip, unlike the other side"]),
    ],
)
def test_embeddings_say_of_which_network_they_are(run_folder, embedded, tmp_path, capsys, query, gallery, code, said):
    out = tmp_path / "x.csv"
    line = [run_folder, "--query", embedded[query], "--gallery", embedded[gallery], "--out", out]
    received, _, err = invoke(capsys, search_app, *line)
    lines = [one for one in err.splitlines() if not one.startswith("left out of their own results")]
    assert (received, out.exists(), len(lines)) == (code, code == 0, len(said)), err
    assert all(part in one for part, one in zip(said, lines, strict=True))


def test_records_become_a_page_beside_the_run(run_folder, records, folder, capsys):
    line = [run_folder, "--gallery", records / "test", "--query", folder, "--metric", "cosine"]
    assert invoke(capsys, search_app, *line) == (0, [str(run_folder / "search.html")], "")
    page = (run_folder / "search.html").read_text(encoding="utf-8")
    with np.load(records / "test" / "index.npz") as index:
        size = int((~index["is_query"]).sum())
    assert f"6 queries · the nearest 10 of {size} crops · cosine distance" in page
    assert page.count("<img ") == 6 * 11
    assert "<script" not in page
    assert "script-src" not in page.split("</head>")[0]
    assert "default-src &#39;none&#39;" in page
    assert f"{records / 'test'}: gallery " in page


def check_mistake(capsys, app, run_folder, places, arguments, code, message):
    """Run a command that is wrong and look at what it says: one line, and nothing written."""
    (run_folder / "search.html").unlink(missing_ok=True)
    received, lines, err = invoke(capsys, app, run_folder, *(one.format(**places) for one in arguments))
    assert received == code
    assert message in err
    assert err.count("\n") == 1
    assert lines == []
    assert not (run_folder / "search.html").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing option '--gallery'"),
        (["--gallery", "{x}"], 2, "Missing option '--query'"),
        (["--gallery", "--query", "{x}"], 2, "'--gallery': expected a path, received the option --query"),
        (["--gallery", "{x}", "--query", "--top", "3"], 2, "'--query': expected a path, received the option --top"),
        (["--gallery", "{x}", "--query", "{x}", "--split", "test"], 2, "--split"),
        (["--gallery", "{x}", "--query", "{x}", "--out", "x.txt"], 2, "x.txt: expected a name that ends in .html"),
        (["--gallery", "{x}", "--query", "{x}", "--top", "0"], 2, "--top"),
        (["--gallery", "{x}", "{x}", "--query", "{x}"], 2, "x.npz: stands alone, without other crops; 2 were given"),
        (["--gallery", "nowhere", "--query", "{x}"], 2, "nowhere: no such file or folder"),
        (["--gallery", "nowhere.npz", "--query", "{x}"], 2, "nowhere.npz: no such file"),
        (["--gallery", "{records}", "--query", "{x}"], 2, "records of several splits; give one of "),
        (["--gallery", "{wide}", "--query", "{x}"], 1, "--query has embeddings of 4 numbers, --gallery of 5"),
        (["--gallery", "{nan}", "--query", "{x}"], 1, "gallery: row 1 is not finite"),
        (["--gallery", "{x}", "--query", "{x}", "--backend", "faiss"], 2, "the package faiss-cpu is not installed"),
        (["--gallery", "{x}", "--query", "{x}", "--flip"], 2, "--flip: both sides are files of embeddings"),
        (["--gallery", "{x}", "--query", "{x}", "--no-rerank", "--k1", "3"], 2, "--no-rerank: expected without --k1"),
    ],
)
def test_mistakes_are_told_in_a_line(run_folder, places, monkeypatch, capsys, arguments, code, message):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_mistake(capsys, search_app, run_folder, places, arguments, code, message)


def test_vectors_are_checked_before_they_are_searched(run_folder, places, tmp_path, monkeypatch, capsys):
    line = [run_folder, "--gallery", places["x"], "--query", places["x"], "--out", tmp_path / "x.csv"]
    monkeypatch.setattr("kreid.cli.search._LARGE", 10)
    code, _, said = invoke(capsys, search_app, *line)
    assert code == 0
    assert said.startswith(2 * f"checking 0.0 GB of {places['x']}\n")
    content = bytearray(places["x"].read_bytes())
    content[content.index(np.eye(4).tobytes()) + 40] ^= 1
    places["x"].write_bytes(content)
    (tmp_path / "x.csv").unlink()
    code, _, said = invoke(capsys, search_app, *line)
    assert code == 1
    assert said.splitlines()[-1].startswith(
        f"error: {places['x']}: not a whole .npz or .npy file of arrays: Bad CRC-32"
    )
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("query", "gallery", "metric", "code", "said"),
    [
        ("x", "long", "euclidean", 1, "error: --gallery: its vectors are not of length one, as the other side's are"),
        ("long", "x", "euclidean", 1, "error: --query: its vectors are not of length one"),
        ("long", "long", "euclidean", 0, "warning: --query and --gallery: vectors that are not of length one"),
        ("x", "long", "cosine", 0, ""),
        ("x", "half", "euclidean", 0, ""),
    ],
)
def test_lengths_that_differ_are_told(run_folder, places, tmp_path, capsys, query, gallery, metric, code, said):
    for name, vectors in (("long", 3 * np.eye(4)), ("half", np.eye(4) * 1.0005)):
        places[name] = tmp_path / f"{name}.npz"
        np.savez(places[name], vectors=vectors, path=np.array([f"{name}{row}.png" for row in range(4)]))
    line = [run_folder, "--gallery", places[gallery], "--query", places[query], "--metric", metric]
    received, _, err = invoke(capsys, search_app, *line, "--out", tmp_path / "out.csv")
    assert (received, (tmp_path / "out.csv").exists()) == (code, code == 0)
    assert err.startswith(said)
    assert said or "length one" not in err


def test_a_folder_that_is_no_run(places, tmp_path, capsys):
    code, lines, err = invoke(capsys, search_app, tmp_path, "--gallery", places["x"], "--query", places["x"])
    assert (code, lines) == (2, [])
    assert err == (
        f"error: {tmp_path}: not a run folder, it has no config.yaml; give the folder that kreid-train wrote\n"
    )


# === kreid-rank, which was its name ===


def test_the_old_spelling_finds_the_same_and_says_the_new_one(run_folder, places, tmp_path, capsys):
    written = []
    left_out = "left out of their own results: 4 of 4 queries, as crops of the gallery too\n"
    for app, said in ((search_app, left_out), (rank_app, FORMER + left_out)):
        out = tmp_path / f"{len(written)}.csv"
        line = [run_folder, "--gallery", places["x"], "--query", places["x"], "--top", 2, "--out", out]
        assert invoke(capsys, app, *line) == (0, [str(out)], said)
        written.append(out.read_text())
    assert written[0] == written[1]
    assert len(written[0].splitlines()) == 1 + 4 * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data: missing; give what kreid-convert wrote, or take kreid-search"),
        (["--data", "--split", "test"], "'--data': expected a path, received the option --split"),
        (["--gallery", "{x}"], "--query: missing"),
        (["--query", "{x}"], "--gallery: missing"),
        (["--gallery", "{x}", "--query", "{x}", "--data", "{records}"], "--data: is for a split, not for a search"),
        (["--gallery", "{x}", "--query", "{x}", "--split", "test"], "--split: is for a split, not for a search"),
        (["--data", "{records}", "--top", "3"], "--top: belongs to a search"),
        (["--data", "{records}", "--out", "x.html"], "--out: belongs to a search"),
    ],
)
def test_a_split_and_a_search_are_not_mixed(run_folder, places, capsys, arguments, message):
    check_mistake(capsys, rank_app, run_folder, places, arguments, 2, message)


def test_help_of_rank_is_of_splits(capsys):
    code, lines, _ = invoke(capsys, rank_app, "--help")
    assert code == 0
    text = " ".join(" ".join(lines).split())
    assert "--split" in text
    assert "kreid-search" in text
    assert not [option for option in ("--gallery", "--query", "--top", "--out", "--backend") if option in text]
