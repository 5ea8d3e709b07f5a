"""Which keys need which others, and what a configuration says that changes nothing."""

import pytest

from kreid.config.loading import as_config, load_config
from kreid.config.needs import is_met, without_effect
from kreid.config.shipped import shipped_names

HEADS = {"heads": {"layers": ["conv3"], "hidden": [8]}}


def config(embedder="one_stream", loss=None, train=None, data=None, **model):
    return as_config(
        {"model": {"embedder": embedder, **model}, "loss": loss or {}, "train": train or {}, "data": data or {}}
    )


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, []),
        ({"loss": {"head_weight": 2}}, ["loss.head_weight without model.heads.layers"]),
        ({"loss": {"head_weight": 2}, **HEADS}, []),
        ({"heads": {"hidden": [8]}}, ["model.heads.hidden without model.heads.layers"]),
        ({"heads": {"hidden": [512], "dim": 256}}, []),  # the defaults
        ({"train": {"schedule": "cosine", "decay": 0.5}}, ["train.decay without train.schedule=step"]),
        ({"train": {"decay": 0.5}}, []),
        ({"data": {"erase_aspect": 0.5}}, ["data.erase_aspect without data.erase"]),
        (
            {"loss": {"triplet_weight": 0, "circle_weight": 1, "margin": 0.5, "mining": "all"}},
            [
                "loss.margin without loss.triplet_weight or loss.centroid_weight",
                "loss.mining without loss.triplet_weight",
            ],
        ),
        (
            {"embedder": "two_stream", "bilinear": {"mode": "full", "output_dim": 64}},
            ["model.bilinear.output_dim without model.bilinear.mode=compact"],
        ),
    ],
)
def test_what_changes_nothing_is_named_with_what_it_needs(sections, expected):
    assert without_effect(config(**sections)) == expected


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_configurations_say_nothing_in_vain(name):
    assert without_effect(load_config(name)) == []


def test_a_need_is_a_key_that_is_set_or_a_value():
    assert is_met(config(**HEADS), "model.heads.layers")
    assert not is_met(config(), "model.heads.layers")
    assert is_met(config(), "train.schedule=step")
    assert not is_met(config(train={"schedule": "constant"}), "train.schedule=step")
