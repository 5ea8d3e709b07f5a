"""What models cost: by hand, and as the head comments of the configurations say."""

import re

import keras
import paths
import pytest
from unfilled import unfilled

from kreid.config.loading import check, load_config
from kreid.layers.attention import SelfAttention
from kreid.models.cost import cost
from kreid.models.embedders import build_model

CONFIGS = sorted(paths.CONFIGS.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@unfilled()
def test_configurations_cost_what_their_heads_say(path):
    model = build_model(load_config(path).model, pretrained=False)
    stated = re.search(
        r"# Cost: ([\d.]+) M parameters, ([\d.]+) GMACs an image, embedding of (\d+)\.", path.read_text()
    )
    assert stated, "the head comment states the cost"
    found = cost(model)
    assert (f"{found.parameters / 1e6:.2f}", f"{found.gmacs:.2f}", str(found.embedding_size)) == stated.groups()


@pytest.mark.backend
def test_attention_costs_what_its_two_products_cost():
    tokens = keras.Input((5, 24))
    model = keras.Model(tokens, {"embedding": SelfAttention(2)(tokens)})
    assert cost(model).gmacs == pytest.approx(2 * 5 * 5 * 8 / 1e9)


def test_cost_by_hand():
    one = {"embedder": "one_stream", "image_size": [32, 32], "fc": [8]}
    appearance = {"backbone": "resnet50", "weights": None, "layer": "conv1", "width_divisor": 16}
    found = cost(build_model(check({"model": {**one, "appearance": appearance}}).model))
    # conv1: 7 x 7 x 3 x 4 weights at 16 x 16 places; fc: 4 x 8.
    assert found.gmacs == pytest.approx((588 * 256 + 32) / 1e9)
    assert found.parameters == 588 + 4 + 16 + 40 + 32
