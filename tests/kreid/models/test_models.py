"""Models: every configuration and backbone passes the shared check; options and mistakes are what they say."""

import inspect
from functools import partial

import checks
import keras
import numpy as np
import paths
import pytest
from configurations import changed
from unfilled import unfilled

from kreid.config.loading import check, load_config
from kreid.layers.bilinear import BilinearPooling
from kreid.losses.objective import build_losses
from kreid.losses.table import CLASSIFIERS
from kreid.models import BACKBONES, build_backbone, osnet
from kreid.models.embedders import build_model

CONFIGS = sorted(paths.CONFIGS.glob("*.yaml"))
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 32, 3)).astype("float32")


# An OSNet this narrow has gates of one unit, which rests where no image lights it up.
GATES = [f"conv{stage}.{block}.gate.fc{layer}" for stage in (2, 3, 4) for block in (0, 1) for layer in (1, 2)]
RESTING = dict.fromkeys(("osnet", "osnet_strong", "osnet_x0_25"), GATES)


def narrowed(section, side):
    """A model section as small as it goes: widths divided, no weights, few pixels, two stages of poses."""
    small = {key: narrowed(value, side) if isinstance(value, dict) else value for key, value in section.items()}
    changes = {"width_divisor": 16, "weights": None, "image_size": [side, side], "output_dim": 256}
    changes |= {key: min(small.get(key) or 2, 2) for key in ("paf_stages", "confidence_stages")}
    return small | {key: changes[key] for key in small if key in changes}


def side_of(backbone):
    """Pixels of a small image: a multiple of the patch, where there is one."""
    return 112 if backbone.endswith("14") else 96


def pictures(count, side):
    """Images unlike each other: a colour for each of 4 x 4 fields."""
    colours = np.random.default_rng(0).uniform(0, 255, (count, 4, 4, 3))
    return np.kron(colours, np.ones((1, side // 4, side // 4, 1))).astype("float32")


def backbones_of(path):
    model = load_config(path).model
    return {model.appearance.backbone} | ({f"openpose_{model.part.arch}"} if hasattr(model, "part") else set())


# What these are made of, the other configurations and tests of parity compute on the other backend, as a new one does
# unless it stands here; these are built there, which traces every layer.
REPEATED = ("two_stream", "layerwise", "resnet50", "resnet50mid", "two_stream_released", "two_stream_clip")
REPEATED += ("inception_v4", "resnet50_stripes")
REPEATED += ("osnet", "clip_vit_l14", "dinov2_vit_b14", "transreid_vit_b16", "osnet_strong", "two_stream_strong")
# The layers of these, joined in the same ways, are saved in another one.
SAVED_ELSEWHERE = ("resnet50", "two_stream_clip", "two_stream_strong", "osnet_strong", "clip_vit_l14", "demo")
# The network of this one is another's, too.
HALVED_ELSEWHERE = ("osnet_strong",)
# JAX takes 15 s to compile a training step of one of these. This one has both streams and the fusion; what the others
# are made of are Keras's own layers and heads, which train there in test_objective and test_osnet.
TRAINED_ON_JAX = ("demo",)


@pytest.mark.usefixtures("two_alike")
@pytest.mark.backend
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_passes_the_shared_check(path):
    config = load_config(path)
    side = side_of(config.model.appearance.backbone)
    model = narrowed(config.model.model_dump(mode="json"), side)
    model |= {key: 2 for output, key in CLASSIFIERS.items() if config.loss.weights(output)}
    config = check({**config.model_dump(mode="json"), "model": model})
    build, losses = partial(build_model, config.model, pretrained=False), partial(build_losses, config.loss)
    if keras.backend.backend() == "jax" and path.stem in REPEATED:
        with unfilled():
            checks.check_stated(build())
        return
    if keras.backend.backend() == "jax" and path.stem not in TRAINED_ON_JAX:
        losses = None
    labels = np.array([[0, 0], [0, 0], [1, 0], [1, 0]])
    saved = path.stem not in SAVED_ELSEWHERE or keras.backend.backend() == "jax"
    halved = path.stem not in HALVED_ELSEWHERE
    checks.check_model(build, pictures(4, side), losses, labels, RESTING.get(path.stem, ()), saved, halved)


def function_of(name):
    """What builds a backbone of any of its sizes: these differ in numbers, which test_vit and test_osnet count."""
    build = BACKBONES[name]
    return osnet.osnet if build in (osnet.osnet_x1_0, osnet.osnet_x0_25) else getattr(build, "func", build)


# The first of a function stands for all of it.
SWEPT = list({function_of(name): name for name in reversed(BACKBONES)}.values())
CONFIGURED = {function_of(name) for path in CONFIGS for name in backbones_of(path)}


# Within a configuration a backbone is saved, halved and trained, and runs on the other backend, as far as its maps are
# used there; here all its maps come out. The others go through everything here.
@pytest.mark.usefixtures("two_alike")
@pytest.mark.parametrize("name", SWEPT)
def test_every_backbone_passes_the_shared_check(name):
    side = side_of(name)
    options = inspect.signature(BACKBONES[name]).parameters
    two = {option: 2 for option in options if option.endswith("stages")}  # of OpenPose, each like the one before
    build = partial(build_backbone, name, (side, side, 3), width_divisor=16, **two)
    if function_of(name) in CONFIGURED:
        checks.check_outputs(build(), pictures(4, side))
        return
    losses, labels = (lambda maps: dict.fromkeys(maps, "mse")), np.zeros((4, 1, 1, 1))
    checks.check_model(build, pictures(4, side), losses, labels, RESTING.get(name, ()))


def build(tiny, **model):
    return build_model(changed(tiny, model=model).model, pretrained=False)


@pytest.mark.usefixtures("short_resnet")
def test_outputs_are_unit_vectors_under_the_names_of_their_layers(tiny):
    heads = {"layers": ["conv2", "conv3"], "hidden": [16, 12], "dim": 8}
    outputs = build(tiny, heads=heads, num_classes=5)(IMAGES)
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {"embedding": (2, 64), "conv2": (2, 8), "conv3": (2, 8), "logits": (2, 5)}
    for name in ("embedding", "conv2", "conv3"):
        np.testing.assert_allclose(np.linalg.norm(outputs[name], axis=1), 1.0, atol=1e-5)


@pytest.mark.usefixtures("short_resnet")
def test_concatenated_heads_are_ranked_and_the_final_vector_is_trained(tiny):
    outputs = build(tiny, heads={"layers": ["conv2"], "hidden": [], "dim": 8}, embedding="concat")(IMAGES)
    joined = np.concatenate([outputs["final"], outputs["conv2"]], axis=1)
    np.testing.assert_allclose(outputs["embedding"], joined / np.sqrt(2), atol=1e-5)


@pytest.mark.usefixtures("short_resnet")
def test_a_neck_separates_what_is_trained_from_what_is_ranked(tiny):
    outputs = build(tiny, neck=True, num_classes=3)(IMAGES)
    assert set(outputs) == {"final", "embedding", "logits"}


@pytest.mark.usefixtures("short_resnet")
def test_full_fusion_is_the_outer_product(tiny):
    model = build(tiny, bilinear={"mode": "full"})
    assert type(model.get_layer("fusion")) is BilinearPooling
    appearance, part = (tensor.shape[-1] for tensor in model.get_layer("fusion").input)
    assert model.output["embedding"].shape == (None, appearance * part)


@pytest.mark.usefixtures("short_resnet")
@pytest.mark.parametrize(
    ("features", "channels"), [("confidence", 26), ("confidence+paf", 78), ("concat", 52 + 26 + 4)]
)
def test_part_features(tiny, features, channels):
    part = {**tiny.model.part.model_dump(), "features": features}
    assert build(tiny, part=part).get_layer("fusion").input[1].shape[-1] == channels


@pytest.mark.usefixtures("two_alike")
def test_streams_are_trimmed_to_what_is_used(tiny):
    model = build(tiny)
    names = [layer.name for layer in model.get_layer("appearance").layers]
    assert "conv3_block2_out" in names
    assert not any(name.startswith(("conv4", "conv5")) for name in names)
    assert set(model.get_layer("appearance").output) == {"conv1", "conv2", "conv3"}  # those on the way are free
    assert set(model.get_layer("part").output) == {"feature", "paf_1", "confidence_1"}


@pytest.mark.usefixtures("short_resnet")
def test_equal_seeds_build_equal_models(tiny):
    outputs = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        outputs.append(np.asarray(build(tiny)(IMAGES)["embedding"]))
    np.testing.assert_array_equal(*outputs)


@pytest.mark.usefixtures("two_alike")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"appearance": {"backbone": "resnet5", "weights": None}}, "backbone 'resnet5' .* did you mean resnet50"),
        ({"appearance": {"weights": None, "layer": "conv9"}}, "model.appearance.layer: resnet50 has no map 'conv9'"),
        ({"heads": {"layers": ["conv7"]}}, "model.heads.layers: .*'conv7'; it has conv1"),
        ({"appearance": {"backbone": "osnet_x0_25", "weights": None, "last_stride": 1}}, "no option 'last_stride'"),
        (
            {
                "image_size": [40, 64],
                "appearance": {"weights": None, "width_divisor": 16, "last_stride": 2},
            },
            "model.image_size: .*multiples of 32",
        ),
        ({"appearance": {"weights": None, "layer": "conv2"}}, "model.appearance.layer: .*finer"),
    ],
)
def test_mistakes_name_their_key(tiny, model, message):
    with pytest.raises(ValueError, match=message):
        build(tiny, **model)
