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


def parse_info(path: Path) -> Info:
    """Read a file `info.json`; `index.read_info` of its folder completes what a conversion left half done before.

    Raises:
        ValueError: it is unreadable or of another schema version.
        OSError: it cannot be opened.
    """
    try:
        info: Info = load_json(path.read_bytes())
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
