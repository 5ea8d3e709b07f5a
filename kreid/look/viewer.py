"""What a network sees in an image, as arrays: activation maps, part maps, and what makes two images alike.

`kreid.look.sheets` draws them.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from kreid.data.cameras import numbers_given
from kreid.errors import ConfigError, check_kind, received
from kreid.look.pairs import PARTS, Pair, explain, tails
from kreid.models.embedders import check_section
from kreid.models.inputs import CAMERA, IMAGE, camera_names, check_images_alone, image_size
from kreid.types import Tensor

if TYPE_CHECKING:
    from kreid.config.network import OneStream, TwoStream

_NO_POSE = "The part stream started from random weights: the names of parts only number its channels."


class Seen(NamedTuple):
    """What the network makes of one image.

    Attributes:
        activation: by layer, `(h, w)`: the L2 norm over the channels of each place, never negative.
        parts: `(h, w, P)`, the last confidence map, channels as in `Viewer.parts`; linear, hence of any sign. None
            without a part stream.
        limbs: `(h, w)`, the L2 norm over the channels of the last part affinity field; None without one.
        embedding: `(D,)`, of length one.
        pooled: what `Viewer.compare` works on: the maps behind each vector of the embedding.
    """

    activation: dict[str, np.ndarray]
    parts: np.ndarray | None
    limbs: np.ndarray | None
    embedding: np.ndarray
    pooled: list[list[np.ndarray]]


class Viewer:
    """Looks into a model: any that `build_model` or `load_model` made.

    Args:
        model: the model; its weights are used as they are.
        config: the `model` section of the configuration that it was built from, for `note`.

    Attributes:
        layers: maps of the appearance stream that can be looked at, from the first to the last in use.
        stages: the layers that `see` takes by default: `layers` without single blocks of a stage, such as `conv5_1`.
        parts: what the channels of the part maps stand for, in order; empty without a part stream.
        note: what to say beside the names of parts, where they mean nothing: the stream never was a pose network.
        image_size: height and width of the model's input in pixels.
        cameras: names of those that the model learned, which `see` then asks for; None for a model of images alone.

    Raises:
        ValueError: the model has none of the layers that an embedder has.

    Example:
        >>> viewer = kreid.Viewer(model)
        >>> images = np.random.default_rng(0).uniform(0, 255, (2, *viewer.image_size, 3))  # RGB 0-255
        >>> first, second = viewer.see(images)
        >>> list(first.activation) == list(viewer.stages)
        True
        >>> alike = viewer.compare(first, second).similarity  # the cosine, shared out among places
    """

    def __init__(self, model: keras.Model, config: "TwoStream | OneStream | None" = None) -> None:
        check_kind("model", model, keras.Model)
        if config is not None:
            check_section(config)
        names = {layer.name for layer in model.layers}
        if not {"appearance", "embedding"} <= names:
            raise ValueError("model: expected one that build_model or load_model made, with an appearance stream")
        self.image_size = image_size(model)
        self.cameras = camera_names(model)
        maps = {name: x for name, x in _outputs(model, "appearance").items() if len(x.shape) == 4}  # no class token
        self.layers = tuple(maps)
        self.stages = tuple(name for name in maps if re.sub(r"_\d+$", "", name) not in {*maps} - {name})
        outputs = {f"map {name}": tensor for name, tensor in maps.items()}
        self.parts: tuple[str, ...] = ()
        if "part" in names:
            kinds = {re.sub(r"_\d+$", "", name): tensor for name, tensor in _outputs(model, "part").items()}
            outputs["parts"] = kinds["confidence"]
            if "paf" in kinds:
                outputs["limbs"] = kinds["paf"]
            self.parts = PARTS[kinds["confidence"].shape[-1]]
        random = config is not None and config.embedder == "two_stream" and config.part.weights is None
        self.note = _NO_POSE if self.parts and random else ""
        self._tails = tails(model)
        pooled = [tail.maps for tail in self._tails]
        self._network = keras.Model(model.input, [outputs, pooled, model.output["embedding"]])

    def see(
        self, images: Tensor, layers: Sequence[str] | None = None, cameras: Sequence[str] | None = None
    ) -> list[Seen]:
        """Look at a batch.

        The norm over channels is the usual summary of a map (its square is the attention map of Zagoruyko and
        Komodakis, "Paying More Attention to Attention", arXiv 1612.03928, equation 2): it says how strongly a place
        speaks, whatever about, and a place where everything is zero adds nothing to a pooled embedding. A map covers
        the whole image; only those of `inception_v4`, which does not pad, leave out the borders, the more the deeper.

        Args:
            images: `(N, H, W, 3)`, RGB 0-255, of `image_size`.
            layers: of `activation`, in the order wanted; by default `stages`, as in the paper's Fig. 5.
            cameras: the name of each image's camera, for a model that learned cameras.

        Returns:
            A `Seen` for each image.

        Raises:
            ConfigError: a ValueError naming the layers there are, where one does not exist.
            ValueError: for cameras that the model did not learn, or where it lacks them.
        """
        if isinstance(layers, str):
            raise ConfigError(f"layers: expected a list of names, received {layers!r}; give [{layers!r}]")
        expected = (*self.image_size, 3)
        if np.shape(images)[1:] != expected:
            size = ", ".join(map(str, expected))
            raise ConfigError(f"images: expected (N, {size}), RGB 0-255, received {received(images)}")
        layers = self.stages if layers is None else tuple(layers)
        self.check_layers(layers)
        outputs, tensors, embeddings = self._network(self._inputs(images, cameras), training=False)
        maps = {name: _norm(outputs[f"map {name}"]) for name in layers}
        parts = np.asarray(outputs["parts"]) if "parts" in outputs else None
        limbs = _norm(outputs["limbs"]) if "limbs" in outputs else None
        pooled = [[np.asarray(one) for one in inputs] for inputs in tensors]
        return [
            Seen(
                {name: values[row] for name, values in maps.items()},
                None if parts is None else parts[row],
                None if limbs is None else limbs[row],
                embedding,
                [[one[row] for one in inputs] for inputs in pooled],
            )
            for row, embedding in enumerate(np.asarray(embeddings))
        ]

    def check_layers(self, layers: Sequence[str]) -> None:
        """Raise the ConfigError of `see` for the first of `layers` that does not exist."""
        for name in layers:
            if name not in self.layers:
                raise ConfigError(f"layers: no map {name!r} in this network; it has {', '.join(self.layers)}")

    def _inputs(self, images: Tensor, cameras: Sequence[str] | None) -> Tensor | dict[str, Tensor]:
        pixels = np.asarray(images, np.float32)
        if self.cameras is None:
            return pixels
        if cameras is None:
            check_images_alone(self._network, "cameras")
        return {IMAGE: pixels, CAMERA: numbers_given(() if cameras is None else cameras, self.cameras, len(pixels))}

    def compare(self, first: Seen, second: Seen) -> Pair:
        """Share the similarity of two images out among their places and parts, see `kreid.look.pairs.explain`."""
        check_kind("first", first, Seen)
        check_kind("second", second, Seen)
        both = list(zip(first.pooled, second.pooled, strict=True))
        maps = [[np.stack(pair) for pair in zip(*inputs, strict=True)] for inputs in both]
        return explain(self._tails, maps, np.stack([first.embedding, second.embedding]))


def relative(values: np.ndarray) -> np.ndarray:
    """Scale a map to 0-1, from its lowest to its highest value; all zeros where these are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _outputs(model: keras.Model, name: str) -> dict[str, Tensor]:
    """The maps of a nested backbone, as tensors of the model that it stands in."""
    backbone = model.get_layer(name)
    return keras.tree.pack_sequence_as(backbone.output, backbone._inbound_nodes[-1].output_tensors)


def _norm(values: Tensor) -> np.ndarray:
    return np.sqrt(np.square(np.asarray(values, np.float32)).sum(-1))
