"""What `info.json` says of a set of records: the counts and settings of every split. Parses, and nothing else."""

from pathlib import Path
from typing import TypedDict, cast

from tfrecords_tools.json_text import load_json

VERSION = 2  # of the records and their index that are written
READABLE = (1, 2)  # the versions that are read: 1 knew neither cameras nor tracks nor sources
INFO_NAME = "info.json"
AGAIN = "run kreid-convert again (with --overwrite if the folder stays)"


class SplitInfo(TypedDict):
    """What `info.json` says of one split: how much there is, and how the records were made."""

    images: int
    queries: int
    gallery: int
    identities: int | None  # None where they are withheld
    actions: int
    shards: int
    bytes: int
    fraction: float
    resize: list[int] | None
    image_format: str
    source: str  # as `kreid-convert --source` calls it
    protocol: str  # how a query is scored by default: "action" or "cross_camera"
    cameras: int  # those that are known
    tracks: int
    notes: dict[str, int]  # what is to know, and of how many: images left out, people without a second view
    skipped: int  # bad images, named in problems.csv


# What a split of version 1 does not say of itself.
_BEFORE = {"source": "soccernet", "protocol": "action", "cameras": 0, "tracks": 0, "notes": {}, "skipped": 0}


class Info(TypedDict):
    """What `info.json` holds."""

    schema_version: int
    splits: dict[str, SplitInfo]


def parse_info(content: bytes, path: str | Path) -> Info:
    """Return what the content of a file `info.json` says; `index.read_info` completes a half-done conversion before.

    Args:
        content: of the file.
        path: where it stands, for errors.

    Raises:
        ValueError: it is unreadable or of another schema version.
    """
    try:
        info: Info = load_json(content)
        version = info["schema_version"]
        splits = {name: {**_BEFORE, **split} for name, split in info["splits"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not readable, {type(error).__name__}: {error}; {AGAIN}") from error
    if type(version) is not int or version not in READABLE:
        raise ValueError(
            f"{path}: the records have schema version {version}, this program reads versions "
            f"{' and '.join(map(str, READABLE))}; run kreid-convert again, into a new folder"
        )
    info["splits"] = cast(dict[str, SplitInfo], splits)
    return info


def protocol_of_split(info: Info, split: str, path: str | Path) -> str:
    """Return how the queries of a split are scored by default.

    Args:
        info: of its set.
        split: the name of its folder. One that is not told of has been renamed or copied: it is scored as the others.
        path: where `info.json` stands, for errors.

    Raises:
        ValueError: the split is not told of, and the others are scored in several ways.
    """
    told = info["splits"].get(split)
    protocols = sorted({str(one["protocol"]) for one in ([told] if told else info["splits"].values())})
    if len(protocols) > 1:
        raise ValueError(
            f"{path}: says nothing of {split}, and the other splits are scored by {' and '.join(protocols)}; give the "
            f"folder the name that it was converted with, or {AGAIN}"
        )
    return protocols[0] if protocols else str(_BEFORE["protocol"])
