"""Embeddings by a pipeline are those of the local command, as Parquet, wherever images lie."""

import io
import shutil

import numpy as np
import pytest

pytest.importorskip("apache_beam")

from pyarrow import parquet
from sets import write_images
from tiny_runs import invoke
from toy_files import ToyFileSystem

from kreid.bulk import embed as bulk
from kreid.cli.embed import app
from kreid.files.parquet import write_parquet
from kreid.runs.folder import network_digest
from tfrecords_tools.arrays import read_arrays

DIRECT = ("--runner", "DirectRunner")


@pytest.fixture
def place(run_folder, records, tmp_path, monkeypatch):
    """A folder with a run, records and seven crops, which `toy://` reaches too."""
    monkeypatch.setattr(ToyFileSystem, "root", tmp_path)
    monkeypatch.setattr(bulk, "_MODELS", {})
    monkeypatch.setattr(bulk, "IMAGES_PER_FILE", 3)
    shutil.copytree(run_folder, tmp_path / "run")
    shutil.copytree(records, tmp_path / "records")
    write_images(tmp_path / "crops", [f"{camera}/{number}.png" for camera in "ab" for number in range(3)] + ["c.png"])
    return tmp_path


def table(folder):
    return parquet.read_table(sorted(folder.glob("part-*.parquet")))


def local(capsys, place, images, *options):
    assert invoke(capsys, app, place / "run", images, "--out", place / "local.npz", *options)[0] == 0
    return read_arrays(place / "local.npz")


def same(found, arrays):
    assert found.column_names == [name for name, array in arrays.items() if array.ndim]
    vectors = np.stack(found["vectors"].to_numpy())
    np.testing.assert_allclose(vectors, arrays["vectors"], atol=1e-5)
    for name in found.column_names[1:]:
        np.testing.assert_array_equal(found[name].to_numpy(), arrays[name])


def test_crops_give_the_vectors_of_the_local_command(place, capsys):
    arrays = local(capsys, place, place / "crops", "--flip")
    code, out, said = invoke(
        capsys,
        app,
        place / "run",
        place / "crops",
        "--out",
        place / "out",
        "--flip",
        *DIRECT,
        "--",
        "--direct_num_workers=1",
    )
    assert (code, out) == (0, [str(place / "out")]), said
    assert "7 images embedded" in said
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        f"part-{number:06d}-of-000003.parquet" for number in range(3)
    ]
    same(table(place / "out"), arrays)
    told = table(place / "out").schema.metadata
    assert told == {b"kreid": b"vectors 1", b"network": network_digest(place / "run").encode(), b"flip": b"True"}


def test_records_give_their_labels_too_at_addresses(place, capsys):
    arrays = local(capsys, place, place / "records/test")
    code, out, said = invoke(capsys, app, "toy://run", "toy://records/test", "--out", "toy://out", *DIRECT)
    assert (code, out) == (0, ["toy://out"]), said
    same(table(place / "out"), arrays)
    assert set(arrays["is_query"]) == {True, False}


def test_records_with_cameras_give_these_and_the_protocol(place, filmed, capsys):
    shutil.copytree(filmed, place / "filmed")
    arrays = local(capsys, place, place / "filmed/test")
    code, _, said = invoke(capsys, app, "toy://run", "toy://filmed/test", "--out", "toy://out", *DIRECT)
    assert code == 0, said
    same(table(place / "out"), arrays)
    assert table(place / "out").schema.metadata[b"protocol"] == b"cross_camera"
    assert "camera" in table(place / "out").column_names


def test_a_bad_image_is_named(place, capsys):
    (place / "crops/b/1.png").write_bytes(b"not an image")
    code, _, said = invoke(capsys, app, place / "run", place / "crops", "--out", place / "out", *DIRECT)
    assert (code, said.splitlines()[-1].partition("1.png: ")[0]) == (1, f"error: {place}/crops/b/")
    assert not (place / "out").exists()


def test_after_a_bad_image_what_others_stand_beside_is_as_it_was(place, capsys):
    """At an address too, with the vectors of the parts that were whole."""
    (place / "crops/b/1.png").write_bytes(b"not an image")
    (place / "out").mkdir()
    (place / "out/notes.txt").touch()
    code, _, said = invoke(capsys, app, "toy://run", "toy://crops", "--out", "toy://out", *DIRECT)
    assert (code, "toy://crops/b/1.png: " in said) == (1, True), said
    assert [path.name for path in (place / "out").rglob("*") if path.is_file()] == ["notes.txt"]
    (place / "crops/b/1.png").unlink()
    assert invoke(capsys, app, place / "run", place / "crops", "--out", place / "out", *DIRECT)[0] == 0
    assert len(table(place / "out")) == 6


def test_a_damaged_record_is_named(place, capsys):
    (shard,) = (place / "records/test").glob("*.tfrecord")
    data = bytearray(shard.read_bytes())
    data[-9] ^= 1
    shard.write_bytes(data)
    code, _, said = invoke(capsys, app, "toy://run", "toy://records/test", "--out", "toy://out", *DIRECT)
    assert code == 1
    assert f"error: toy://records/test/{shard.name}: a record is damaged, its checksum differs; run kreid-conv" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["toy://none", "toy://crops", "--out", "toy://out"], "toy://none: not a run folder"),
        (["toy://run", "toy://crops", "toy://records/test", "--out", "toy://out"], "IMAGES toy://crops: stands alone"),
        (["toy://run", "toy://crops", "--out", "toy://done"], "--out toy://done: holds vectors already"),
        (
            ["toy://run", "toy://crops", "--out", "toy://out", "--endpoint", "http://x"],
            "--server: is asked without --runner",
        ),
    ],
)
def test_a_wrong_place_is_told(place, capsys, arguments, words):
    (place / "done").mkdir()
    (place / "done/part-000000-of-000001.parquet").touch()
    code, _, said = invoke(capsys, app, *arguments, *DIRECT)
    assert (code, words in said) == (2, True), said


def test_an_address_without_images(place, capsys):
    (place / "odd").mkdir()
    (place / "odd/x.txt").touch()
    code, _, said = invoke(capsys, app, "toy://run", "toy://odd", "--out", "toy://out", *DIRECT)
    assert (code, "toy://odd: no PNG or JPEG file here" in said) == (1, True), said


def test_parquet_s_schema_is_as_the_formats_say():
    arrays = {
        "vectors": np.eye(2, 3, dtype=np.float32),
        "path": np.array(["a.png", "b\udce9.png"]),
        "person": np.array([7, -1]),
        "is_query": np.array([True, False]),
        "network": np.array("abc"),
    }
    file = io.BytesIO()
    write_parquet(file, arrays)
    written = parquet.read_table(file)
    assert {field.name: str(field.type) for field in written.schema} == {
        "vectors": "fixed_size_list<element: float>[3]",
        "path": "string",
        "person": "int64",
        "is_query": "bool",
    }
    assert written.schema.metadata == {b"kreid": b"vectors 1", b"network": b"abc"}
    assert written["path"].to_pylist() == ["a.png", "b\\udce9.png"]
    np.testing.assert_array_equal(np.stack(written["vectors"].to_numpy()), arrays["vectors"])
