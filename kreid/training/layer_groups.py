"""Which layers learn, and how fast: `train.freeze` and `train.rates` by layer names, `train.layer_decay` by depth."""

import difflib
from collections.abc import Iterable

import keras

from kreid.config.sections import Train
from kreid.errors import ConfigError
from kreid.models.hub import HubBackbone
from kreid.models.vit_origins import block_number


def named_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers with weights by name: `neck`, `fc.0`, and those of a stream as `appearance.conv1_conv`."""
    found: dict[str, keras.layers.Layer] = {}
    for layer in model.layers:
        own = (
            {f"{layer.name}.{part.name}": part for part in _parts(layer)} if _is_stream(layer) else {layer.name: layer}
        )
        found |= {name: part for name, part in own.items() if part.weights}
    return found


def matching(model: keras.Model, pattern: str, key: str) -> list[str]:
    """The names that a pattern means: a stream, a layer, or the layers whose names begin so up to a `.` or `_`.

    Args:
        model: from `build_model`.
        pattern: such as `part` (all of the stream, and nothing behind it), `appearance.conv1` or `conv3_fc1`.
        key: the configuration's key, for the message.

    Raises:
        ConfigError: where no layer has such a name.
    """
    names = list(named_layers(model))
    if any(layer.name == pattern and _is_stream(layer) for layer in model.layers):
        return [name for name in names if name.startswith(f"{pattern}.")]
    found = [name for name in names if name == pattern or name.startswith((f"{pattern}.", f"{pattern}_"))]
    if not found:
        known = [layer.name for layer in model.layers if layer.weights]
        close = difflib.get_close_matches(pattern, [*known, *names], n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}, or a stream's layers"
        raise ConfigError(f"{key}: no layer {pattern!r} has weights; {hint}")
    return found


def set_frozen(model: keras.Model, patterns: Iterable[str], frozen: bool) -> None:
    """Let the layers of `train.freeze` keep their weights, and their batch norms infer, or let them learn again.

    Raises:
        ConfigError: where a name means no layer, or nothing is left to learn.
    """
    layers = named_layers(model)
    for pattern in patterns:
        for name in matching(model, pattern, "train.freeze"):
            layers[name].trainable = not frozen
    if not model.trainable_variables:
        raise ConfigError("train.freeze: every layer is frozen, so nothing is left to learn; leave one out")


def rate_groups(model: keras.Model, config: Train) -> dict[tuple[float, bool], list[keras.Variable]]:
    """The variables that ever learn, apart by how they do.

    Args:
        model: with every layer trainable.
        config: the `train` section.

    Returns:
        `{(factor on the learning rate, begins only after freeze_epochs): variables}`; the longest name in `rates` that
        means a layer decides, times what `layer_decay` leaves at its depth.

    Raises:
        ConfigError: for a name that means no layer, and for `layer_decay` where no stream has blocks.
    """
    layers = named_layers(model)
    rates = dict.fromkeys(layers, 1.0)
    for pattern in sorted(config.rates, key=len):
        rates |= dict.fromkeys(matching(model, pattern, "train.rates"), config.rates[pattern])
    if config.layer_decay < 1:
        rates = {name: rates[name] * factor for name, factor in _decayed(model, config.layer_decay).items()}
    frozen = {name for pattern in config.freeze for name in matching(model, pattern, "train.freeze")}
    groups: dict[tuple[float, bool], list[keras.Variable]] = {}
    for name, layer in layers.items():
        if name not in frozen or config.freeze_epochs:
            groups.setdefault((rates[name], name in frozen), []).extend(layer.trainable_variables)
    return {key: variables for key, variables in groups.items() if variables}


def _decayed(model: keras.Model, decay: float) -> dict[str, float]:
    """The factor of each named layer: below 1 inside a Vision Transformer, the smaller the nearer to the image."""
    factors = dict.fromkeys(named_layers(model), 1.0)
    found = False
    for stream in filter(_is_stream, model.layers):
        numbers = [block_number(layer.name) for layer in stream.layers]
        blocks = [number for number in numbers if number is not None]
        if not blocks:
            continue
        found, depth, reached = True, max(blocks) + 1, 0
        for layer, number in zip(stream.layers, numbers, strict=True):  # in the order of computation
            reached = reached if number is None else number + 1
            height = depth + 1 if number is None and reached else reached
            if (name := f"{stream.name}.{layer.name}") in factors:
                factors[name] = decay ** (depth + 1 - height)
    if not found:
        raise ConfigError(
            "train.layer_decay: no stream is a Vision Transformer, whose blocks it counts; set train.rates instead"
        )
    return factors


def _parts(stream: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a stream, with those of a backbone of KerasHub in place of the layer that holds them."""
    parts = [part.layers if isinstance(part, HubBackbone) else [part] for part in stream.layers]
    return [layer for layers in parts for layer in layers]


def _is_stream(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Model)
