"""How a set is scored: what the user asks for, else what its records say, else by action. No TensorFlow."""

from pathlib import Path

from kreid.ranking.protocols import PROTOCOLS
from tfrecords_tools.index import INDEX_NAME, INFO_NAME, read_info

DEFAULT = "action"  # SoccerNet's, and that of records which say nothing


def chosen_protocol(labels: str | Path, wanted: str | None = None) -> str:
    """Return the protocol that a split is scored by, one of `kreid.ranking.PROTOCOLS`.

    Args:
        labels: the split's record folder or its index, whose `info.json` may name a protocol; or any other file or
            folder of labels, which names none.
        wanted: what an option or `evaluation.protocol` asks for; it wins. None (default) where neither does.

    Raises:
        ValueError: `info.json` is unreadable, or names an unknown protocol.
    """
    return wanted or _of_records(Path(labels))


def _of_records(labels: Path) -> str:
    folder = labels.parent if labels.name == INDEX_NAME else labels
    if not (folder / INDEX_NAME).is_file():
        return DEFAULT
    folder = folder.resolve()
    named = dict(read_info(folder.parent)["splits"].get(folder.name) or {}).get("protocol", DEFAULT)
    if not isinstance(named, str) or named not in PROTOCOLS:
        raise ValueError(
            f"{folder.parent / INFO_NAME}: protocol of {folder.name}: expected one of {', '.join(PROTOCOLS)}, "
            f"received {named!r:.40}; ask for one by --protocol or evaluation.protocol"
        )
    return named
