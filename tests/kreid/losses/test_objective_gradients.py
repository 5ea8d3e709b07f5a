"""Where the gradients of each output's loss go: into hidden layers, and past a neck."""

import numpy as np
import tensorflow as tf
from configurations import changed

from kreid.config.sections import Loss
from kreid.losses.objective import build_losses
from kreid.models.embedders import build_model

LABELS = np.array([[0, 0], [0, 0], [1, 0], [1, 0]])


def gradients(model, losses, names, layers):
    """Sum of the absolute gradient of some outputs' losses for each layer's first weight; None where none arrives."""
    images = np.random.default_rng(0).uniform(0, 255, (4, *model.input_shape[1:]))
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        total = sum(losses[name](LABELS, outputs[name]) for name in names)
    found = tape.gradient(total, [layer.trainable_variables[0] for layer in layers])
    return [None if gradient is None else float(tf.reduce_sum(tf.abs(gradient))) for gradient in found]


def test_layer_wise_losses_train_hidden_layers(tiny):
    """The gradient of a head's loss alone reaches its hidden layer and the backbone below, and nothing above."""
    model = build_model(changed(tiny, model={"heads": {"layers": ["conv2"], "hidden": [16], "dim": 8}}).model)
    losses = build_losses(Loss(mining="all"), model.output)
    stream = model.get_layer("appearance")
    layers = [model.get_layer("conv2_fc1"), stream.get_layer("conv1_conv"), stream.get_layer("conv3_block4_3_conv")]
    hidden, below, above = gradients(model, losses, ["conv2"], layers)
    assert hidden > 0
    assert below > 0
    assert above is None


def test_a_neck_parts_triplets_from_identities(tiny_one):
    """Triplets train the vector before the batch-norm neck, cross entropy what lies behind it (and all below)."""
    model = build_model(changed(tiny_one, model={"neck": True, "num_classes": 2}).model)
    losses = build_losses(Loss(mining="all", identity_weight=1), model.output)
    assert losses.keys() == {"final", "logits"}
    layers = [model.get_layer(name) for name in ("fc.0", "neck", "logits")]
    fc, neck, classifier = gradients(model, losses, ["final"], layers)
    assert fc > 0
    assert neck is classifier is None
    assert all(one > 0 for one in gradients(model, losses, ["logits"], layers))
