"""Where a backbone of KerasHub comes from: a class of `keras_hub.models`, or a preset with weights and scaling."""

import difflib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from kreid.errors import ConfigError
from kreid.layers.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from tfrecords_tools.errors import one_line

# What KerasHub's classes call the shape of the image. A class without one of them takes none, or not an image alone.
SIZES = ("image_shape", "input_shape")
# What the network around it decides, and no description keeps.
OUTSIDE = (*SIZES, "name", "trainable", "dtype", "data_format")
# ImageNet's mean and deviation, as factor and summand.
SCALE = tuple(1 / std for std in IMAGENET_STD)
OFFSET = tuple(-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))


def is_class(source: str) -> bool:
    """Whether a source is a class of KerasHub, by its name, rather than a preset; as `kreid.config.network` has it."""
    return source.isidentifier() and source.endswith("Backbone")


def make(class_name: str, arguments: Mapping[str, Any], shape: tuple[int, ...], **kwargs: Any) -> keras.Model:
    """Build a class with random weights.

    Args:
        class_name: of `keras_hub.models`.
        arguments: of the class, but for the image's shape.
        shape: of the image.
        **kwargs: of every Keras model.

    Raises:
        ConfigError: as `load`.
    """
    cls: Any = _class(class_name)
    given = {**arguments, _size_argument(cls, class_name, arguments): shape}
    return _attempt(lambda: cls.from_config({**given, **kwargs}), class_name)


def load(source: str, arguments: Mapping[str, Any], shape: tuple[int, ...], weights: str | None) -> keras.Model:
    """Build a class or preset, with weights.

    Args:
        source: a class or a preset.
        arguments: of the class; of a preset, those that differ.
        shape: of the image.
        weights: `"preset"`, a file of the class, or None for random values.

    Raises:
        ConfigError: KerasHub, the class or the preset is not there, or something does not fit another.
    """
    if is_class(source):
        network = make(source, arguments, shape)
    else:
        cls: Any = _class_of_preset(source)
        size = _size_argument(cls, source, arguments)
        given = {**arguments, size: shape}
        try:
            network = _attempt(lambda: cls.from_preset(source, load_weights=weights == "preset", **given), source)
        except ConfigError as error:
            raise ConfigError(f"{error}{_other_size(cls, source, size, shape)}") from None
    if weights not in (None, "preset"):
        _load_file(network, str(weights), source)
    return network


def describe(source: str, network: keras.Model) -> dict[str, Any]:
    """Return what a network is, ready for JSON: class, arguments, and the scaling of the preset's image converter.

    Args:
        source: that it was made of.
        network: from `load`.

    Raises:
        ConfigError: as `load`.
    """
    arguments = {key: _plain(value) for key, value in network.get_config().items() if key not in OUTSIDE}
    scale, offset = (SCALE, OFFSET) if is_class(source) else _scaling(source)
    return {
        "class_name": type(network).__name__,
        "arguments": arguments,
        "scale": _plain(scale),
        "offset": _plain(offset),
    }


def _scaling(preset: str) -> tuple[Any, Any]:
    """What images are multiplied by, then what is added, one number or three."""

    def read() -> keras.layers.Layer | None:
        try:
            return _hub().layers.ImageConverter.from_preset(preset)
        except FileNotFoundError:
            return None  # a folder of `Backbone.save_to_preset` has none

    converter = _attempt(read, preset)
    if converter is None:
        return SCALE, OFFSET
    scale, offset = converter.scale, converter.offset
    return 1.0 if scale is None else scale, 0.0 if offset is None else offset


def _plain(value: Any) -> Any:
    """Numbers and lists, as they come back from YAML and JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _hub() -> ModuleType:
    try:
        return import_module("keras_hub")
    except ImportError as error:
        raise ConfigError(
            f"model.appearance.backbone: hub: needs KerasHub ({one_line(error)}); pip install 'kreid[hub]'"
        ) from None


def _class(name: str) -> type:
    models = _hub().models
    known = [known for known in dir(models) if known.endswith("Backbone")]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "https://keras.io/keras_hub lists them"
        raise ConfigError(f"backbone hub:{name}: KerasHub has no such class; {hint}")
    return getattr(models, name)


def _class_of_preset(preset: str) -> type:
    """The class of a preset, found without building it where that can be."""
    models = _hub().models
    if Path(preset).is_dir():
        return _class_of_folder(Path(preset))
    classes = [getattr(models, name) for name in dir(models) if name.endswith("Backbone")]
    if preset in models.Backbone.presets:
        return next(cls for cls in classes if preset in cls.presets and not cls.__subclasses__())
    if "://" not in preset:
        close = difflib.get_close_matches(preset, models.Backbone.presets, n=1)
        hint = (
            f"did you mean hub:{close[0]}?"
            if close
            else "give a folder, hf://..., or one of https://keras.io/keras_hub"
        )
        raise ConfigError(f"backbone hub:{preset}: no preset of KerasHub and no folder; {hint}")
    return type(_attempt(lambda: models.Backbone.from_preset(preset, load_weights=False), preset))


def _class_of_folder(folder: Path) -> type:
    path = folder / "config.json"
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["class_name"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"backbone hub:{folder}: expected a folder that KerasHub's save_to_preset wrote, with a config.json that "
            f"names a class ({one_line(error)})"
        ) from None
    return _class(str(name))


def _size_argument(cls: type, source: str, arguments: Mapping[str, Any]) -> str:
    """What the class calls the image's shape; complain where it takes no image, or none of the arguments."""
    known = inspect.signature(cls).parameters
    size = next((name for name in SIZES if name in known), None)
    if size is None:
        raise ConfigError(
            f"backbone hub:{source}: {cls.__name__} makes no maps of an image; give one that does, such as "
            "hub:ViTBackbone or hub:resnet_50_imagenet"
        )
    for name in arguments:
        if name in SIZES:
            raise ConfigError(f"model.appearance.arguments: {name} is told by model.image_size; leave it out")
        if name not in known or name in OUTSIDE:
            own = ", ".join(key for key in known if key not in (*OUTSIDE, "kwargs"))
            raise ConfigError(f"model.appearance.arguments: {cls.__name__} has no {name!r}; it has {own}")
    return size


def _attempt(build: Callable[[], Any], source: str) -> Any:
    """What a function of KerasHub returns, or its complaint in one line.

    Its layers, Keras, HDF5 and four libraries that fetch files all raise errors of their own, and warnings that Keras
    gives of shapes come before the error that they lead to.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return build()
    except ConfigError:
        raise
    except Exception as error:
        offline = isinstance(error, OSError) or "://" in source
        advice = "; without a network, give the folder of the preset, fetched elsewhere (hub:./folder)"
        raise ConfigError(f"backbone hub:{source}: {_gist(error)}{advice if offline else ''}") from None


def _gist(error: Exception) -> str:
    """The line of a long error that tells what it is about."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "must match" in line] or lines or [type(error).__name__]
    return one_line(told[0], 240)


def _other_size(cls: Any, preset: str, size: str, shape: tuple[int, ...]) -> str:
    """Advice where a preset that does not load in one size may in its own."""
    try:
        own = getattr(_attempt(lambda: cls.from_preset(preset, load_weights=False), preset), size, None)
    except ConfigError:
        return ""
    if not own or None in own or tuple(own) == shape:
        return ""
    return f"; it is for images of {own[0]} x {own[1]}: set model.image_size: [{own[0]}, {own[1]}]"


def _load_file(network: keras.Model, path: str, source: str) -> None:
    if not Path(path).is_file():
        raise ConfigError(f"model.appearance.weights: {path}: no such file")
    try:
        _attempt(lambda: network.load_weights(path), source)
    except ConfigError as error:
        raise ConfigError(
            f"model.appearance.weights: {path}: expected what {type(network).__name__}.save_weights wrote ({error})"
        ) from None
