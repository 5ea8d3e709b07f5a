"""Embeddings of records, plain, averaged over pictures, and with layer-wise heads, against the model called by hand."""

import keras
import numpy as np
import pytest
from configurations import changed
from sets import write_images
from tiny_runs import with_heads

from kreid.config.sections import Evaluation
from kreid.data.records import record_batches
from kreid.embedding import extract as embedding
from kreid.embedding.extract import embed, embed_each, embed_files
from kreid.embedding.views import cut, pictures
from kreid.errors import ConfigError
from kreid.models.embedders import build_model
from kreid.ranking.truth import read_groundtruth
from tfrecords_tools.writer import convert

pytestmark = pytest.mark.usefixtures("resnet_stem")


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def model(tiny_one):
    return build_model(with_heads(tiny_one).model)


@pytest.fixture(scope="module")
def images(records):
    return np.concatenate([batch.numpy() for batch in record_batches(records / "test", (32, 32))])


@pytest.fixture
def market(tmp_path):
    """Records of a set whose cameras are known."""
    names = ["query/0001_c1_1.png", "bounding_box_test/0000_c2_3.png", "bounding_box_test/0001_c4_2.png"]
    write_images(tmp_path / "set", names)
    convert(tmp_path / "set", tmp_path / "records")
    return tmp_path / "records/test"


def test_cameras_come_along_where_records_tell_them(model, market, records):
    assert embed(model, market).camera.tolist() == [1, 2, 4]
    assert embed(model, market, rows=[2, 0]).camera.tolist() == [4, 1]
    assert read_groundtruth(market).camera.tolist() == [1, 2, 4]
    assert embed(model, records / "test", rows=[0, 1]).camera is None
    assert read_groundtruth(records / "test").camera is None


# === Pictures ===


def test_pictures_begin_with_the_whole_image():
    assert pictures(Evaluation()) == (("whole", False),)
    assert pictures(Evaluation(flip=True, crops=2)) == (
        ("whole", False),
        ("centre", False),
        ("whole", True),
        ("centre", True),
    )
    assert [crop for crop, _ in pictures(Evaluation(crops=6))] == ["whole", "centre", "top", "bottom", "left", "right"]


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        ("centre", (2, 37), (1, 18)),
        ("top", (0, 35), (1, 18)),
        ("bottom", (4, 39), (1, 18)),
        ("left", (2, 37), (0, 17)),
        ("right", (2, 37), (2, 19)),
    ],
)
def test_crops_hold_nine_tenths_from_where_they_say(crop, rows, columns):
    # 40 x 20 pixels that say their row and their column; enlarged bilinearly, the borders keep their values.
    image = np.stack([*np.mgrid[:40, :20], np.zeros((40, 20))], axis=-1)[None].astype(np.float32)
    picture = cut(image, (crop, False)).numpy()
    assert picture.shape == image.shape
    assert (picture[0, 0, 0, 0], picture[0, -1, 0, 0]) == pytest.approx(rows, abs=1e-3)
    assert (picture[0, 0, 0, 1], picture[0, 0, -1, 1]) == pytest.approx(columns, abs=1e-3)
    np.testing.assert_array_equal(cut(image, (crop, True)), picture[:, :, ::-1])


def test_the_whole_image_stays_as_it_is():
    image = np.random.default_rng(0).random((2, 5, 4, 3))
    assert cut(image, ("whole", False)) is image


# === Embeddings ===


def test_each_way_agrees_with_the_model_called_by_hand(model, images, records):
    def called(batch):
        outputs = {name: np.asarray(value) for name, value in model(batch, training=False).items()}
        return outputs["embedding"], np.concatenate([outputs["embedding"], outputs["conv1"]], axis=1)

    centre = cut(images, ("centre", False)).numpy()
    plain, both = called(images)
    expected = {
        Evaluation(): plain,
        Evaluation(flip=True): unit(plain + called(images[:, :, ::-1])[0]),
        Evaluation(crops=2): unit(plain + called(centre)[0]),
        Evaluation(embedding="concat"): unit(both),
        Evaluation(flip=True, crops=2, embedding="concat"): unit(
            sum(called(part)[1] for part in (images, centre, images[:, :, ::-1], centre[:, :, ::-1]))
        ),
    }
    found = embed_each(model, records / "test", list(expected), batch_size=7)
    for settings, one in zip(expected, found, strict=True):
        np.testing.assert_allclose(one.embeddings.vectors, expected[settings], atol=2e-5, err_msg=str(settings))
        assert one.seconds > 0
    assert found[-1].seconds > found[0].seconds
    np.testing.assert_array_equal(embed(model, records / "test", batch_size=7).vectors, found[0].embeddings.vectors)


def test_every_picture_goes_through_the_network_once(model, images, records, monkeypatch):
    seen = []
    monkeypatch.setattr(
        embedding,
        "extractor",
        lambda model, outputs: lambda batch: seen.append(len(batch)) or np.ones((len(batch), 16)),
    )
    settings = [Evaluation(), Evaluation(flip=True), Evaluation(crops=2), Evaluation(rerank={}), Evaluation(expand=2)]
    found = embed_each(model, records / "test", settings, batch_size=len(images))
    assert seen == [1, *[len(images)] * 3]  # one image to compile, then whole, mirrored, centre
    assert found[0].embeddings is found[3].embeddings is found[4].embeddings


def test_heads_that_the_embedding_holds_already_are_not_joined_again(tiny_one, records):
    joined = build_model(changed(with_heads(tiny_one), model={"embedding": "concat"}).model)
    plain, concat = embed_each(joined, records / "test", [Evaluation(), Evaluation(embedding="concat")])
    assert concat.embeddings.vectors.shape[1] == 16 + 8
    np.testing.assert_allclose(concat.embeddings.vectors, plain.embeddings.vectors, atol=1e-6)


def test_a_model_without_heads_cannot_join_them(tiny_one, records):
    with pytest.raises(ValueError, match=r"has none \(model.heads.layers\)"):
        embed(build_model(tiny_one.model), records / "test", settings=Evaluation(embedding="concat"))


def test_one_path_is_no_list_of_files():
    with pytest.raises(ConfigError, match=r"paths: expected a list of files, received 'a.png'; give \[path\] for one"):
        embed_files(None, "a.png")


@pytest.mark.parametrize(("named", "received"), [(False, "one without names"), (True, "outputs maps, logits")])
def test_a_network_without_an_embedding_is_told_what_to_put_out(records, tmp_path, named, received):
    image = keras.Input((32, 16, 3))
    network = keras.Sequential([keras.layers.Flatten(name="flat")])
    if named:
        network = keras.Model(image, {"maps": image, "logits": network(image)})
    for embedded in (lambda: embed(network, records / "test"), lambda: embed_files(network, [records / "info.json"])):
        with pytest.raises(ValueError, match=f"model: expected .* an output named embedding, .* received {received}"):
            embedded()
