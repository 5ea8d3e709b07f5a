"""Configurations that come with the package, by name."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "configs"  # in a checkout a link to what stands beside the packages


def shipped_names(kind: str = "") -> list[str]:
    """Names of the shipped configurations, sorted; of `kind` "spaces", of those to tune in."""
    return sorted(path.stem for path in (FOLDER / kind).glob("*.yaml"))


def find_shipped(path: str | Path, kind: str = "") -> Path:
    """Return the file of a shipped configuration where its bare name is given, such as `two_stream`; else `path`.

    A file of that name comes first; a folder, such as the run of that name, does not.

    Example:
        >>> find_shipped("two_stream").name
        'two_stream.yaml'
        >>> find_shipped("mine/two_stream.yaml").as_posix()
        'mine/two_stream.yaml'
    """
    path = Path(path)
    is_name = not path.is_file() and path.name in shipped_names(kind) and path == Path(path.name)
    return FOLDER / kind / f"{path.name}.yaml" if is_name else path
