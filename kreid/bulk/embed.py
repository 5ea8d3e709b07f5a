"""A bulk of images to Parquet files of vectors, each written by a worker of a Beam pipeline."""

import io
import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from kreid import runs
from kreid.config.sections import Evaluation
from kreid.embedding.extract import embed_encoded
from kreid.errors import ConfigError
from kreid.files.parquet import write_parquet
from kreid.runs.folder import network_digest
from tfrecords_tools.addresses import is_address
from tfrecords_tools.images import load_images
from tfrecords_tools.index import INDEX_NAME
from tfrecords_tools.info import INFO_NAME, parse_info, protocol_of_split
from tfrecords_tools.pipelines.addresses import exists, files_below, place_of, read, write
from tfrecords_tools.pipelines.run import run_each
from tfrecords_tools.records import read_frames
from tfrecords_tools.walk import SUFFIXES

IMAGES_PER_FILE = 10_000  # image files whose vectors stand in one file: 20 MB of 512 numbers each
_WORK = ".kreid-work"
_NAME, _PARTS = "part-{:06d}-of-{:06d}.parquet", "part-*.parquet"
_MODELS: dict[str, tuple[keras.Model, str]] = {}  # of this process, by run
_LOADING = threading.Lock()


def embed(
    run: str, images: Sequence[str], out: str, pipeline: PipelineOptions, settings: Evaluation, records: bool = False
) -> int:
    """Embed image files, or a folder of records, and write `out/part-*.parquet`: see `kreid.files.parquet`.

    Args:
        run: the run folder or its address; each worker loads it once.
        images: image files in order, or files of records, by names that workers know them by; see `sources_of`.
        out: the folder or its address, which holds no such files yet.
        pipeline: from `tfrecords_tools.pipelines.run.check_runner`.
        settings: the `evaluation` section of a configuration, see `kreid.embed`.
        records: whether these are files of records; each gives a file of vectors.

    Returns:
        How many images were embedded.

    Raises:
        ValueError: naming the first image or record that cannot be read, or the address that cannot be reached; then
            nothing is left in `out`.
    """
    base = place_of(out)
    count = 1 if records else IMAGES_PER_FILE
    parts = [list(images[first : first + count]) for first in range(0, len(images), count)]
    with _all_or_nothing(out):
        for number, part in enumerate(parts):
            write(base / _WORK / f"plan-{number:06d}.json", json.dumps(part).encode())
        run_each(_Embed(run, out, len(parts), settings.model_dump_json(), records), len(parts), pipeline)
        done = [json.loads(read(base / _WORK / f"done-{number:06d}.json")) for number in range(len(parts))]
        wrong = [part["error"] for part in done if "error" in part]
        if wrong:
            more = f"; and so in {len(wrong) - 1} more of {len(parts)} parts" if wrong[1:] else ""
            raise ValueError(wrong[0] + more)
        FileSystems.delete([str(base / _WORK)])
    return sum(part["images"] for part in done)


@contextmanager
def _all_or_nothing(out: str) -> Iterator[None]:
    """Remove, after an error in the block, what was written to a place that held no vectors before, and its folders."""
    folder = Path(out).absolute()
    made = [] if is_address(out) else [above for above in (folder, *folder.parents) if not above.exists()]
    try:
        yield
    except BaseException:
        with suppress(Exception):  # each file system raises its own, and the first error is the one to tell
            found = FileSystems.match([f"{out.rstrip('/')}/{pattern}" for pattern in (_PARTS, f"{_WORK}/*")])
            FileSystems.delete([file.path for match in found for file in match.metadata_list])
        for above in [] if is_address(out) else [folder / _WORK, *made]:
            with suppress(OSError):  # another process has written there meanwhile
                above.rmdir()
        raise


def check_out(out: str) -> None:
    """Complain of a place that vectors stand in already.

    Raises:
        ConfigError: naming it.
    """
    if not is_address(out) and Path(out).exists() and not Path(out).is_dir():
        raise ConfigError(f"--out {out}: a file, expected a folder for Parquet files")
    (found,) = FileSystems.match([f"{out.rstrip('/')}/{_PARTS}"], limits=[1])
    if found.metadata_list:
        raise ConfigError(f"--out {out}: holds vectors already; give another folder")


def check_run_address(run: str) -> None:
    """Complain of an address that is no run.

    Raises:
        ConfigError: naming it.
    """
    if not exists(place_of(run) / runs.CONFIG):
        raise ConfigError(f"{run}: not a run folder, it has no {runs.CONFIG}; give the folder that kreid-train wrote")


def sources_of(address: str) -> tuple[list[str], bool]:
    """Return the files to embed below an address, and whether they are records.

    Raises:
        ValueError: where there is nothing to embed.
    """
    found = files_below(address)
    if f"{address.rstrip('/')}/{INDEX_NAME}" in found:
        return [name for name in found if name.endswith(".tfrecord")], True
    images = [name for name in found if name.lower().endswith(SUFFIXES)]
    if not images:
        raise ValueError(f"{address}: no PNG or JPEG file here, and no {INDEX_NAME} of records")
    return images, False


@dataclass(frozen=True)
class _Embed:
    """Embeds the images of one part and writes its file."""

    run: str
    out: str
    parts: int
    settings: str
    records: bool

    def __call__(self, number: int) -> None:
        base = place_of(self.out)
        sources = json.loads(read(base / _WORK / f"plan-{number:06d}.json"))
        done: dict[str, Any] = {}
        try:
            arrays = self._arrays(sources)
            buffer = io.BytesIO()
            write_parquet(buffer, arrays)
            write(base / _NAME.format(number, self.parts), buffer.getvalue())
            done = {"images": len(arrays["vectors"])}
        except ValueError as error:  # no other try would find other images
            done = {"error": str(error)}
        write(base / _WORK / f"done-{number:06d}.json", json.dumps(done).encode())

    def _arrays(self, sources: list[str]) -> dict[str, np.ndarray]:
        settings = Evaluation.model_validate_json(self.settings)
        model, network = _load(self.run)
        made = {"network": np.array(network), "flip": np.array(bool(settings.flip))}
        if self.records:
            examples = [_labels(record) for record in _records(sources)]
            vectors = embed_encoded(model, (image for image, _ in examples), len(examples), settings=settings)
            columns = {name: np.array([labels[name] for _, labels in examples]) for name in examples[0][1]}
            if (columns["camera"] < 0).all():
                del columns["camera"]
            else:
                made["protocol"] = np.array(_protocol(sources[0]))
            return {"vectors": vectors} | columns | made
        vectors = embed_encoded(model, _images(sources), len(sources), settings=settings)
        return {"vectors": vectors, "path": np.array(sources)} | made


def _images(sources: list[str]) -> Iterator[bytes]:
    for image in load_images(map(place_of, sources)):
        if isinstance(image, Exception):
            raise image
        yield image.data


def _records(sources: list[str]) -> Iterator[bytes]:
    for source in sources:
        try:
            yield from read_frames(read(place_of(source)))
        except ValueError as error:
            raise ValueError(f"{source}: a record is damaged, {error}; run kreid-convert again") from None


def _labels(record: bytes) -> tuple[bytes, dict[str, int | bool]]:
    """The image of a record, and what is known of it."""
    feature = tf.train.Example.FromString(record).features.feature
    labels = {name: feature[name].int64_list.value[0] for name in ("person", "action", "bbox")}
    camera = feature["camera"].int64_list.value[0] if "camera" in feature else -1  # unknown to version 1
    is_query = feature["subset"].bytes_list.value[0] == b"query"
    return feature["image"].bytes_list.value[0], {**labels, "is_query": is_query, "camera": camera}


def _protocol(source: str) -> str:
    """How the split that a file of records belongs to is scored."""
    split, _, _ = source.rpartition("/")
    folder, _, name = split.rpartition("/")
    told = f"{folder}/{INFO_NAME}"
    return protocol_of_split(parse_info(read(place_of(told)), told), name, told)


def _load(run: str) -> tuple[keras.Model, str]:
    """Return the model of a run and its digest, once a process."""
    with _LOADING:
        if run not in _MODELS:
            if is_address(run):
                with tempfile.TemporaryDirectory() as folder:
                    for name in (runs.CONFIG, runs.WEIGHTS, runs.DIGEST):
                        if exists(place_of(run) / name):
                            Path(folder, name).write_bytes(read(place_of(run) / name))
                    _MODELS[run] = runs.load_model(folder), network_digest(folder)
            else:
                _MODELS[run] = runs.load_model(run), network_digest(run)
        return _MODELS[run]
