"""Backbones by name, and the models that a configuration describes.

Imports Keras, NumPy, `kreid.layers` and `kreid.weights`; no TensorFlow.

A backbone maps an image to a dict of named feature maps; an embedder is a short composition over such dicts that ends
in one vector of length one. A new backbone is a file beside this one and a line in `BACKBONES`.

Example:
    >>> backbone = kreid.models.build_backbone("resnet50", (64, 32, 3))
    >>> backbone.output["conv3"].shape
    (None, 8, 4, 512)
"""

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from kreid.errors import ConfigError, check_path, received
from kreid.models import hub, inception_v4, openpose, osnet, resnet, vit

BACKBONES: dict[str, Callable[..., keras.Model]] = {
    "resnet50": resnet.resnet50,
    "osnet_x1_0": osnet.osnet_x1_0,
    "osnet_x0_25": osnet.osnet_x0_25,
    "inception_v4": inception_v4.inception_v4,
    "openpose_body_25": openpose.body_25,
    "openpose_coco": openpose.coco,
    **vit.VITS,
}


def build_backbone(name: str, input_shape: tuple[int, int, int] | None = None, **options: Any) -> keras.Model:
    """Build a backbone: a functional model from an RGB 0-255 image to a dict of named feature maps.

    Args:
        name: a key of `BACKBONES`, or `hub:` and a class or preset of KerasHub; see `kreid.models.hub`.
        input_shape: height, width and 3 channels, in pixels; None for the backbone's own, 256 x 128 or near it.
        **options: the backbone's own, such as `last_stride` or `width_divisor`.

    Returns:
        A `keras.Model` whose output is `{map name: (N, h, w, c)}`.

    Raises:
        ConfigError: for an unknown name or option.

    Example:
        >>> backbone = build_backbone("openpose_body_25", input_shape=(256, 128, 3))
        >>> sorted(backbone.output)[:2]
        ['confidence_1', 'confidence_2']
    """
    if not isinstance(name, str):
        raise ConfigError(f"name: expected one of {', '.join(BACKBONES)}, received {received(name)}")
    build = BACKBONES.get(name)
    if name.startswith(hub.PREFIX):
        build = partial(hub.hub_backbone, name.removeprefix(hub.PREFIX))
    if build is None:
        close = difflib.get_close_matches(name, BACKBONES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(BACKBONES)}"
        raise ConfigError(f"backbone {name!r} is not known; {hint}")
    known = [key for key in inspect.signature(build).parameters if key != "input_shape"]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ConfigError(f"backbone {name} has no option {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    if options.get("weights") is not None:
        check_path("weights", options["weights"], "a file of weights")
    return build(**({} if input_shape is None else {"input_shape": input_shape}), **options)
