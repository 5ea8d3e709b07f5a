"""Backbones of KerasHub, whichever make maps of images: `hub:` and a class or a preset.

KerasHub is imported where one is asked for (extra `hub`). Its backbone stands in the network as one layer,
`HubBackbone`, whose configuration is the class with arguments: not all of KerasHub's layers come back from their own.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from kreid.errors import ConfigError
from kreid.models import hub_source
from kreid.models.blocks import check_input_shape
from kreid.types import Tensor

if TYPE_CHECKING:
    from kreid.config.network import OneStream, TwoStream

PREFIX = "hub:"
MOST_SPECIAL = 16  # tokens beside those of the places: class token, distillation token, registers


@keras.saving.register_keras_serializable(package="kreid")
class HubBackbone(layers.Layer):
    """What a backbone of KerasHub puts out, and its pyramid or stages, by name.

    Args:
        class_name: of `keras_hub.models`.
        arguments: of the class, but for the image's shape.
        image_shape: `(height, width, 3)` in pixels.
        maps: names of outputs that are wanted, without the weights that others need alone; None for all, and so for a
            name that there is none of.
        network: the KerasHub backbone, where there is one already; its layers are used as they are.

    Input shape:
        `(N, height, width, 3)`, scaled as the class expects.

    Output shape:
        `{name: (N, ...)}`: maps, tokens or vectors as KerasHub has them.

    Raises:
        ConfigError: KerasHub is not there, or the class does not take these arguments.

    Example:
        >>> layer = HubBackbone("ViTBackbone", {"patch_size": 16, ...}, (256, 128, 3))
    """

    def __init__(
        self,
        class_name: str,
        arguments: Mapping[str, Any],
        image_shape: Sequence[int],
        maps: Sequence[str] | None = None,
        network: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.class_name = class_name
        self.arguments = dict(arguments)
        self.image_shape = tuple(image_shape)
        if network is None:
            network = hub_source.make(class_name, self.arguments, self.image_shape, dtype=self.dtype_policy)
        outputs = _outputs(network)
        wanted = set(outputs if maps is None else maps)
        self.maps = tuple(name for name in outputs if name in wanted or not wanted <= set(outputs))
        self.patch = _pair(getattr(network, "patch_size", 1))
        self.network = keras.Model(network.inputs, {name: outputs[name] for name in self.maps}, name="network")
        _unbind(self.network)
        self.shapes = _shapes(self.network, self.image_shape)
        self.built = True

    @property
    def layers(self) -> list[layers.Layer]:
        """KerasHub's layers, such as `train.freeze` and `train.rates` may name."""
        return self.network.layers

    def call(self, images: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Compute the outputs for `images` (N, height, width, 3)."""
        return self.network(images, training=training)

    def compute_output_shape(self, input_shape: tuple) -> dict[str, tuple]:
        """Return the outputs' shapes, which some of KerasHub's layers state wrongly for an image that is no square."""
        return {name: (input_shape[0], *shape) for name, shape in self.shapes.items()}

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "class_name": self.class_name,
            "arguments": self.arguments,
            "image_shape": self.image_shape,
            "maps": self.maps,
        }


def hub_backbone(
    source: str,
    input_shape: tuple[int, int, int] = (256, 128, 3),
    *,
    arguments: Mapping[str, Any] | None = None,
    preset: Mapping[str, Any] | None = None,
    weights: str | None = None,
    maps: Sequence[str] | None = None,
    width_divisor: int = 1,
) -> keras.Model:
    """Build a backbone of KerasHub as named feature maps.

    Args:
        source: a class (`ViTBackbone`) or a preset: one of KerasHub's names (`vit_base_patch16_224_imagenet`), a folder
            that `save_to_preset` wrote (`./my_preset`), `hf://...` or `kaggle://...`.
        input_shape: `(height, width, 3)` in pixels.
        arguments: of the class; beside a preset, those that differ from it.
        preset: what `recorded` keeps of a preset, which is then not read; None to read it.
        weights: `"preset"`, a `.weights.h5` file of the KerasHub class, or None for random values.
        maps: the maps that are wanted, so that no weights are kept which only others need; None for all.
        width_divisor: 1, since the classes have arguments for that.

    Returns:
        A model from RGB 0-255 images `(N, height, width, 3)` to maps `(N, h, w, D)`: KerasHub's pyramid or stages under
        its names (`P2`, ... or `stage1`, ...) and `last`, what the class puts out; of a Transformer that has one, also
        `class_token` `(N, D)`. Images are scaled as the preset's image converter does, and by ImageNet's mean and
        deviation where there is none.

    Raises:
        ConfigError: KerasHub or the preset is not there; the class makes no maps, does not take such images or
            arguments; the file of weights does not fit.

    Example:
        >>> hub_backbone("ViTBackbone", (64, 32, 3), arguments={"patch_size": 16, ...}).output["last"].shape
        (None, 4, 2, 64)

    Reference:
        https://keras.io/keras_hub
    """
    height, width, _ = check_input_shape(PREFIX + source, input_shape, smallest=1)
    if height is None or width is None:
        raise ConfigError(f"{PREFIX}{source}: input_shape: expected a height and a width, received {input_shape}")
    if width_divisor != 1:
        raise ConfigError(
            f"{PREFIX}{source}: width_divisor: expected 1, received {width_divisor}; narrow it by "
            "model.appearance.arguments"
        )
    shape, network = (height, width, 3), None
    if preset is None or weights is not None:
        network = hub_source.load(source, arguments or {}, shape, weights)
    told = preset or hub_source.describe(source, network)
    body = HubBackbone(told["class_name"], told["arguments"], shape, _raw(maps), network, name="hub")
    # === Functional Model ===
    images = keras.Input(shape, name="images")
    # In float32, whatever the policy: bfloat16 has no room for a grey level and its offset.
    x = layers.Rescaling(told["scale"], told["offset"], dtype="float32", name="preprocessing")(images)
    return keras.Model(images, _laid_out(body(x), shape, body.patch), name=told["class_name"])


def recorded(model: "TwoStream | OneStream") -> "TwoStream | OneStream":
    """Return the section `model` with what its preset says, if it names one, so that a run needs the preset no more.

    Args:
        model: of a configuration.

    Raises:
        ConfigError: as `hub_backbone`.
    """
    stream = model.appearance
    source = stream.backbone.removeprefix(PREFIX)
    if source == stream.backbone or stream.preset is not None or hub_source.is_class(source):
        return model
    network = hub_source.load(source, stream.arguments, (*model.image_size, 3), None)
    told = stream.model_copy(update={"preset": hub_source.describe(source, network)})
    return model.model_copy(update={"appearance": told})


def _outputs(network: keras.Model) -> dict[str, Tensor]:
    """KerasHub's outputs by name: of the pyramid, of stages, and the last."""
    found = dict(getattr(network, "pyramid_outputs", {}))
    stages = getattr(network, "stages", ())  # Swin's are layers alone
    if isinstance(network.output, dict):
        found |= network.output
        last = list(network.output.values())[-1]
    else:
        found |= {f"stage{number}": stage.output for number, stage in enumerate(stages, start=1)}
        last = network.output
    return {**found, "last": last}


def _unbind(network: keras.Model) -> None:
    """Let layers keep their constants, such as numbers of positions, as arrays.

    As tensors of TensorFlow they would be inputs of the traced network, which an ONNX file then asks for.
    """
    for layer in network._flatten_layers():
        for name, value in list(vars(layer).items()):
            if keras.ops.is_tensor(value) and not isinstance(value, keras.Variable):
                setattr(layer, name, keras.ops.convert_to_numpy(value))


def _raw(maps: Sequence[str] | None) -> list[str] | None:
    """The outputs that maps are made of: the class token is one of the last tokens."""
    return None if maps is None else ["last" if name == "class_token" else name for name in maps]


class _Traced(layers.Layer):
    """A network called as Keras traces it, whatever shapes its layers state."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    def call(self, images: Tensor) -> dict[str, Tensor]:
        return self.network(images)


def _shapes(network: keras.Model, image_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's outputs for one image, without the batch."""
    traced = _Traced(network).compute_output_spec(keras.KerasTensor((1, *image_shape)))
    return {name: tuple(x.shape[1:]) for name, x in traced.items()}


def _laid_out(outputs: dict[str, Tensor], image_shape: tuple[int, ...], patch: tuple[int, int]) -> dict[str, Tensor]:
    """Maps as they are, tokens of places as maps, and the class token."""
    maps = {}
    for name, x in outputs.items():
        if len(x.shape) == 3 and (laid := _grid(x.shape[1], image_shape, patch)):
            grid, special = laid
            tokens = layers.Cropping1D((special, 0), name=f"{name}.crop")(x) if special else x
            maps[name] = layers.Reshape((*grid, x.shape[-1]), name=name)(tokens)
            if special and name == "last":
                token = layers.Cropping1D((0, x.shape[1] - 1), name="class_token.crop")(x)
                maps["class_token"] = layers.Flatten(name="class_token")(token)
        elif len(x.shape) == 4:
            maps[name] = x
    return maps


def _grid(tokens: int, image_shape: tuple[int, ...], patch: tuple[int, int]) -> tuple[tuple[int, int], int] | None:
    """Rows and columns of places, and how many tokens stand before them; None where tokens are no places.

    Stages merge two by two patches into one, some times.
    """
    rows, columns = image_shape[0] // patch[0], image_shape[1] // patch[1]
    while rows and columns:
        if (special := tokens - rows * columns) >= 0:
            return ((rows, columns), special) if special <= MOST_SPECIAL else None
        rows, columns = rows // 2, columns // 2
    return None


def _pair(side: int | Sequence[int]) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else (side[0], side[1])
