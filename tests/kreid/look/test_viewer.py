"""What a network sees: maps at their place, and shares of the similarity that sum to it, for every configuration."""

import numpy as np
import paths
import pytest
from configurations import changed
from look_toy import KNEE, NOSE, sketch, toy

from kreid.config.loading import load_config
from kreid.errors import ConfigError
from kreid.layers.bilinear import BilinearPooling
from kreid.look.pairs import PARTS, _spread
from kreid.look.viewer import Viewer, relative
from kreid.models.embedders import build_model
from kreid.models.openpose import BODY_25_PARTS, COCO_PARTS

pytestmark = pytest.mark.usefixtures("short_resnet")
CONFIGS = sorted(paths.CONFIGS.glob("*.yaml"))
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def two_stream(tiny):
    return build_model(tiny.model)


def look_at(model, images):
    viewer = Viewer(model)
    return viewer, viewer.see(images)


def pixels(size):
    return RNG.uniform(0, 255, (2, *size, 3)).astype("float32")


def shake(model):
    """Give every weight that training moves another value, biases and norms too, and nothing zero."""
    for weight in model.weights:
        if not weight.path.endswith(("h1", "h2", "s1", "s2")):
            noise = RNG.uniform(0.5, 1.5, weight.shape)
            weight.assign(np.where(np.asarray(weight) == 0, 0.1 * noise, np.asarray(weight) * noise))
    return model


def shares(model, images):
    """Look at two images, and check their shares against the model's own embeddings."""
    viewer, (first, second) = look_at(model, images)
    pair = viewer.compare(first, second)
    own = np.asarray(model(images, training=False)["embedding"], np.float64)
    np.testing.assert_allclose(pair.values.sum((1, 2, 3)) + pair.rest, own[0] @ own[1], atol=1e-5)
    assert pair.similarity == pytest.approx(own[0] @ own[1], abs=1e-5)
    assert pair.values.shape[0] == 2
    assert pair.values.shape[3] == len(pair.parts)
    return viewer, first, pair


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("two_alike")
def test_every_configuration_can_be_looked_at(path):
    size = (96, 80) if path.stem == "inception_v4" else (70, 28) if path.stem.endswith("14") else (64, 32)
    narrow = ["model.appearance.weights=null", "model.appearance.width_divisor=32", f"model.image_size={list(size)}"]
    two_stream = load_config(path).model.embedder == "two_stream"
    if two_stream:
        narrow += ["model.part.width_divisor=32", "model.part.paf_stages=2", "model.part.confidence_stages=2"]
    model, images = shake(build_model(load_config(path, narrow).model, pretrained=False)), pixels(size)
    viewer, seen, pair = shares(model, images)
    assert list(seen.activation) == list(viewer.stages)
    assert all(one.ndim == 2 and one.min() >= 0 for one in seen.activation.values())
    if two_stream:
        assert len(viewer.parts) == (19 if "released" in path.stem else 26)
        maps = model.get_layer("part")(images)
        np.testing.assert_allclose(seen.parts, maps["confidence_2"][0], rtol=1e-3, atol=1e-3)
        limbs = maps["paf_2"] if "paf_2" in maps else maps["paf_1"]
        np.testing.assert_allclose(seen.limbs, np.linalg.norm(limbs[0], axis=-1), rtol=1e-3)
        assert abs(pair.rest).max() < 1e-5
    else:
        assert (seen.parts, seen.limbs, viewer.parts) == (None, None, ())


@pytest.mark.parametrize(
    "options, parts, exact",
    [
        ({"bilinear": {"mode": "full", "signed_sqrt": True}}, BODY_25_PARTS, True),
        ({"bilinear": {"output_dim": 64, "signed_sqrt": True}}, BODY_25_PARTS, True),
        ({"neck": True, "num_classes": 3, "part": {"features": "concat"}}, ("limbs", *BODY_25_PARTS, "trunk"), False),
        (
            {"heads": {"layers": ["conv2"], "hidden": [8], "dim": 4}, "embedding": "concat", "neck": True},
            (*BODY_25_PARTS, "conv2 head"),
            False,
        ),
        ({"embedding": "concat"}, BODY_25_PARTS, True),
    ],
)
def test_options_of_the_two_stream_network(tiny, options, parts, exact):
    part = {**tiny.model.part.model_dump(), **options.get("part", {})}
    embedding = {"embedding": options.get("embedding", "final")}  # without heads: an earlier run
    config = changed(tiny, model={**options, "part": part, "embedding": "final"}).model.model_copy(update=embedding)
    _, _, pair = shares(shake(build_model(config)), pixels((64, 32)))
    assert pair.parts == tuple(parts)
    assert (abs(pair.rest).max() < 1e-5) == exact


def test_constants_of_a_one_stream_network_are_told_apart(tiny_one):
    _, _, pair = shares(shake(build_model(tiny_one.model)), pixels((32, 32)))
    assert pair.parts == ("appearance",)
    assert abs(pair.rest).max() > 1e-3  # the biases of its fully connected layer
    plain = build_model(changed(tiny_one, model={"fc": []}).model)
    assert abs(shares(shake(plain), pixels((32, 32)))[2].rest).max() < 1e-5


def test_a_pair_by_hand():
    """A's nose fires at two places, B's at one; the knee, which is red, only where there is no blue."""
    first, second = np.zeros((2, 2, 2, 3), "float32")
    first[0, 1] = 0, 4, 2  # appearance (0, 4), nose 2
    first[1, 1] = 0, 3, -1
    first[1, 0] = 5, 0, 0  # appearance (5, 0), knee 5
    second[1, 0] = 0, 2, 2
    viewer, seen = look_at(toy(), np.stack([first, second]))
    pair = viewer.compare(*seen)
    # Pooled over four places: A has 4 * 2 - 3 = 5 at (green, nose) and 25 at (red, knee), B 4 at (green, nose).
    assert pair.similarity == pytest.approx(5 / np.hypot(5, 25))
    expected = np.zeros((2, 2, 2, 26))
    expected[0, 0, 1, NOSE], expected[0, 1, 1, NOSE] = np.array([8, -3]) / np.hypot(5, 25)
    expected[1, 1, 0, NOSE] = pair.similarity
    np.testing.assert_allclose(pair.values, expected, atol=1e-6)

    second[0, 0] = 1, 0, 0  # B's knee fires, at one place: that moves, and what it divides
    _, seen = look_at(toy(), np.stack([first, second]))
    moved = viewer.compare(*seen).values
    np.testing.assert_allclose(moved[1, 0, 0, KNEE], 25 / np.hypot(5, 25) / np.hypot(4, 1), atol=1e-6)
    np.testing.assert_allclose(moved[..., NOSE] * np.hypot(4, 1) / 4, expected[..., NOSE], atol=1e-6)
    assert np.flatnonzero(np.abs(moved[1]).sum(axis=(0, 1)) > 1e-6).tolist() == sorted([NOSE, KNEE])


@pytest.mark.parametrize("signed_sqrt", [False, True])
def test_shares_of_a_sketch_are_those_of_the_formula(signed_sqrt):
    """`sum_i a_i G[i,k] p_k` with G[i,k] = s1[i] s2[k] w[(h1[i] + h2[k]) mod d], w the other's embedding / |f|."""
    layer = sketch(signed_sqrt=signed_sqrt)
    model = toy(fusion=layer)
    images = RNG.normal(size=(2, 2, 2, 3)).astype("float32")
    viewer, seen = look_at(model, images)
    h1, s1, h2, s2 = (np.asarray(weight) for weight in layer.weights)
    bins, signs = (h1[:, None] + h2) % 16, s1[:, None] * s2
    for row in (0, 1):
        a, p = seen[row].pooled[0]
        outer = np.einsum("xyi,xyk->ik", a, p) / 4
        f = np.bincount(bins.ravel(), (outer * signs).ravel(), minlength=16)
        # A root is shared out as its entry is made up: f / sqrt|f| is the entry times 1 / sqrt|f|.
        each = np.divide(1, np.sqrt(abs(f)), where=f != 0, out=np.zeros(16)) if signed_sqrt else np.ones(16)
        weights = seen[1 - row].embedding * each / np.linalg.norm(f * each)
        expected = np.einsum("xyi,ik,xyk->xyk", a, signs * weights[bins], p) / 4
        np.testing.assert_allclose(viewer.compare(*seen).values[row], expected, atol=1e-5)


def test_maps_light_the_right_cell():
    image = np.zeros((8, 4, 3), "float32")
    image[4:6, 2:4] = 200, 100, 0  # two pixels a cell: row 2, column 1
    image[0, 0, 2] = 40
    viewer, (seen,) = look_at(toy((8, 4), 2), image[None])
    expected = np.zeros((4, 2))
    expected[2, 1] = np.hypot(200, 100)
    np.testing.assert_allclose(seen.activation["conv1"], expected, rtol=1e-6)
    assert seen.parts[0, 0, viewer.parts.index("nose")] == 10
    assert seen.parts[2, 1, viewer.parts.index("left knee")] == 200
    assert seen.parts.sum() == 210


def test_layers_in_the_order_asked_for(two_stream):
    viewer = Viewer(two_stream)
    images = np.zeros((3, 64, 32, 3))
    seen = viewer.see(images, ["conv3", "conv1"])
    assert len(seen) == 3
    assert {name: one.shape for name, one in seen[0].activation.items()} == {"conv3": (8, 4), "conv1": (32, 16)}
    with pytest.raises(ValueError, match=r"no map 'conv4' in this network; it has conv1, conv2, conv3"):
        viewer.see(images, ["conv4"])


@pytest.mark.usefixtures("two_alike")
def test_single_blocks_can_be_asked_for_but_are_no_stage():
    viewer = Viewer(build_model(load_config(CONFIGS[0].with_name("resnet50mid.yaml"), [
        "model.appearance.weights=null", "model.appearance.width_divisor=32", "model.image_size=[64,32]"
    ]).model, pretrained=False))  # fmt: skip
    assert viewer.stages == ("conv1", "conv2", "conv3", "conv4", "conv5")
    assert {"conv5_1", "conv5_2"} < set(viewer.layers)


def test_names_without_a_pose_network_come_with_a_note(tiny, tiny_one, two_stream):
    assert "random weights" in Viewer(two_stream, tiny.model).note
    part = {**tiny.model.part.model_dump(), "weights": "pose.caffemodel"}
    assert Viewer(two_stream, changed(tiny, model={"part": part}).model).note == ""
    assert Viewer(two_stream).note == Viewer(build_model(tiny_one.model), tiny_one.model).note == ""


def test_only_embedders_can_be_looked_into(two_stream):
    with pytest.raises(ValueError, match="model: expected one that build_model"):
        Viewer(two_stream.get_layer("appearance"))


def test_what_cannot_be_looked_at_is_refused_in_a_line(two_stream, tiny):
    viewer = Viewer(two_stream)
    height, width = viewer.image_size
    for images in (np.zeros((2, 3)), np.zeros((1, height + 1, width, 3)), "a.png"):
        with pytest.raises(ConfigError, match=rf"^images: expected \(N, {height}, {width}, 3\), RGB 0-255, received "):
            viewer.see(images)
    with pytest.raises(ConfigError, match=r"^layers: expected a list of names, received 'conv1'; give \['conv1'\]$"):
        viewer.see(np.zeros((1, height, width, 3)), "conv1")
    with pytest.raises(ConfigError, match="^second: expected a Seen, received 2; give what `see` returned$"):
        viewer.compare(viewer.see(np.zeros((1, height, width, 3)))[0], 2)
    with pytest.raises(
        ConfigError, match="^config: expected the model section of a configuration, received a Config; "
    ):
        Viewer(two_stream, tiny)


def test_key_points_in_openposes_order():
    assert PARTS == {26: BODY_25_PARTS, 19: COCO_PARTS}
    assert len(set(BODY_25_PARTS)) == 26
    assert set(COCO_PARTS) < set(BODY_25_PARTS)
    known = {8: "middle hip", 9: "right hip", 14: "left ankle", 18: "left ear", 19: "left big toe", 24: "right heel"}
    assert {number: BODY_25_PARTS[number] for number in known} == known
    assert (COCO_PARTS[8], COCO_PARTS[13], COCO_PARTS[17]) == ("right hip", "left ankle", "left ear")


def test_coarse_cells_are_divided_evenly():
    values = RNG.normal(size=(2, 4, 3, 5))
    np.testing.assert_array_equal(_spread(values, (4, 3)), values)
    spread = _spread(values, (8, 5))
    np.testing.assert_allclose(spread.sum((1, 2)), values.sum((1, 2)))
    np.testing.assert_allclose(spread[:, 0, 0], values[:, 0, 0] / 2 * 3 / 5)
    np.testing.assert_allclose(spread[:, 7, 1], (values[:, 3, 0] * 2 / 5 + values[:, 3, 1] / 5) / 2)


def test_relative():
    np.testing.assert_allclose(relative(np.array([[-1.0, 0], [3, 1]])), [[0, 0.25], [1, 0.5]])
    assert not relative(np.full((2, 2), 7.0)).any()


def test_full_pooling_shares_parts_alike_from_both_sides():
    images = RNG.normal(size=(2, 2, 2, 3)).astype("float32")
    viewer, seen = look_at(toy(fusion=BilinearPooling(pool="sum", normalize=False, name="fusion")), images)
    by_part = viewer.compare(*seen).values.sum((1, 2))
    np.testing.assert_allclose(by_part[0], by_part[1], atol=1e-6)
