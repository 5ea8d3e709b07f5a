"""The scores of runs as a table: what kreid-evaluate prints, and what a result shows of itself."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from kreid.ranking.readable import FRACTIONS, LABELS, Readable, skipped
from tfrecords_tools.tables import aligned

if TYPE_CHECKING:
    from kreid.evaluation.metrics import RunMetrics
    from kreid.ranking.verification import Verification


class RunScores(Readable):
    """What `evaluate_runs` gives."""

    def text(self) -> str:
        """The table of its rows."""
        return run_table(cast("RunMetrics", self))


def run_table(metrics: "RunMetrics", ties: bool = False) -> str:
    """Return scores as lines that line up, in percent, with 95 % intervals where there are any.

    Args:
        metrics: what `evaluate_runs` gave, with or without "baselines".
        ties: with the scores that equal distances, broken for and against the run, would give.
    """
    actions = len(metrics["per_action"]["action"])
    named = f" of {actions} action{'s' * (actions != 1)}"
    if metrics["protocol"] != "action":
        named = f", protocol {metrics['protocol']}"
    rows = [_row(scores["name"], scores) for scores in metrics["rows"]]
    rows += [_row(name, scores) for name, scores in metrics.get("baselines", {}).items()]
    rows += [_row(f"ties {way}", scores) for way, scores in metrics["ties"].items()] if ties else []
    if metrics["paper"]:
        rows.append(_row(metrics["paper"]["system"], metrics["paper"]))
    rows.insert(0, ["", *(f"{label:>5}" for label in LABELS), "p", "embedding", "ranking"])
    known = [column for column in zip(*rows, strict=True) if any(column[1:])]
    table = aligned(list(zip(*known, strict=True)))
    lines = [f"{metrics['split']}: {metrics['queries']} queries{named}{skipped(dict(metrics))}", table]
    if not metrics["intervals"]:
        lines.append("no intervals: one action or person alone does not tell how sure a score is")
    return "\n".join([*lines, *(_verified(metrics["verification"]) if metrics["verification"] else [])])


def _verified(found: "Verification") -> Iterator[str]:
    """What a threshold on the distance of two images is worth, in two lines."""
    pairs = f"{found['positives']:,} positive and {found['negatives']:,} negative pairs"
    distance = f"{found['metric']} distance {found['threshold']:.3f}"
    yield f"same person or not: equal error rate {100 * found['eer']:.1f} % at {distance}, of {pairs}"
    rates = [f"{100 * one['tar']:.1f} % at FAR {100 * one['far']:g} %" for one in found["accepted"]]
    if rates:
        yield f"accepted of positive pairs (TAR): {', '.join(rates)}"


def _row(name: str, scores: Mapping[str, Any]) -> list[str]:
    """Cells of a line; empty ones for what is not known of it."""
    cells = [name]
    for key in FRACTIONS:
        low_high = (scores.get("intervals") or {}).get(key)
        interval = f" [{100 * low_high[0]:.1f} {100 * low_high[1]:.1f}]" if low_high else ""
        cells.append(f"{100 * scores[key]:5.1f}{interval}" if key in scores else "")
    seconds, p_value = scores.get("seconds"), scores.get("p_value")
    cells.append("" if p_value is None else f"{p_value:.2g}")
    return cells + ([f"{seconds['embedding']:7.1f} s", f"{seconds['ranking']:5.2f} s"] if seconds else ["", ""])
