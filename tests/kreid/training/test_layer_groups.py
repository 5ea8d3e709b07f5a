"""Which layers `train.freeze` and `train.rates` mean, and what freezing does."""

import keras
import numpy as np
import pytest

from kreid.config.sections import Train
from kreid.errors import ConfigError
from kreid.training.layer_groups import matching, named_layers, rate_groups, set_frozen


@pytest.fixture
def model():
    """A stream with two convolutions whose names begin alike, and layers behind it."""
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="conv1_1")(image)
    x = keras.layers.BatchNormalization(name="conv1_bn")(x)
    x = keras.layers.Conv2D(2, 1, name="conv10")(x)
    stream = keras.Model(image, x, name="part")
    x = keras.layers.Conv2D(2, 1, name="part_embed")(stream(image))
    x = keras.layers.Dense(2, name="fc.0")(keras.layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, keras.layers.BatchNormalization(name="fc.1")(x))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("part", ["part.conv1_1", "part.conv1_bn", "part.conv10"]),
        ("part.conv1", ["part.conv1_1", "part.conv1_bn"]),
        ("part.conv10", ["part.conv10"]),
        ("part_embed", ["part_embed"]),
        ("fc", ["fc.0", "fc.1"]),
        ("fc.1", ["fc.1"]),
    ],
)
def test_names_mean_streams_layers_and_beginnings(model, pattern, names):
    assert matching(model, pattern, "train.freeze") == names


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("prat", "did you mean part?"), ("part.conv1_2", "did you mean part.conv1_1?"), ("pool", "expected one of part,")],
)
def test_a_name_of_nothing_is_an_error_with_a_hint(model, pattern, hint):
    with pytest.raises(ConfigError, match=f"train.freeze: no layer '{pattern}' has weights; {hint}"):
        matching(model, pattern, "train.freeze")


def test_frozen_layers_do_not_learn_and_their_batch_norms_infer(model):
    images = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
    set_frozen(model, ["part"], frozen=True)
    assert [v.path for v in model.trainable_variables] == [
        "part_embed/kernel",
        "part_embed/bias",
        "fc.0/kernel",
        "fc.0/bias",
        "fc.1/gamma",
        "fc.1/beta",
    ]
    kept = named_layers(model)["part.conv1_bn"]
    before = np.asarray(kept.moving_mean)
    model(images, training=True)
    np.testing.assert_array_equal(kept.moving_mean, before)
    set_frozen(model, ["part"], frozen=False)
    model(images, training=True)
    assert np.abs(np.asarray(kept.moving_mean) - before).max() > 0
    with pytest.raises(ConfigError, match="train.freeze: every layer is frozen"):
        set_frozen(model, ["part", "part_embed", "fc"], frozen=True)


def test_groups_follow_the_longest_name_and_leave_frozen_layers_out(model):
    rates = {"part": 0.1, "part.conv1": 0.5, "fc.0": 2.0}
    found = rate_groups(model, Train(rates=rates, freeze=["fc.1"]))
    names = {key: [v.path for v in variables] for key, variables in found.items()}
    assert names == {
        (0.5, False): ["conv1_1/kernel", "conv1_1/bias", "conv1_bn/gamma", "conv1_bn/beta"],
        (0.1, False): ["conv10/kernel", "conv10/bias"],
        (1.0, False): ["part_embed/kernel", "part_embed/bias"],
        (2.0, False): ["fc.0/kernel", "fc.0/bias"],
    }
    later = rate_groups(model, Train(rates=rates, freeze=["fc.1"], freeze_epochs=3))
    assert [v.path for v in later[1.0, True]] == ["fc.1/gamma", "fc.1/beta"]


def test_rates_fall_by_depth_towards_the_image():
    """By hand, for two blocks and a decay of 1/2: patches 1/8, first block 1/4, second 1/2, what follows 1."""
    image = keras.Input((8, 4))
    x = keras.layers.Dense(4, use_bias=False, name="patch_embed.proj")(image)
    for block in range(2):
        x = keras.layers.Dense(4, use_bias=False, name=f"blocks.{block}.mlp.fc1")(x)
        x = keras.layers.Dense(4, use_bias=False, name=f"blocks.{block}")(x)
    stream = keras.Model(image, keras.layers.LayerNormalization(center=False, name="norm")(x), name="appearance")
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False, name="fc.0")(stream(image)))
    found = rate_groups(model, Train(layer_decay=0.5, rates={"appearance.blocks.1": 3.0, "fc": 10.0}))
    names = {key: [v.path for v in variables] for key, variables in found.items()}
    assert names == {
        (1 / 8, False): ["patch_embed.proj/kernel"],
        (1 / 4, False): ["blocks.0.mlp.fc1/kernel", "blocks.0/kernel"],
        (3 / 2, False): ["blocks.1.mlp.fc1/kernel", "blocks.1/kernel"],
        (1.0, False): ["norm/gamma"],
        (10.0, False): ["fc.0/kernel"],
    }


def test_layer_decay_without_blocks_is_refused(model):
    with pytest.raises(ConfigError, match="train.layer_decay: no stream is a Vision Transformer"):
        rate_groups(model, Train(layer_decay=0.9))
