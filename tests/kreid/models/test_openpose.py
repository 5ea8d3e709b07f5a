"""The OpenPose networks against OpenCV's outputs of the original Caffe descriptions, for seeded weights."""

import fill
import keras
import numpy as np
import pytest
from checks import infer
from paths import GOLDEN
from unfilled import unfilled

from kreid.layers.preprocessing import ImagePreprocessing
from kreid.models import build_backbone, openpose
from kreid.weights import assign

BUILDERS = {"body25": openpose.body_25, "coco": openpose.coco}
# Where the recorded taps are found in a model: map name -> Caffe's layer.
MAPS = {
    "body25": {
        "feature": "conv4_4_CPM",
        **{f"paf_{i + 1}": f"Mconv7_stage{i}_L2" for i in range(4)},
        **{f"confidence_{i + 1}": f"Mconv7_stage{i}_L1" for i in range(2)},
    },
    "coco": {
        "feature": "conv4_4_CPM",
        "paf_1": "conv5_5_CPM_L1",
        "confidence_1": "conv5_5_CPM_L2",
        **{f"paf_{i}": f"Mconv7_stage{i}_L1" for i in range(2, 7)},
        **{f"confidence_{i}": f"Mconv7_stage{i}_L2" for i in range(2, 7)},
    },
}
SMALL = ["body25_div16", "coco_div32"]


def recorded(name):
    """Return the recorded arrays, the weights under their names, and the builder's arguments."""
    golden = fill.load(GOLDEN / f"openpose_{name}.npz")
    tensors = {key.replace("/", "."): value for key, value in fill.build(golden).items()}
    return golden, tensors, {"width_divisor": golden["meta"]["width_divisor"]}


@unfilled()
def build(name, **options):
    return BUILDERS[name.split("_")[0]]((None, None, 3), **options)


@pytest.fixture(scope="module")
def networks():
    """Each recorded network is built and given its weights once, by name; for images of any size."""
    found = {}

    def network(name):
        name = name.removesuffix("_odd")  # the same weights, other images
        if name not in found:
            _, tensors, options = recorded(name)
            model = build(name, **options)
            report = assign(model, tensors)
            assert (len(report.loaded), report.missing, report.unused) == (len(tensors), (), ())
            found[name] = model
        return found[name]

    return network


def difference(actual, expected):
    """Return the largest difference as a share of the largest expected value."""
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


def check_maps(name, golden, outputs):
    """Compare every map with what is recorded of it: means, deviations and three pixels, the last ones in full."""
    for key, layer in MAPS[name.split("_")[0]].items():
        tap = f"inter/{layer}"
        if key not in outputs or f"{tap}/mean" not in golden:
            continue
        array = outputs[key]
        height, width = array.shape[1:3]
        pixels = array[:, [0, height // 2, height - 1], [0, width // 2, width - 1]]
        assert difference(array.mean((1, 2)), golden[f"{tap}/mean"]) < 1e-4, key
        assert difference(array.std((1, 2)), golden[f"{tap}/std"]) < 1e-4, key
        assert difference(pixels, golden[f"{tap}/px"]) < 1e-4, key
    assert difference(outputs["feature"][:, ::4, ::4], golden["inter/trunk_lattice"]) < 1e-4


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.backend) for name in SMALL),
        *(pytest.param(f"{n}{s}", marks=pytest.mark.slow) for n in BUILDERS for s in ("", "_odd")),
    ],
)
def test_equals_the_original(name, networks):
    golden, model = fill.load(GOLDEN / f"openpose_{name}.npz"), networks(name)
    outputs = infer(model, golden["images"].astype("float32"))
    check_maps(name, golden, outputs)
    maps = list(MAPS[name.split("_")[0]])
    assert sorted(outputs) == sorted(maps)
    last = {kind: [key for key in maps if key.startswith(kind)][-1] for kind in ("paf", "confidence")}
    assert difference(outputs[last["paf"]], golden["out/paf"]) < 1e-4
    assert difference(outputs[last["confidence"]], golden["out/heatmaps"]) < 1e-4
    if golden["meta"]["width_divisor"] == 1:
        assert model.count_params() == {"body25": 26_166_084, "coco": 52_311_446}[name.split("_")[0]]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"mean": 127.5, "std": 255, "channel_order": "bgr"}, id="x / 255 - 0.5"),
        pytest.param({"mean": 128, "std": 256, "channel_order": "rgb"}, id="RGB"),
        pytest.param({"mean": 128, "std": 255, "channel_order": "bgr"}, id="(x - 128) / 255"),
    ],
)
def test_parity_would_notice_another_preprocessing(wrong, networks):
    golden, _, options = recorded("coco_div32")
    model = build("coco", **options, preprocessing=ImagePreprocessing(**wrong))
    model.set_weights(networks("coco_div32").get_weights())
    assert difference(infer(model, golden["images"].astype("float32"))["paf_6"], golden["out/paf"]) > 5e-4


@pytest.mark.parametrize("name", SMALL)
def test_layers_have_the_names_of_caffe(name, networks):
    golden, _, _ = recorded(name)
    ours = [layer.name for layer in networks(name).layers]
    # ReLU is part of our convolutions; in place of the last concatenation there is a dict.
    theirs = {layer for layer, kind in golden["meta"]["layers"] if kind != "ReLU"} - {"net_output", "concat_stage7"}
    assert set(ours) - theirs == {"images", "preprocessing"}
    assert theirs <= set(ours)
    assert len(ours) == len(set(ours))


@pytest.mark.parametrize(
    "name, fewer", [("body25_div16", {"paf_stages": 2, "confidence_stages": 1}), ("coco_div32", {"stages": 2})]
)
def test_fewer_stages_take_their_part_of_the_whole_file(name, fewer):
    golden, tensors, options = recorded(name)
    model = build(name, **options, **fewer)
    report = assign(model, tensors)
    assert report.missing == report.misshapen == ()
    assert set(report.loaded) | set(report.unused) == set(tensors)
    assert all("stage" in layer for layer in report.unused)
    outputs = infer(model, golden["images"].astype("float32"))
    if name.startswith("body25"):
        # The first confidence stage takes the last PAF there is, so it differs from the whole network's.
        assert difference(outputs.pop("confidence_1")[:, 0, 0], golden["inter/Mconv7_stage0_L1/px"][:, 0]) > 1e-2
    check_maps(name, golden, outputs)


@pytest.mark.parametrize(
    "builder, options",
    [(openpose.body_25, {"paf_stages": 1, "confidence_stages": 2}), (openpose.coco, {"stages": 2})],
    ids=list(BUILDERS),
)
def test_any_size_gives_maps_of_an_eighth_rounded_up(builder, options):
    model = builder((None, None, 3), width_divisor=1000, **options)
    for shape, grid in [((1, 1), (1, 1)), ((17, 9), (3, 2)), ((16, 8), (2, 1)), ((33, 71), (5, 9))]:
        shapes = model.compute_output_shape((3, *shape, 3))
        assert {shape[:3] for shape in shapes.values()} == {(3, *grid)}


@pytest.mark.parametrize(
    "builder, options, channels",
    [
        (openpose.body_25, {"paf_stages": 2}, {"paf_1": 52, "paf_2": 52, "confidence_1": 26, "confidence_2": 26}),
        (openpose.coco, {"stages": 2}, {"paf_1": 38, "paf_2": 38, "confidence_1": 19, "confidence_2": 19}),
    ],
    ids=list(BUILDERS),
)
def test_maps_keep_their_channels_when_the_network_is_narrowed(builder, options, channels):
    model = builder((16, 8, 3), width_divisor=1000, **options)
    assert {key: value.shape[-1] for key, value in model.output.items()} == {"feature": 4, **channels}


def test_slopes_start_at_caffes_default():
    model = openpose.body_25((16, 8, 3), paf_stages=1, confidence_stages=1, width_divisor=64)
    (slope,) = model.get_layer("prelu4_2").get_weights()
    np.testing.assert_array_equal(slope, np.full((1, 1, 8), 0.25))


@pytest.mark.parametrize(
    "builder, options, message",
    [
        (openpose.body_25, {"paf_stages": 0}, "paf_stages: expected a positive integer, received 0"),
        (openpose.body_25, {"confidence_stages": -1}, "confidence_stages: expected a positive integer, received -1"),
        (openpose.body_25, {"width_divisor": 0}, "width_divisor: expected a positive integer, received 0"),
        (openpose.coco, {"stages": 1.5}, "stages: expected a positive integer, received 1.5"),
        (openpose.coco, {"input_shape": (256, 128, 1)}, r"openpose_coco: input_shape: .* received \(256, 128, 1\)"),
    ],
)
def test_says_what_is_wrong_with_an_argument(builder, options, message):
    with pytest.raises(ValueError, match=message):
        builder(**options)


@pytest.mark.parametrize("name", ["openpose_body_25", "openpose_coco"])
def test_random_weights_keep_the_size_of_the_signal(name):
    """Else training from scratch, the paper's abstract, starts with maps of thousands and gradients of millions."""
    keras.utils.set_random_seed(0)
    backbone = build_backbone(name, (64, 32, 3), width_divisor=8)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)).astype("float32")
    maps = {key: float(np.std(value)) for key, value in infer(backbone, images).items()}
    assert all(1e-3 < size < 5.0 for size in maps.values()), maps
