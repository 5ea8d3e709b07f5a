"""The records that a command is given, and one answer for each to what is not there."""

from pathlib import Path
from typing import TYPE_CHECKING

from kreid.errors import ConfigError
from kreid.search.sources import splits_of

if TYPE_CHECKING:
    from kreid.config.sections import Evaluation
    from kreid.ranking.embeddings import Images


def check_data(data: Path, split: str = "train", option: str = "--data") -> Path:
    """Return the folder of a split's records; complain at once, naming the option, where they are not there."""
    from tfrecords_tools.index import INDEX_NAME, split_folder

    folder = split_folder(data, split)
    if not data.is_dir():
        what = "a file, expected a folder" if data.exists() else "no such folder"
        raise ConfigError(f"{option} {data}: {what}; give the one that kreid-convert wrote")
    if not (folder / INDEX_NAME).is_file():
        if (data / INDEX_NAME).is_file():
            own = data.resolve()
            raise ConfigError(
                f"{option} {data}: the split {own.name} alone, expected {split!r}; give the folder that holds it, "
                f"{own.parent}"
            )
        found = splits_of(data)
        if not found:
            raise ConfigError(f"{option} {data}: no records in this folder; give the one that kreid-convert wrote")
        names = ", ".join(path.resolve().name for path in found)
        raise ConfigError(f"{option} {data}: no split {split!r}; found {names}")
    return folder


def check_split(data: Path, split: str, scored: bool = True, option: str = "--data") -> Path:
    """Return the folder of a split's records; complain at once where it is not there, or holds no queries.

    Args:
        data: what kreid-convert wrote.
        split: its name.
        scored: whether labels are needed, which the challenge split withholds; decides what the advice names.
        option: which named the records.
    """
    choices = "valid or test" if scored else "valid, test or challenge"
    if split == "train":
        raise ConfigError(f"--split train: the training set has no queries; choose {choices}")
    if not split or Path(split).name != split:
        raise ConfigError(f"--split {split!r}: expected {choices}")
    folder = check_data(data, split, option)
    _check_queries(folder)
    return folder


def _check_queries(records: Path) -> None:
    from kreid.ranking.truth import protocol_of_records
    from tfrecords_tools.arrays import read_arrays
    from tfrecords_tools.index import INDEX_NAME
    from tfrecords_tools.scorable import why_unscorable

    if not read_arrays(records / INDEX_NAME, ("is_query",))["is_query"].any():
        raise ValueError(f"{records}: {why_unscorable(0, 0, protocol_of_records(records))}")


def check_labels(records: Path, settings: "Evaluation") -> str:
    """Return the protocol of a split's scores; complain at once, not after hours of a network's work, about its labels.

    Args:
        records: the split's folder. Labels that are withheld or wrong, or unknown to the protocol, are complained of,
            and that no query has a match.
        settings: what is asked for.
    """
    import numpy as np

    from kreid.ranking.embeddings import check_labelled
    from kreid.ranking.protocols import matchable, protocol_of
    from tfrecords_tools.scorable import why_unscorable

    protocol, images = _rankable(records, settings)
    if not protocol_of(protocol, images).by_camera:  # which does without the labels of junk
        check_labelled(images, np.arange(len(images)))
    matched = int(matchable(images, protocol).sum())
    if why := why_unscorable(int(images.is_query.sum()), matched, protocol):
        raise ValueError(f"{records}: {why}")
    return protocol


def check_protocol(records: Path, settings: "Evaluation") -> str:
    """Return the protocol that a split is ranked by; complain at once about records that it cannot be ranked by."""
    return _rankable(records, settings)[0]


def _rankable(records: Path, settings: "Evaluation") -> "tuple[str, Images]":
    from kreid.ranking.protocols import protocol_of
    from kreid.ranking.reranking import check_rerankable
    from kreid.ranking.truth import read_groundtruth

    images = read_groundtruth(records)
    protocol_of(settings.protocol, images)
    if settings.rerank:
        check_rerankable(images)
    return settings.protocol or images.protocol, images
