"""SavedModels for TensorFlow Serving."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kreid.data.file_errors import as_os_error
from kreid.data.images import resize
from kreid.errors import ConfigError, check_kind, check_path
from kreid.files.atomic import write_json
from kreid.models.inputs import check_images_alone
from kreid.serving.contracts import CONTRACTS
from kreid.serving.encoded import decode_files
from kreid.serving.export_file import export_file
from kreid.serving.folding import fold
from kreid.serving.formats import FILES, MAX_PIXELS, PRECISIONS
from kreid.serving.server_files import MODEL, write_server_files
from kreid.serving.versions import check_versions, write_version
from kreid.serving.warmup import write_warmup
from kreid.serving.written import Crops, Written, check_distance, cosine_distance
from kreid.types import Tensor

EXTRA = "assets.extra"
SAVED_MODEL = "saved_model"
_FILES = tf.TensorSpec((None,), tf.string, name="image_bytes")
_WARM = (1, 8)  # images of a warm-up request
_FAR = 2.0  # the distance of opposite vectors


def export(
    model: keras.Model,
    out: str | Path,
    format: str = SAVED_MODEL,
    contract: str = "images",
    precision: str = "float32",
    calibration: np.ndarray | None = None,
) -> Path:
    """Write a network for programs that know nothing of kreid, held against the network before it has its name.

    Args:
        model: a model with an `embedding` output, from `build_model` or `load_model`.
        out: of a SavedModel the folder of its versions, see `export_version`; else the file, see `export_file`.
        format: "saved_model" (default), for TensorFlow Serving; "onnx", "litert" or "openvino", each an extra.
        contract: what a file takes: "images" (default), RGB 0-255 of any size, or "tracker", as trackers normalise.
        precision: of a file's weights: "float32" (default), "float16" or "int8".
        calibration: images of the network's size, RGB 0-255, for the ranges of int8; 32 drawn crops by default.

    Returns:
        The version's folder, or the file.

    Raises:
        ConfigError: for a format, contract or precision that there is not, or whose package is missing; for a model
            without an embedding, or one that asks for cameras, which no format holds.
        ValueError: where what was written computes something else than the network; nothing is kept of it.
        OSError: where it cannot be written.

    Example:
        >>> model = kreid.load_model("saved_models/demo")
        >>> version = kreid.export(model, "saved_models/demo/serving")
        >>> version.name
        '1'
    """
    check_kind("model", model, keras.Model)
    check_path("out", out, "what to write: a folder of versions, or a file")
    check_images_alone(model, "model")
    asked = {"format": format, "contract": contract, "precision": precision}
    known = {"format": (SAVED_MODEL, *FILES), "contract": tuple(CONTRACTS), "precision": PRECISIONS}
    if format == SAVED_MODEL:
        known |= {"contract": ("images",), "precision": ("float32",)}
    for name, value in asked.items():
        if value not in known[name]:
            of = "" if name == "format" else f" of {format}"
            raise ConfigError(f"{name}{of}: expected {' or '.join(known[name])}, received {value!r}")
    if format == SAVED_MODEL:
        return export_version(model, out).path
    return export_file(model, out, format, contract, precision, calibration).path


def export_version(
    model: keras.Model, out: str | Path, about: Mapping[str, Any] | None = None, max_pixels: int = MAX_PIXELS
) -> Written:
    """Write a SavedModel for TensorFlow Serving, and hold it against the network before it gets its number.

    Signatures, each for any number of images:
    `serving_default` and `encoded`: `image_bytes`, `(N,)` strings, PNG or JPEG files of any size -> `embedding`,
    `(N, D)` vectors of length one, zeros for a bad image;
    `checked`: the same, and `ok`, `(N,)`, whether an image is good;
    `pixels`: `image`, `(N, h, w, 3)` float32, RGB 0-255, of any one size -> `embedding`;
    `similarity`: `query` `(Q,)` and `gallery` `(G,)`, files -> `distance` `(Q, G)`, Euclidean, from 0 to 2, which a bad
    image has from all others; `query_ok` and `gallery_ok`.
    Decoding and resizing are those of training and evaluation. An image is bad if it is no PNG or JPEG, damaged, or of
    more than `max_pixels`; it changes no other image's answer.

    Args:
        model: a model with an `embedding` output.
        out: a folder of versions; the model goes into the next number, `out/1` at first.
        about: what the run says of itself, `kreid.runs.about.describe_run`, for `assets.extra/kreid.json`.
        max_pixels: an image of more is not decoded.

    Raises:
        ConfigError: where there can be no versions, or TensorFlow could not load them from there.
        ValueError: where the SavedModel computes something else than the network.
        OSError: where it cannot be written; nothing half-written stays.
    """
    out = check_versions(out)
    crops = Crops.draw(model)
    archive = _archive(model, max_pixels)
    checked: list[Written] = []

    def write(folder: Path) -> None:
        archive.write_out(str(folder), verbose=False)
        (folder / EXTRA).mkdir()
        write_warmup(folder / EXTRA, _requests(crops), MODEL)
        write_json(folder / EXTRA / "kreid.json", {**(about or {}), "contract": _contract(model, max_pixels)})
        checked.append(_check(folder, crops, max_pixels))

    path = write_version(out, lambda folder: _naming(out, lambda: write(folder)))
    write_server_files(out)
    return Written(path, checked[0].distance, checked[0].run)


def _archive(model: keras.Model, max_pixels: int) -> keras.export.ExportArchive:
    size = model.input_shape[1:3]
    single = fold(keras.Model(model.input, model.output["embedding"]))

    # What signatures share is traced once, and stands once in the SavedModel; TensorFlow inlines it where it runs.
    @tf.function(input_signature=[tf.TensorSpec((None, *size, 3), tf.float32)], autograph=False)
    def embedded(images: Tensor) -> Tensor:
        return single(images, training=False)

    @tf.function(input_signature=[_FILES], autograph=False)
    def checked(image_bytes: Tensor) -> dict[str, Tensor]:
        images, is_good = decode_files(image_bytes, size, max_pixels)
        return {"embedding": tf.where(is_good[:, None], embedded(images), 0.0), "ok": is_good}

    def encoded(image_bytes: Tensor) -> dict[str, Tensor]:
        return {"embedding": checked(image_bytes)["embedding"]}

    def pixels(image: Tensor) -> dict[str, Tensor]:
        return {"embedding": embedded(resize(image, size))}

    def similarity(query: Tensor, gallery: Tensor) -> dict[str, Tensor]:
        queries, others = checked(query), checked(gallery)
        cosine = tf.matmul(queries["embedding"], others["embedding"], transpose_b=True)
        distance = tf.sqrt(tf.maximum(0.0, 2.0 - 2.0 * cosine))  # of vectors of length one
        both = queries["ok"][:, None] & others["ok"][None]
        ok = {"query_ok": queries["ok"], "gallery_ok": others["ok"]}
        return {"distance": tf.where(both, distance, _FAR), **ok}

    # ExportArchive, because a SavedModel of the model itself or of a tf.Module does not load in TensorFlow Serving. The
    # variables come with the endpoints; where the network is tracked too, Keras traces all its parts to look for more.
    archive = keras.export.ExportArchive()
    archive.add_variable_collection("variables", single.variables)
    archive.add_variable_collection("trainable_variables", single.trainable_variables)
    archive.add_endpoint("encoded", encoded, [_FILES])
    archive.add_endpoint("checked", checked, [_FILES])
    archive.add_endpoint("pixels", pixels, [tf.TensorSpec((None, None, None, 3), tf.float32, name="image")])
    names = [tf.TensorSpec((None,), tf.string, name=name) for name in ("query", "gallery")]
    archive.add_endpoint("similarity", similarity, names)
    return archive


def _requests(crops: Crops) -> list[tuple[str, dict[str, np.ndarray]]]:
    """What the server asks itself before others do: each signature for one image, and for several."""
    files = _files(crops)
    requests: list[tuple[str, dict[str, np.ndarray]]] = []
    for count in _WARM:
        some = files[:count]
        requests += [(name, {"image_bytes": some}) for name in ("serving_default", "encoded", "checked")]
        requests += [("pixels", {"image": crops.resized[:count]}), ("similarity", {"query": some, "gallery": some})]
    return requests


def _files(crops: Crops) -> np.ndarray:
    return np.array([tf.io.encode_png(crop).numpy() for crop in crops.own], object)


def _contract(model: keras.Model, max_pixels: int) -> dict[str, Any]:
    height, width = model.input_shape[1:3]
    return {
        "image": "RGB 0-255, PNG or JPEG by content, orientation and colour profile not applied",
        "network_size": [height, width],
        "max_pixels": max_pixels,
        "embedding": [model.output["embedding"].shape[-1], "unit length, float32"],
    }


def _check(folder: Path, crops: Crops, max_pixels: int) -> Written:
    """Load what was written, and hold its signatures of pixels and of files against the network."""
    signatures = tf.saved_model.load(str(folder)).signatures
    pixels = signatures["pixels"]

    def run(images: np.ndarray) -> np.ndarray:
        return pixels(image=tf.constant(images))["embedding"].numpy()

    found = signatures["checked"](image_bytes=tf.constant(_files(crops)))
    taken = np.array([crop.shape[0] * crop.shape[1] <= max_pixels for crop in crops.own])
    if found["ok"].numpy().tolist() != taken.tolist():
        raise ValueError("format saved_model: does not take the images that it should; nothing is kept of it")
    distances = cosine_distance(found["embedding"].numpy()[taken], crops.embeddings[taken])
    distance = max(crops.distance(run, any_size=True), float(distances.max(initial=0)))
    check_distance(distance, "format saved_model")
    return Written(folder, distance, run)


def _naming(out: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except tf.errors.OpError as error:
        raise as_os_error(error, out) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from None  # the hidden folder's name says nothing
