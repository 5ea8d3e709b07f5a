"""What a network takes: images, and beside them the camera of each where it has learned a vector for every camera.

A network of images alone is called with a tensor, one with cameras with `{"image": (N, H, W, 3), "camera": (N,)}`.
"""

from collections.abc import Iterator, Mapping

import keras

from kreid.errors import ConfigError
from kreid.layers.cameras import CameraEmbedding

IMAGE, CAMERA = "image", "camera"


def image_size(model: keras.Model) -> tuple[int, int]:
    """Height and width of the images that a network takes, in pixels."""
    height, width = (model.input[IMAGE] if takes_cameras(model) else model.input).shape[1:3]
    return height, width


def takes_cameras(model: keras.Model) -> bool:
    """Whether a network asks for the camera of each image."""
    taken = getattr(model, "input", None)  # which a Sequential that was never called has not
    return isinstance(taken, Mapping) and CAMERA in taken


def camera_names(model: keras.Model) -> tuple[str, ...] | None:
    """Names of the cameras that a network knows, in the order of their numbers there; None where it takes none.

    Raises:
        ConfigError: where nothing has named them.
    """
    if not takes_cameras(model):
        return None
    (layer,) = _embeddings(model)
    if not layer.names:
        raise ConfigError(
            f"model: nothing names its {layer.input_dim} cameras, so those of records cannot be told; build it with "
            "model.appearance.camera_names, in the order of their vectors"
        )
    return layer.names


def check_images_alone(model: keras.Model, what: str) -> None:
    """Complain of a network that asks for cameras.

    Args:
        model: the network.
        what: there is in the place of records, to open the message.

    Raises:
        ConfigError: saying that it needs cameras.
    """
    if takes_cameras(model):
        raise ConfigError(f"{what}: {NEEDS_CAMERAS}")


NEEDS_CAMERAS = (
    "the network asks for the camera of each image (model.appearance.cameras), which nothing tells here; give records "
    "that know cameras, or a network without"
)


def _embeddings(model: keras.Model) -> Iterator[CameraEmbedding]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _embeddings(layer)
        elif isinstance(layer, CameraEmbedding):
            yield layer
