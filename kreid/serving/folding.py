"""Batch norms of a trained network, folded into the layers before them: fewer operations, the same function."""

from typing import Any

import keras
import numpy as np
from keras import layers

from kreid.types import Tensor

_TYPES = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)


def fold(model: keras.Model) -> keras.Model:
    """Copy a functional model, with each batch norm behind a convolution or a dense layer folded into that layer.

    `gamma (Wx + b - mean) / sqrt(variance + epsilon) + beta` is `W'x + b'` of another kernel and another bias. A layer
    whose output anything else reads too, or that ends in an activation, keeps its batch norm, as does one that is used
    more than once. Layers keep their names.

    Args:
        model: a functional model, in which others may be nested.

    Returns:
        A model of its own weights that computes, in inference, what `model` does.

    Example:
        >>> fold(load_model("saved_models/osnet")).count_params()
    """
    folded = _foldable(model)
    norms = {id(norm) for _, norm in folded.values()}
    copies: dict[int, tuple[keras.Layer, keras.Layer]] = {}

    def copy(layer: keras.Layer) -> keras.Layer:
        if id(layer) in norms:
            return layer  # it is never called
        made = type(layer).from_config(layer.get_config() | ({"use_bias": True} if id(layer) in folded else {}))
        copies[id(layer)] = layer, made
        return made

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        return args[0] if id(layer) in norms else layer(*args, **kwargs)

    cloned = keras.models.clone_model(model, clone_function=copy, call_function=call, recursive=True)
    for key, (layer, made) in copies.items():
        made.set_weights(_folded_weights(*folded[key]) if key in folded else layer.get_weights())
    return cloned


def _foldable(model: keras.Model) -> dict[int, tuple[keras.Layer, keras.Layer]]:
    """Pairs of a layer and the batch norm that alone reads it, by the layer's identity, nested models included."""
    read: dict[int, list[keras.Layer]] = {}  # a tensor's readers; a model's outputs have one outside
    outputs = {id(tensor) for tensor in keras.tree.flatten(model.output)}
    calls: dict[int, int] = {}
    found: dict[int, tuple[keras.Layer, keras.Layer]] = {}
    for layer, inputs in _calls(model):
        calls[id(layer)] = calls.get(id(layer), 0) + 1
        for tensor in inputs:
            read.setdefault(id(tensor), []).append(layer)
    for layer, inputs in _calls(model):
        if isinstance(layer, keras.Model):
            found |= _foldable(layer) if calls[id(layer)] == 1 else {}
        if not isinstance(layer, layers.BatchNormalization) or calls[id(layer)] != 1:
            continue
        (tensor,) = inputs
        before = tensor._keras_history.operation
        alone = len(read[id(tensor)]) == 1 and id(tensor) not in outputs and calls.get(id(before)) == 1
        if alone and _takes(before, layer, len(tensor.shape)):
            found[id(before)] = before, layer
    return found


def _calls(model: keras.Model) -> list[tuple[keras.Layer, list[Tensor]]]:
    """Every call of a layer in a model, with the tensors that it reads."""
    return [
        (node.operation, node.input_tensors)
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if not node.is_input
    ]


def _takes(layer: keras.Layer, norm: keras.Layer, rank: int) -> bool:
    linear = getattr(layer, "activation", None) in (keras.activations.linear, None)
    last = norm.axis in (-1, rank - 1) and getattr(layer, "data_format", "channels_last") == "channels_last"
    return type(layer) in _TYPES and linear and last


def _folded_weights(layer: keras.Layer, norm: keras.Layer) -> list[np.ndarray]:
    """Kernel and bias, computed in float64."""
    kernel, *rest = (value.astype(np.float64) for value in layer.get_weights())
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * np.asarray(norm.gamma, np.float64)
    bias = ((rest[0] if rest else 0) - mean) * scale
    if norm.center:
        bias = bias + np.asarray(norm.beta, np.float64)
    if isinstance(layer, layers.DepthwiseConv2D):  # rows, columns, channels, multiplier: outputs are the last two
        return [kernel * scale.reshape(kernel.shape[2:]), bias]
    return [kernel * scale, bias]
