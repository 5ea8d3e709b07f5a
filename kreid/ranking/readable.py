"""Results that read as a table where they are shown; in all else they are dicts, and JSON has them as such."""

from typing import Any

from tfrecords_tools.tables import aligned

FRACTIONS = ("mAP", "rank1", "rank5", "rank10")
LABELS = ("mAP", "rank-1", "rank-5", "rank-10")


class Readable(dict[str, Any]):
    """A dict that is shown as `text` says; as the dict that it is, where keys were taken from it."""

    def text(self) -> str:
        """What is shown."""
        raise NotImplementedError

    def __repr__(self) -> str:
        try:
            return self.text()
        except (LookupError, TypeError, ValueError, AttributeError):
            return super().__repr__()


class Scores(Readable):
    """What `evaluate` gives.

    Example:
        >>> Scores(mAP=0.5, rank1=0.25, queries=8, skipped=1)
        mAP     50.0 %
        rank-1  25.0 %
        8 queries, 1 without a match skipped
    """

    def text(self) -> str:
        """Fractions in percent, a line each, and the counts."""
        shown = [name for name in self if name == "mAP" or name.startswith("rank")]
        rows = [[name.replace("rank", "rank-"), f"{100 * self[name]:.1f} %"] for name in shown]
        return f"{aligned(rows, right=[1])}\n{self['queries']} queries{skipped(self)}"


def skipped(scores: dict[str, Any]) -> str:
    """Return how many queries do not count, to stand behind how many there are; empty where all do."""
    return f", {scores['skipped']} without a match skipped" if scores["skipped"] else ""
