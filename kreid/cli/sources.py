"""What a command's images come from, records or crops, and one answer for each to what is not there."""

from pathlib import Path
from typing import TYPE_CHECKING

from kreid.errors import ConfigError
from tfrecords_tools.addresses import is_address

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
        found = _splits(data)
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


def image_files(paths: list[Path]) -> list[Path]:
    """The image files among `paths`, those of folders sorted by name; what a folder holds besides is told."""
    from tfrecords_tools.walk import describe, walk, warn_of_skipped

    files: list[Path] = []
    for path in paths:
        if is_address(str(path)):
            raise ConfigError(
                f"{path}: no folder of one split's records, which alone are read from an address; kreid-embed --runner "
                "reads images there"
            )
        if path.is_dir():
            walked = walk(path)
            if not walked.files:
                but = f"; {describe(path, walked.skipped)}" if walked.skipped else ", and nothing else"
                raise ConfigError(f"{path}: no PNG or JPEG file in this folder{but}")
            warn_of_skipped(path, walked.skipped)
            files += walked.files
        elif path.is_file():
            files.append(path)
        else:
            what = "neither a file nor a folder" if path.exists() else "no such file or folder"
            raise ConfigError(f"{path}: {what}")
    return files


def crop_source(name: str, paths: list[Path], embeddings: bool = True) -> list[Path] | Path:
    """Return the image files among `paths`, or the one folder of records or file of embeddings that they are.

    Args:
        name: of the argument, for messages.
        paths: what the user gave.
        embeddings: whether a file of embeddings, `.npz` or `.npy`, will do.
    """
    from tfrecords_tools.staging import recover

    for path in paths:
        recover(path)
    suffixes = (".npz", ".npy") if embeddings else ()
    stored = [path for path in paths if path.suffix in suffixes or (path / "index.npz").is_file()]
    if stored and len(paths) > 1:
        raise ConfigError(f"{name} {stored[0]}: stands alone, without other crops; {len(paths)} were given")
    if stored and not stored[0].exists():
        raise ConfigError(f"{name} {stored[0]}: no such file")
    for splits in filter(None, map(_splits, paths)):
        folders = ", ".join(map(str, splits))
        what = "records of several splits; give one of" if len(splits) > 1 else "records of one split; give"
        raise ConfigError(f"{name} {splits[0].parent}: {what} {folders}")
    return stored[0] if stored else image_files(paths)


def _splits(data: Path) -> list[Path]:
    """The folders of splits inside what kreid-convert wrote."""
    return sorted(path.parent for path in data.glob("*/index.npz"))
