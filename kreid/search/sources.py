"""What crops come from: image files, folders of them, a folder of records or a file of embeddings."""

from pathlib import Path

from kreid.errors import ConfigError
from tfrecords_tools.addresses import is_address
from tfrecords_tools.staging import recover
from tfrecords_tools.walk import describe, walk, warn_of_skipped


def image_files(paths: list[Path]) -> list[Path]:
    """Return the image files among `paths`, those of folders sorted by name; what a folder holds besides is logged.

    Raises:
        ConfigError: a path is neither a file nor a folder, or a folder without images.
    """
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

    Raises:
        ConfigError: there is nothing of the kind; records or embeddings do not stand alone, or are of several splits.
    """
    for path in paths:
        recover(path)
    suffixes = (".npz", ".npy") if embeddings else ()
    stored = [path for path in paths if path.suffix in suffixes or (path / "index.npz").is_file()]
    if stored and len(paths) > 1:
        raise ConfigError(f"{name} {stored[0]}: stands alone, without other crops; {len(paths)} were given")
    if stored and not stored[0].exists():
        raise ConfigError(f"{name} {stored[0]}: no such file")
    for splits in filter(None, map(splits_of, paths)):
        folders = ", ".join(map(str, splits))
        what = "records of several splits; give one of" if len(splits) > 1 else "records of one split; give"
        raise ConfigError(f"{name} {splits[0].parent}: {what} {folders}")
    return stored[0] if stored else image_files(paths)


def splits_of(data: Path) -> list[Path]:
    """The folders of splits inside what kreid-convert wrote."""
    return sorted(path.parent for path in data.glob("*/index.npz"))
