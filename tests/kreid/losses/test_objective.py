"""From the loss section of a configuration to the losses of a model's outputs, and training with them as Keras does."""

import keras
import numpy as np
import pytest
from checks import in_training
from configurations import changed

from kreid.config.loading import check
from kreid.errors import ConfigError
from kreid.losses.centroid import CentroidTripletLoss
from kreid.losses.identity import IdentityLoss
from kreid.losses.info_nce import InfoNCELoss
from kreid.losses.objective import WeightedSum, build_losses, trained_outputs
from kreid.losses.triplet import TripletLoss
from kreid.models.embedders import build_model

pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("short_resnet")]


def section(**loss):
    return check({"model": {"embedder": "one_stream"}, "loss": loss}).loss


@pytest.mark.parametrize(
    ("outputs", "trained"),
    [
        (["embedding"], ["embedding"]),
        (["embedding", "conv3", "logits"], ["embedding", "conv3", "logits"]),
        (["final", "conv3", "embedding"], ["final", "conv3"]),
    ],
)
def test_an_embedding_that_only_joins_others_is_not_trained(outputs, trained):
    assert trained_outputs(outputs) == trained


def test_each_output_has_the_losses_and_weights_of_the_configuration():
    weights = {"triplet_weight": 2.0, "centroid_weight": 0.5, "head_weight": 0.1, "identity_weight": 0.3}
    losses = build_losses(section(**weights, margin="soft", mining="all"), ["embedding", "conv3", "logits"])
    found = {name: [type(one) for one in loss.losses] for name, loss in losses.items()}
    pair = [TripletLoss, CentroidTripletLoss]
    assert found == {"embedding": pair, "conv3": pair, "logits": [IdentityLoss]}
    assert [loss.weights for loss in losses.values()] == [[2.0, 0.5], pytest.approx([0.2, 0.05]), [0.3]]
    assert (losses["embedding"].losses[0].margin, losses["embedding"].losses[0].mining) == ("soft", "all")


def test_a_head_weight_of_0_leaves_the_heads_out():
    config = section(circle_weight=1.0, identity_weight=1.0, head_weight=0.0)
    assert build_losses(config, ["embedding", "conv3", "logits"]).keys() == {"embedding", "logits"}


def test_the_section_tells_the_weights_above_0_by_output():
    config = section(triplet_weight=0.0, circle_weight=2.0, identity_weight=0.5)
    assert config.weights() == {"circle": 2.0, "identity": 0.5}
    assert config.weights("vectors") == {"circle": 2.0}
    assert config.weights("logits") == {"identity": 0.5}


def test_a_weighted_sum_is_one():
    labels, x = np.array([[0, 0], [0, 0], [1, 0], [1, 0]]), np.random.default_rng(0).standard_normal((4, 3))
    one, other = TripletLoss(margin=1.0), InfoNCELoss()
    expected = 2.0 * float(one(labels, x)) + 0.5 * float(other(labels, x))
    assert float(WeightedSum([one, other], [2.0, 0.5])(labels, x)) == pytest.approx(expected, rel=1e-6)


def test_mistakes_say_which_key_to_set():
    with pytest.raises(ConfigError, match=r"loss.identity_weight: the model has no logits; set model.num_classes"):
        build_losses(section(identity_weight=1.0), ["embedding"])
    with pytest.raises(ValueError, match="weights: expected one for each of 1 losses, received 2"):
        WeightedSum([TripletLoss()], [1.0, 2.0])
    with pytest.raises(ValueError, match="weights: expected one for each of 0 losses, received 0"):
        WeightedSum([], [])


@pytest.mark.parametrize("more", [{}, {"embedding": "concat", "neck": True, "num_classes": 2}], ids=["one", "many"])
def test_plain_compile_and_fit_trains(tiny_one, more):
    """The loss that Keras reports first is the sum over the outputs; then it falls."""
    heads = {"layers": ["conv1"], "hidden": [8], "dim": 4} if more else {}
    model = build_model(changed(tiny_one, model={**more, "heads": heads}).model, pretrained=False)
    losses = build_losses(section(identity_weight=0.5 if more else 0.0, margin="soft"), model.output)
    person = np.repeat([0, 1], 4)
    labels = np.stack([person, np.zeros(8, int)], axis=1)
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype("float32")
    images[person == 1] /= 2
    outputs = in_training(model, images)
    expected = sum(float(loss(labels, outputs[name])) for name, loss in losses.items())
    model.compile(keras.optimizers.Adam(0.01), loss=losses)
    history = model.fit(images, dict.fromkeys(losses, labels), batch_size=8, epochs=5, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, rel=1e-4)
    assert history[-1] < 0.9 * history[0]
