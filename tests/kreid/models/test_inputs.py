"""Networks that are given the camera of each image."""

import fill
import numpy as np
import pytest
from configurations import changed
from paths import GOLDEN

from kreid.errors import ConfigError
from kreid.models import build_backbone, vit_origins
from kreid.models.embedders import build_model
from kreid.models.files import load
from kreid.models.inputs import camera_names, check_images_alone, image_size, takes_cameras
from kreid.models.vit_origins import Size

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 16, 3)).astype("float32")


def stream(names=None, backbone="transreid_vit_s16", **options):
    """An appearance section of the first block; its network knows two cameras, or as many as have names."""
    own = {"backbone": backbone, "weights": None, "layer": "block_1", "width_divisor": 16, "cameras": 2, **options}
    return own if names is None else {**own, "cameras": len(names), "camera_names": names}


def build(tiny, **options):
    return build_model(changed(tiny, model={"appearance": stream(**options)}).model, pretrained=False)


@pytest.mark.parametrize("kind", ["tiny_vit", "tiny"])
def test_one_stream_or_two_the_camera_decides_with_the_image(kind, request):
    config = request.getfixturevalue(kind)
    if kind == "tiny":
        config = changed(config, model={"image_size": [64, 32]})
    model = build(config, names=["left", "right"])
    height, width = config.model.image_size
    assert image_size(model) == (height, width)
    assert camera_names(model) == ("left", "right")
    images = np.repeat(IMAGES[:1], 3, 0).repeat(height // 32, 1).repeat(width // 16, 2)
    table = next(weight for weight in model.weights if "sie_embed" in weight.path)
    table.assign(np.random.default_rng(1).normal(size=table.shape))
    found = np.asarray(model({"image": images, "camera": np.int32([0, 1, 0])})["embedding"])
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-2


def test_a_network_of_images_alone_has_no_cameras(tiny_vit):
    model = build_model(tiny_vit.model, pretrained=False)
    assert image_size(model) == (32, 16)
    assert not takes_cameras(model)
    assert camera_names(model) is None
    check_images_alone(model, "images")


def test_cameras_without_names_cannot_be_told(tiny_vit):
    model = build(tiny_vit)
    with pytest.raises(ConfigError, match=r"^model: nothing names its 2 cameras.*model\.appearance\.camera_names"):
        camera_names(model)
    with pytest.raises(ConfigError, match=r"^crops: the network asks for the camera of each image"):
        check_images_alone(model, "crops")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Writes a recorded file of TransReID's, whose two cameras it leaves out where `without`."""
    monkeypatch.setitem(vit_origins.SIZES, "b16", Size(heads=1, depth=3, patch=16))

    def write(without=False):
        tensors = fill.build(fill.load(GOLDEN / "vit_transreid_narrow_cameras.npz"))
        np.savez(tmp_path / "x.npz", **{name: one for name, one in tensors.items() if not (without and "sie" in name)})
        return tmp_path / "x.npz", tensors["sie_embed"]

    return write


def vectors_of(backbone):
    return np.asarray(backbone.get_layer("sie_embed").embeddings)


def test_a_file_of_as_many_cameras_fills_their_vectors(published):
    path, expected = published()
    backbone = build_backbone("transreid_vit_b16", (64, 32, 3), cameras=2)
    assert load(backbone, path).unused == ()
    np.testing.assert_array_equal(vectors_of(backbone), expected[:, 0])


def test_a_file_of_another_number_of_cameras_says_how_many(published):
    with pytest.raises(
        ValueError, match=r"sie_embed: expected \(3, 1, 64\).*; it fits transreid_vit_b16 with cameras: 2$"
    ):
        load(build_backbone("transreid_vit_b16", (64, 32, 3), cameras=3), published()[0])


def test_a_file_without_cameras_leaves_theirs_to_be_learned(published, caplog):
    backbone = build_backbone("transreid_vit_b16", (64, 32, 3), cameras=3)
    before = vectors_of(backbone)
    report = load(backbone, published(without=True)[0])
    assert report.missing == ()
    np.testing.assert_array_equal(vectors_of(backbone), before)
    assert "no vectors of cameras (sie_embed), which start from random values" in caplog.text
