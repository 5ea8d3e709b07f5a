"""Gradient checkpointing: the blocks of a Vision Transformer are computed anew on the way back, not kept in memory.

Of each block only its input stays until the gradient has come to it. Outputs and gradients are those of the plain
network, and so is the network itself: its layers are only called in another way.
"""

from collections.abc import Callable
from itertools import pairwise

import keras

from kreid.errors import ConfigError
from kreid.models.cost import outputs_of
from kreid.models.inputs import CAMERA, IMAGE, takes_cameras
from kreid.models.vit_origins import block_number
from kreid.types import Tensor


def rematerialized(model: keras.Model) -> Callable[[Tensor], dict[str, Tensor]]:
    """The training call of a model whose blocks are computed twice.

    Args:
        model: from `build_model`, with a Vision Transformer as a stream.

    Returns:
        A function from what the model takes to what `model(images, training=True)` returns.

    Raises:
        ConfigError: where no stream has blocks.

    Example:
        >>> outputs = rematerialized(model)(images)
    """
    streams = [layer for layer in model.layers if isinstance(layer, keras.Model) and _ends(layer)]
    if not streams:
        raise ConfigError("train.remat: no stream is a Vision Transformer, whose blocks it computes anew; leave it out")
    (stream,) = streams
    first, blocks, last = _cut(stream)
    again = [keras.remat(_training_call(block)) for block in blocks]
    outer = outputs_of(stream)[-1]
    taken = [model.input[IMAGE], model.input[CAMERA]] if takes_cameras(model) else [model.input]
    behind = keras.Model([*taken, *outer], model.output)

    def call(images: Tensor) -> dict[str, Tensor]:
        given = [images[IMAGE], images[CAMERA]] if len(taken) > 1 else images
        given = keras.tree.map_structure(keras.ops.convert_to_tensor, given)  # Keras takes no arrays beside tensors
        x, *draws = keras.tree.flatten(first(given, training=True))
        reached = [x]
        for block in again:
            reached.append(block(reached[-1], *draws))
        maps = last(reached, training=True)
        return behind([*keras.tree.flatten(given), *keras.tree.flatten(maps)], training=True)

    return call


def _training_call(block: keras.Model) -> Callable[..., Tensor]:
    return lambda *inputs: block(list(inputs), training=True)


def _ends(stream: keras.Model) -> list[Tensor]:
    """The tokens behind each block, in order."""
    ends = {}
    for layer in stream.layers:
        number = block_number(layer.name)
        if number is not None:
            ends[number] = layer.output  # the last layer of a block is the sum behind it
    return [ends[number] for number in sorted(ends)]


def _cut(stream: keras.Model) -> tuple[keras.Model, list[keras.Model], keras.Model]:
    """What comes before the blocks, each block, and what is made of the tokens before and behind each of them."""
    ends = _ends(stream)
    firsts = [layer for layer in stream.layers if block_number(layer.name) == 0]
    start = firsts[0].input
    draws = [layer.output for layer in stream.layers if layer.name == "drop_path"]
    before = keras.Model(stream.input, [start, *draws])
    tokens = [start, *ends]
    blocks = [keras.Model([x, *draws], y) for x, y in pairwise(tokens)]
    return before, blocks, keras.Model(tokens, stream.output)
