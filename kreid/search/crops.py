"""Search beyond one action: crops from files, records or embeddings, their vectors, names and pictures."""

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kreid.config.sections import PLAIN, Evaluation
from kreid.ranking.embeddings import Images, describe
from kreid.types import Progress
from tfrecords_tools.arrays import map_arrays

if TYPE_CHECKING:
    import keras

_LABELS = ("person", "action", "bbox", "is_query")
_MADE = ("network", "flip")


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of an array, read when they are asked for: what a search takes in place of a copy.

    Args:
        array: (M, D); may be a memory map.
        rows: (N,) positions in it.
    """

    array: np.ndarray
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        return (len(self.rows), *self.array.shape[1:])

    @property
    def ndim(self) -> int:
        """Of `array`."""
        return self.array.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.array[self.rows[part]]


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops to search with or among.

    Args:
        vectors: (N, D) embeddings; may be a memory map or `Rows`.
        name: of a row, for people: the file's path, or where the crop stands in its records.
        picture: of a row, encoded, or None where there is none.
        key: of a row, equal for the same file, or the same row of the same file, on both sides of a search; None for a
            crop that is never the same as another.
        paths: of the files, where the crops are files.
        made: "network" and "flip" as kreid-embed wrote them into a file of embeddings, as far as they stand there.
    """

    vectors: np.ndarray | Rows
    name: Callable[[int], str]
    picture: Callable[[int], bytes | None]
    key: Callable[[int], Hashable] = lambda row: None
    paths: Sequence[str | Path] | np.ndarray | None = None
    made: Mapping[str, str | bool] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.vectors)


def crops_of_files(
    model: "keras.Model", files: Sequence[Path], progress: Progress | None = None, settings: Evaluation = PLAIN
) -> Crops:
    """Embed image files; see `kreid.embedding.embed_files`."""
    from kreid.embedding.extract import embed_files

    places = [Path(file).absolute() for file in files]  # wherever the process goes
    return Crops(
        embed_files(model, files, progress=progress, settings=settings),
        lambda row: str(files[row]),
        lambda row: read_file(places[row]),
        lambda row: os.path.realpath(places[row]),
        files,
    )


def crops_of_records(
    model: "keras.Model",
    folder: str | Path,
    queries: bool,
    progress: Progress | None = None,
    settings: Evaluation = PLAIN,
) -> Crops:
    """Embed a folder of records and take its queries, or its gallery.

    Args:
        model: with an `embedding` output.
        folder: of one split, such as `records/test`; all images of the training set are gallery images.
        queries: take the queries, not the gallery.
        progress: called with the images done and their total.
        settings: see `kreid.embedding.embed`.

    Raises:
        ValueError: where it has none of them, or as `kreid.embedding.embed`.
    """
    from kreid.embedding.extract import embed
    from tfrecords_tools.index import read_index
    from tfrecords_tools.schema import parse

    index = read_index(folder)
    images = Images(index.person, index.action, index.bbox, index.is_query)
    rows = _chosen(folder, images, queries)
    vectors = embed(model, folder, progress=progress, settings=settings).vectors
    return Crops(
        Rows(vectors, rows),
        lambda row: f"{folder}: {describe(images, rows[row])}",
        lambda row: parse(index.read([rows[row]])[0])["image"].numpy(),
    )


def crops_of_embeddings(path: str | Path, queries: bool) -> Crops:
    """Open a file of embeddings, without reading it into memory.

    Args:
        path: a `.npz` that kreid-embed or `Embeddings.save` wrote, or a `.npy` of (N, D) vectors.
        queries: of a `.npz` with labels take the queries, not the gallery; of others, everything is taken.

    Returns:
        The crops; those of a `.npz` with paths have pictures as long as the files lie there.

    Raises:
        ValueError: naming the file, if it is something else or holds none of them.
    """
    arrays = map_arrays(path)
    vectors = arrays.get("vectors")
    if vectors is None or vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        received = "none" if vectors is None else f"{vectors.dtype} of shape {vectors.shape}"
        raise ValueError(
            f"{path}: expected vectors, (N, D) real numbers, as kreid-embed writes them, received {received}"
        )
    if not len(vectors):
        raise ValueError(f"{path}: holds no vectors")
    lengths = {name: len(arrays[name]) for name in ("path", *_LABELS) if name in arrays and arrays[name].ndim}
    if set(lengths.values()) - {len(vectors)}:
        raise ValueError(f"{path}: expected {len(vectors)} of each, as there are vectors, received {lengths}")
    made = {name: arrays[name].item() for name in _MADE if name in arrays and not arrays[name].ndim}
    if "path" in lengths:
        paths, here = arrays["path"], Path.cwd()
        return Crops(
            vectors,
            lambda row: str(paths[row]),
            lambda row: read_file(here / str(paths[row])),
            lambda row: os.path.realpath(here / str(paths[row])),
            paths,
            made,
        )
    if lengths.keys() >= set(_LABELS):
        try:
            person, action, bbox, is_query = (np.array(arrays[name]) for name in _LABELS)
            images = Images(person, action, bbox, is_query)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        rows = _chosen(path, images, queries)
        return Crops(
            Rows(vectors, rows), lambda row: f"{path}: {describe(images, rows[row])}", lambda row: None, made=made
        )
    place = os.path.realpath(path)
    return Crops(vectors, lambda row: f"{path}: row {row}", lambda row: None, lambda row: (place, row), made=made)


def _chosen(where: str | Path, images: Images, queries: bool) -> np.ndarray:
    rows = np.flatnonzero(images.is_query == queries)
    if not len(rows):
        raise ValueError(f"{where}: no {'query' if queries else 'gallery'} image among its {len(images):,} images")
    return rows


def read_file(path: Path) -> bytes | None:
    """Return what is in a file; None where it cannot be read any more."""
    try:
        return path.read_bytes()
    except OSError:
        return None
