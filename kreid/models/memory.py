"""What a training step needs in memory, before it runs: weights, gradients, the optimiser's sums, activations."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import keras

from kreid.layers.attention import SelfAttention
from kreid.models.cost import leaves, outputs_of
from kreid.models.vit_origins import block_number

if TYPE_CHECKING:
    from kreid.config.sections import Train

_SLOTS = {"adam": 2, "adamw": 2, "sgd": 1, "muon": 1}  # numbers that an optimiser keeps of a kernel's weight
_LAYOUT = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Cropping1D)
_WORD = 4  # bytes of a float32, which weights and what follows them always are


class Memory(NamedTuple):
    """Bytes of one training step on one device."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def training_memory(model: keras.Model, train: "Train", batch: int) -> Memory:
    """Estimate what a training step needs.

    Every layer's output is counted once, as if it were kept for its gradient, and attention's two tables of tokens
    against tokens; with `train.remat` only what enters each block, and one whole block. What TensorFlow keeps beside
    that (workspace of convolutions, gradients of activations on the way back, the runtime itself) is not counted, nor
    saved where it computes in place: `benchmarks/memory.py` holds the estimate against what a process takes.

    Args:
        model: from `build_model`, at a fixed image size.
        train: the `train` section: optimiser, averages, accumulation, precision, checkpointing.
        batch: images of a step on one device.

    Returns:
        A `Memory`.

    Example:
        >>> training_memory(build_model(config.model), config.train, 32).total / 1e9
    """
    learning, everything = (_WORD * _numbers(group) for group in (model.trainable_variables, model.variables))
    kept = _SLOTS[train.optimizer] + bool(train.ema) + (train.accumulate > 1)
    number = _WORD if train.precision == "float32" else _WORD // 2
    return Memory(everything, learning, kept * learning, number * batch * _activations(model, train.remat))


def _numbers(variables: Sequence[keras.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _activations(model: keras.Model, remat: bool) -> int:
    """Numbers that are kept of one image until its gradient is known."""
    outside, entering, inside = 0, 0, Counter[int]()
    for layer in leaves(model):
        block = block_number(layer.name) if remat else None
        if block is None:
            outside += _outputs(layer)
        else:
            inside[block] += _outputs(layer)
            entering = (
                max(entering, math.prod(layer.output.shape[1:])) if layer.name.endswith(f".{block}") else entering
            )
    return outside + len(inside) * entering + max(inside.values(), default=0)


def _outputs(layer: keras.Layer) -> int:
    """Numbers that a layer puts out for one image, wherever it is used, and attention's tables.

    Layers that only lay out anew what there is leave nothing that a gradient needs.
    """
    if isinstance(layer, _LAYOUT):
        return 0
    shapes = [tensor.shape for tensors in outputs_of(layer) for tensor in tensors]
    tables = 2 * layer.heads * layer.output.shape[1] ** 2 if isinstance(layer, SelfAttention) else 0
    return sum(math.prod(shape[1:]) for shape in shapes) + tables
