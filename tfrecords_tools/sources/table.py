"""The table of sources: a new one is a file beside this one, and a line here; one is imported when it is asked for."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.sources.source import Source

# Name -> file, in the order in which a folder is held against them: what is told by little comes last.
_FILES = {
    "soccernet": "soccernet",
    "market1501": "market1501",
    "msmt17": "msmt17",
    "csv": "csv_file",
    "soccernet-gsr": "soccernet_gsr",
    "mot": "mot",
    "folders": "folders",
}


class Sources(Mapping[str, Source]):
    """Sources by name: help lists the names without loading what a source needs."""

    def __getitem__(self, name: str) -> Source:
        source: Source = importlib.import_module(f"tfrecords_tools.sources.{_FILES[name]}").SOURCE
        return source

    def __iter__(self) -> Iterator[str]:
        return iter(_FILES)

    def __len__(self) -> int:
        return len(_FILES)


SOURCES = Sources()


def find_source(root: Path, name: str | None = None, video: bool = False) -> Source:
    """Return the source that a folder is one of.

    Args:
        root: the folder, or the file of a source that is a file.
        name: of the source; by default it is told from the folder.
        video: whether its frames are a video, see `Options`.

    Raises:
        ConfigError: for an unknown name, or a folder that is none: it says what each source misses.

    Example:
        >>> find_source(Path("SoccerNet")).title
        'a SoccerNet-v3 ReID tree'
    """
    if name is not None and name not in SOURCES:
        raise ConfigError(f"--source: expected one of {', '.join(SOURCES)}, received {name!r}")
    if not root.exists():
        raise ConfigError(f"{root}: no such folder; expected {_one_of(name)}")
    if name is None and root.is_file():
        if root.suffix.lower() != ".csv":
            raise ConfigError(f"{root}: a file; expected a folder of images, unpacked, or a CSV file of them (.csv)")
        name = "csv"  # all others are folders, and what they miss says nothing of it
    missing = {}
    for source in SOURCES.values() if name is None else (SOURCES[name],):
        says = source.missing_beside_video if video else source.missing
        missing[source.name] = "takes no --video" if says is None else says(root)
        if not missing[source.name]:
            return source
    if name is not None:
        raise ConfigError(f"{root}: {missing[name]}")
    said = "; ".join(f"{each}: {why}" for each, why in missing.items())
    raise ConfigError(f"{root}: held against every source, and none fits ({said}); name the one it is with --source")


def _one_of(name: str | None) -> str:
    return " or ".join(source.title for source in SOURCES.values() if name in (None, source.name))
