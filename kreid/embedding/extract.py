"""From images to embeddings with labels: the step between a trained model and everything that is NumPy."""

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kreid.config.sections import PLAIN, Evaluation
from kreid.data.cameras import numbers_given, numbers_of
from kreid.data.images import check_images, encoded_batches, file_batches
from kreid.data.records import damage_named, read_labels, record_batches
from kreid.embedding.views import Picture, cut, pictures
from kreid.errors import ConfigError, check_function, check_kind, check_number, check_path, received
from kreid.models.embedders import layer_wise_heads
from kreid.models.inputs import CAMERA, IMAGE, camera_names, check_images_alone, image_size, takes_cameras
from kreid.ranking.distances import unit_float32
from kreid.ranking.embeddings import Embeddings
from kreid.types import Progress, Tensor
from tfrecords_tools.index import read_index

_ARRAYS = "pixels in arrays go through the network itself: model(images)['embedding']"


class Embedded(NamedTuple):
    """Embeddings and what they cost: seconds of waiting for images and of the network, compiling it left out."""

    embeddings: Embeddings
    seconds: float


class _Recipe(NamedTuple):
    """One way to a vector: the pictures averaged over, and whether the heads' vectors stand beside the embedding."""

    pictures: tuple[Picture, ...]
    heads: bool


_EXTRACTORS: weakref.WeakKeyDictionary[keras.Model, dict[tuple[str, ...], Callable[[Tensor], Tensor]]] = (
    weakref.WeakKeyDictionary()
)


def embed(
    model: keras.Model,
    records: str | Path,
    batch_size: int = 64,
    progress: Progress | None = None,
    settings: Evaluation = PLAIN,
    rows: Sequence[int] | np.ndarray | None = None,
) -> Embeddings:
    """Embed the images of a record folder.

    Args:
        model: a model with an `embedding` output, from `build_model` or `load_model`.
        records: a split's folder, such as `records/test`.
        batch_size: images at a time.
        progress: called with the images done and their total.
        settings: the `evaluation` section of a configuration, of which `flip`, `crops` and `embedding` count here; by
            default the model's embedding of the whole image.
        rows: positions in the folder's index of the images to embed; all by default.

    Returns:
        Vectors and labels, in the order of the records or of `rows`; the person is -1 in the challenge split, the
        camera there where the records know it, and the protocol the one that the records name.

    Raises:
        ValueError: where the folder holds no readable records, or the model lacks the heads that are asked for, or
            learned cameras, and the records tell none or others.

    Example:
        >>> embeddings = kreid.embed(model, "records/test")
        >>> embeddings.vectors.shape == (len(embeddings.person), model.output["embedding"].shape[-1])
        True
    """
    return embed_each(model, records, [settings], batch_size, progress, rows)[0].embeddings


def embed_each(
    model: keras.Model,
    records: str | Path,
    settings: Sequence[Evaluation],
    batch_size: int = 64,
    progress: Progress | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
) -> list[Embedded]:
    """Embed a record folder in several ways at once: every image is read, and every picture embedded, only once.

    Args:
        model: see `embed`.
        records: see `embed`.
        settings: one for each result; see `embed`.
        batch_size: images at a time.
        progress: called with the images done and their total.
        rows: see `embed`.

    Returns:
        One for each of `settings`; where these differ in `expand` and `rerank` alone, the same one.

    Raises:
        ValueError: see `embed`.
    """
    size = _image_size(model)
    check_path("records", records, "a split's folder of records, such as records/test", _ARRAYS)
    _check_settings(batch_size, progress, settings)
    index = read_index(records)
    chosen = _chosen(rows, len(index))
    images = read_labels(index, chosen)  # complains before the network works
    names = camera_names(model)
    cameras = None if names is None else numbers_of(index, names, chosen)
    batches = record_batches(records, size, batch_size, None if rows is None else chosen)
    recipes = [_Recipe(pictures(one), one.embedding == "concat") for one in settings]
    with damage_named(index, chosen):
        found = _vectors(model, batches, len(chosen), progress, list(dict.fromkeys(recipes)), cameras)
    labels = {name: getattr(images, name) for name in ("person", "action", "bbox", "is_query", "camera", "protocol")}
    embedded = {recipe: Embedded(Embeddings(vectors, **labels), cost) for recipe, (vectors, cost) in found.items()}
    return [embedded[recipe] for recipe in recipes]


def embed_files(
    model: keras.Model,
    paths: Sequence[str | Path],
    batch_size: int = 64,
    progress: Progress | None = None,
    settings: Evaluation = PLAIN,
    cameras: Sequence[str] | None = None,
) -> np.ndarray:
    """Embed image files: `(M, D)` float32, in the order of `paths`.

    Args:
        model: see `embed`.
        paths: the files.
        batch_size: images at a time.
        progress: called with the images done and their total.
        settings: see `embed`.
        cameras: the name of each file's camera, for a network that learned cameras; others do without.

    Raises:
        ConfigError: for one path in the place of a list, and where a network that learned cameras is given none.
        ValueError: naming the first file that is missing or no image, or a camera that the network does not know.

    Example:
        >>> vectors = kreid.embed_files(model, ["crops/left.png", "crops/right.png"])
        >>> cosine = vectors[0] @ vectors[1]  # of vectors of length one
    """
    if isinstance(paths, str | Path):
        raise ConfigError(f"paths: expected a list of files, received {str(paths)!r}; give [path] for one")
    if not isinstance(paths, Sequence | np.ndarray):
        raise ConfigError(f"paths: expected a list of files, received {received(paths)}")
    size = _image_size(model)
    _check_settings(batch_size, progress, [settings])
    for number, path in enumerate(paths):
        check_path(f"paths: number {number}", path, "an image file", _ARRAYS)
    numbers = _camera_numbers(model, cameras, len(paths))
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise ValueError(f"{missing[0]}: no such image file")
    batches = file_batches(paths, size, batch_size)
    recipe = _Recipe(pictures(settings), settings.embedding == "concat")
    try:
        return _vectors(model, batches, len(paths), progress, [recipe], numbers)[recipe][0]
    except tf.errors.OpError:
        check_images(paths)  # complains of the first that is none
        raise


def embed_encoded(
    model: keras.Model,
    images: Iterable[bytes],
    total: int,
    batch_size: int = 64,
    progress: Progress | None = None,
    settings: Evaluation = PLAIN,
) -> np.ndarray:
    """Embed images given by the bytes of their files: `(M, D)` float32, in their order.

    Args:
        model: see `embed`.
        images: PNG or JPEG files; what goes wrong while they are read is raised as it is.
        total: how many there are.
        batch_size: images at a time.
        progress: called with the images done and their total.
        settings: see `embed`.

    Raises:
        ConfigError: for a network that asks for cameras.
        ValueError: where one cannot be decoded.
    """
    check_images_alone(model, "images")
    raised: list[Exception] = []

    def watched() -> Iterator[bytes]:
        try:
            yield from images
        except Exception as error:  # which TensorFlow would wrap in many lines
            raised.append(error)
            raise

    recipe = _Recipe(pictures(settings), settings.embedding == "concat")
    try:
        batches = encoded_batches(watched, _image_size(model), batch_size)
        return _vectors(model, batches, total, progress, [recipe])[recipe][0]
    except tf.errors.OpError as error:
        if raised:
            raise raised[0] from None
        raise ValueError(f"an image cannot be decoded: {str(error).strip().splitlines()[0]}") from None


def extractor(model: keras.Model, outputs: Sequence[str] = ("embedding",)) -> Callable[[Tensor], Tensor]:
    """A function from images, or what the model takes, to the vectors of these outputs, side by side: `(N, D)`.

    Compiled once a model, however often it is asked for.
    """
    compiled = _EXTRACTORS.setdefault(model, {})
    if tuple(outputs) not in compiled:
        compiled[tuple(outputs)] = _compile(model, outputs)
    return compiled[tuple(outputs)]


def _image_size(model: keras.Model) -> tuple[int, int]:
    """Return height and width of the images that a network takes.

    Raises:
        ConfigError: for what is no network.
        ValueError: for a network without an output named `embedding`, or one that is not built yet.
    """
    check_kind("model", model, keras.Model)
    outputs = getattr(model, "output", None)  # Keras has none of a network that was never called
    if not isinstance(outputs, Mapping) or "embedding" not in outputs:
        what = f"outputs {', '.join(outputs)}" if isinstance(outputs, Mapping) else "one without names"
        raise ValueError(
            f"model: expected a network with an output named embedding, as `kreid.build_model` and `kreid.load_model` "
            f"give, received {what}; wrap yours: keras.Model(inputs, {{'embedding': vectors}})"
        )
    return image_size(model)


def _camera_numbers(model: keras.Model, cameras: Sequence[str] | None, count: int) -> np.ndarray | None:
    """The network's numbers for the cameras of `count` images, None where it takes none."""
    names = camera_names(model)
    if names is None:
        return None
    if cameras is None:
        check_images_alone(model, "cameras")
        return None
    return numbers_given(cameras, names, count)


def _check_settings(batch_size: int, progress: Progress | None, settings: Sequence[Evaluation]) -> None:
    check_number("batch_size", batch_size)
    if batch_size < 1:
        raise ConfigError(f"batch_size: expected 1 or more, received {batch_size}")
    if progress is not None:
        check_function("progress", progress, "the images done and their total")
    for section in settings:
        check_kind("settings", section, Evaluation)


def _chosen(rows: Sequence[int] | np.ndarray | None, count: int) -> np.ndarray:
    """Return the positions in an index of `count` images that are asked for."""
    if rows is None:
        return np.arange(count)
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or (len(chosen) and chosen.dtype.kind not in "iu"):
        raise ConfigError(f"rows: expected positions in the folder's index, received {received(rows)}")
    strange = chosen[(chosen < 0) | (chosen >= count)]
    if len(strange):
        raise ConfigError(f"rows: expected positions from 0 to {count - 1}, received {strange[0]}")
    return chosen.astype(np.int64)


def _compile(model: keras.Model, outputs: Sequence[str]) -> Callable[[Tensor], Tensor]:
    vectors = [model.output[name] for name in outputs]
    single = keras.Model(model.input, keras.ops.concatenate(vectors, axis=-1) if len(vectors) > 1 else vectors[0])
    if keras.backend.backend() == "tensorflow":
        # Traced once, here: TensorFlow would warn of the many functions that one training after another makes.
        image = tf.TensorSpec((None, *_image_size(model), 3), tf.float32)
        taken = {IMAGE: image, CAMERA: tf.TensorSpec((None,), tf.int32)} if takes_cameras(model) else image
        run = tf.function(lambda images: single(images, training=False), autograph=False)
        return run.get_concrete_function(taken)
    return lambda images: single.predict_on_batch(keras.tree.map_structure(np.asarray, images))


def _vectors(
    model: keras.Model,
    batches: Iterable[Tensor],
    total: int,
    progress: Progress | None,
    recipes: Sequence[_Recipe],
    cameras: np.ndarray | None = None,
) -> dict[_Recipe, tuple[np.ndarray, float]]:
    """Return for every recipe `(M, D)` float32 vectors and the seconds that they took."""
    outputs = ("embedding", *(_heads(model) if any(recipe.heads for recipe in recipes) else ()))
    widths = [model.output[name].shape[-1] for name in outputs]
    sums = {one: np.zeros((total, sum(widths) if one.heads else widths[0]), np.float32) for one in recipes}
    spent = {picture: 0.0 for recipe in recipes for picture in recipe.pictures}
    function = extractor(model, outputs)
    first = np.zeros((1, *_image_size(model), 3), np.float32)
    function(_inputs(first, cameras, slice(1)))  # compile it before the clock runs
    done, start = 0, time.perf_counter()
    waited = 0.0
    for images in batches:
        waited += time.perf_counter() - start
        rows = slice(done, done + len(images))
        for picture in spent:
            start = time.perf_counter()
            part = np.asarray(function(_inputs(cut(images, picture), cameras, rows)))
            spent[picture] += time.perf_counter() - start
            for recipe, vectors in sums.items():
                if picture in recipe.pictures:
                    vectors[rows] += part[:, : vectors.shape[1]]
        done += len(images)
        if progress:
            progress(done, total)
        start = time.perf_counter()
    plain = _Recipe(pictures(PLAIN), False)
    return {
        recipe: (
            vectors if recipe == plain else unit_float32(vectors),
            waited + sum(spent[picture] for picture in recipe.pictures),
        )
        for recipe, vectors in sums.items()
    }


def _inputs(images: Tensor, cameras: np.ndarray | None, rows: slice) -> Tensor | dict[str, Tensor]:
    """What the network takes of a batch, the images at `rows`."""
    return images if cameras is None else {IMAGE: images, CAMERA: cameras[rows]}


def _heads(model: keras.Model) -> tuple[str, ...]:
    """Names of the layer-wise heads, none where the model's own embedding holds them already."""
    heads = layer_wise_heads(model)
    if not heads:
        raise ValueError("embedding: concat needs layer-wise heads, and the model has none (model.heads.layers)")
    width = sum(model.output[name].shape[-1] for name in ("final", *heads) if name in model.output)
    return () if "final" in model.output and model.output["embedding"].shape[-1] == width else heads
