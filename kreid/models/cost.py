"""What a model costs: parameters, multiply-accumulates an image, length of the embedding."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
from keras import KerasTensor

from kreid.layers.attention import SelfAttention
from kreid.layers.bilinear import BilinearPooling
from kreid.models.hub import HubBackbone


class Cost(NamedTuple):
    """Parameters (hashes of the sketch not counted), 10^9 multiply-accumulates an image, embedding length."""

    parameters: int
    gmacs: float
    embedding_size: int


def cost(model: keras.Model) -> Cost:
    """Count what one image costs, forward.

    Convolutions, dense layers, attention and the pooled outer product of bilinear pooling count; norms, activations and
    sums, which move memory rather than multiply, do not. What multiplies inside a layer of KerasHub's own, such as the
    blocks of its Transformers, cannot be counted: `gmacs` is NaN then.

    Args:
        model: from `build_model`, at a fixed image size.

    Returns:
        A `Cost`.

    Example:
        >>> cost(build_model(load_config("configs/osnet.yaml").model)).gmacs
    """
    layers = list(leaves(model))
    hashes = sum(layer.count_params() for layer in layers if isinstance(layer, BilinearPooling))
    macs = sum(_macs(layer) for layer in layers)
    return Cost(model.count_params() - hashes, macs / 1e9, model.output["embedding"].shape[-1])


def leaves(model: keras.Model | HubBackbone) -> Iterator[keras.Layer]:
    """Every layer of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model | HubBackbone):
            yield from leaves(layer)
        else:
            yield layer


def outputs_of(layer: keras.Layer) -> list[list[KerasTensor]]:
    """What a layer puts out, flat, at each place where a model uses it, the latest last."""
    return [node.output_tensors for node in layer._inbound_nodes]


def _macs(layer: keras.Layer) -> float:
    """Multiply-accumulates of one layer for one image, over all places where the layer is used."""
    if isinstance(layer, BilinearPooling):
        pairs = (node.input_tensors for node in layer._inbound_nodes)  # one for each stripe
        return sum(int(np.prod(appearance.shape[1:])) * part.shape[-1] for appearance, part in pairs)
    if isinstance(layer, SelfAttention):  # every token with every token, twice: likeness, and the mixture of values
        _, length, width = layer.output.shape
        return 2 * length * length * width
    if type(layer).__module__.startswith("keras_hub.") and any(len(weight.shape) > 1 for weight in layer.weights):
        return math.nan
    if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
        return 0
    # Each weight of a kernel is used once at every place of the output.
    calls = [tensors[0].shape for tensors in outputs_of(layer)]
    return sum(int(np.prod(layer.kernel.shape)) * int(np.prod(shape[1:-1])) for shape in calls)
