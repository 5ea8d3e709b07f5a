"""Runs beside each other: one table like the paper's, with intervals, costs and paired tests. No TensorFlow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np

from kreid.config.sections import Evaluation
from kreid.evaluation.metrics import Change, Compared, Measured, System
from kreid.evaluation.settings import describe
from kreid.ranking.embeddings import Images
from kreid.ranking.figures import QueryFigures
from kreid.ranking.protocols import gallery_sizes
from kreid.ranking.readable import Readable
from kreid.ranking.statistics import compare
from tfrecords_tools.json_text import load_json
from tfrecords_tools.tables import markdown

_NEEDED = [name for name in Measured.__annotations__ if name in Measured.__required_keys__]
_SHOWN: tuple[Literal["mAP", "rank1"], ...] = ("mAP", "rank1")


class Comparison(Readable):
    """What `compare_metrics` gives: a dict that is shown as its table."""

    def text(self) -> str:
        """The table, and what it is of."""
        return to_markdown(cast(Compared, self)).rstrip("\n")


def read_metrics(path: str | Path) -> Measured:
    """Read what `kreid-evaluate` wrote.

    Args:
        path: a `metrics_<split>.json`.

    Raises:
        ValueError: the file is something else, or of an older version; names it.
    """
    try:
        metrics = load_json(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON that kreid-evaluate wrote: {error!s:.100}") from error
    missing = [name for name in _NEEDED if name not in metrics] if isinstance(metrics, dict) else _NEEDED
    if missing:
        raise ValueError(f"{path}: not what kreid-evaluate writes, it lacks {missing[0]}; run kreid-evaluate again")
    try:
        if not isinstance(metrics["runs"], list) or not isinstance(metrics["weights"], list):
            raise TypeError("runs or weights that are no list")
        to_markdown(compare_metrics({system_name(metrics): metrics}))  # every figure is what a table can show
    except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{path}: not what kreid-evaluate writes, {error!s:.100}; run kreid-evaluate again") from error
    return metrics


def system_name(metrics: Measured) -> str:
    """Return the runs and the settings of a score in a few words, such as "osnet + demo (flip, re-rank)"."""
    words = list(describe(Evaluation.model_validate(metrics["settings"])).values())
    metric = metrics.get("metric", "euclidean")
    words += [metric] if metric != "euclidean" else []
    return " + ".join(metrics["runs"]) + (f" ({', '.join(words)})" if words else "")


def of_same_queries(metrics: Measured, images: Images, protocol: str | None = None, digest: str | None = None) -> bool:
    """Return whether a score is of these images by this protocol: the same queries, each with a gallery as large.

    Args:
        metrics: the score.
        images: the labels.
        protocol: the protocol; by default the one that the records name.
        digest: of the records, see `Index.digest`; it tells other labels and pictures of the same queries, unless the
            score is of an earlier version, which kept none.
    """
    if protocol_of_score(metrics) != (protocol or images.protocol):
        return False
    if digest and metrics.get("records", digest) != digest:
        return False
    rows = np.flatnonzero(images.is_query)
    rows = rows[np.argsort(images.bbox[rows], kind="stable")]
    size = gallery_sizes(images, protocol)[rows]
    figures = _figures(metrics).by_bbox()
    pairs = ((figures.bbox, images.bbox[rows]), (figures.action, images.action[rows]), (figures.gallery_size, size))
    return all(np.array_equal(one, other) for one, other in pairs)


def what_else(path: str | Path, images: Images, protocol: str, digest: str | None = None) -> str:
    """Say of what else than these images by this protocol the scores in a file are; "" where of nothing else, or none.

    Arguments as in `of_same_queries`.
    """
    try:
        metrics = read_metrics(path)
    except (OSError, ValueError):  # no scores that anybody could miss
        return ""
    if (before := protocol_of_score(metrics)) != protocol:
        return f"by protocol {before!r}"
    return "" if of_same_queries(metrics, images, protocol, digest) else "of other records"


def protocol_of_score(metrics: Measured) -> str:
    """Return the protocol of a score; earlier versions knew one and did not name it."""
    return metrics.get("protocol", "action")


def compare_metrics(systems: Mapping[str, Measured]) -> Compared:
    """Put the scores of several systems on the same queries beside each other.

    Args:
        systems: name -> what `read_metrics` gave; the first is what the others are tested against.

    Returns:
        The scores of all, in their order, and for all but the first how much they are above it; shown as a table.

    Raises:
        ValueError: two systems were scored by different protocols, or on different queries, galleries or labels.
    """
    _check_records(systems)
    base = next(iter(systems))
    split, protocol, first = systems[base]["split"], protocol_of_score(systems[base]), _figures(systems[base])
    rows: list[System] = []
    for name, metrics in systems.items():
        if metrics["split"] != split:
            again = "score all of them on the same records"
            raise ValueError(f"{name}: scored on {metrics['split']}, {base} on {split}; {again}")
        if protocol_of_score(metrics) != protocol:
            raise ValueError(
                f"{name}: scored by protocol {protocol_of_score(metrics)!r}, {base} by {protocol!r}, whose figures say "
                "nothing about each other; score all of them by one, as kreid-evaluate --protocol does"
            )
        rows.append(
            {
                "system": name,
                "settings": metrics["settings"],
                "paper": metrics.get("paper"),
                "mAP": metrics["mAP"],
                "rank1": metrics["rank1"],
                "intervals": metrics["intervals"],
                "parameters": metrics["parameters"],
                "images_per_second": metrics["images_per_second"],
                "against_first": None if name == base else _against(first, _figures(metrics), (base, name)),
            }
        )
    compared: Compared = {
        "split": split,
        "protocol": protocol,
        "queries": len(first),
        "actions": len(np.unique(first.action)),
        "units": first.units,
        "systems": rows,
    }
    return cast(Compared, Comparison(compared))


def _check_records(systems: Mapping[str, Measured]) -> None:
    """Complain about scores of different records; earlier versions did not say which theirs are of."""
    known = {name: metrics["records"] for name, metrics in systems.items() if "records" in metrics}
    base = next(iter(known), "")
    for name, records in known.items():
        if records != known[base] and systems[name]["split"] == systems[base]["split"]:
            raise ValueError(
                f"{name}: scored on other records than {base}, of other labels or images; score all of them on the "
                "same records, as kreid-compare RUN ... --data DIR does"
            )


def to_markdown(comparison: Compared) -> str:
    """Return a comparison as a Markdown table, in percent, aligned so that it reads well as text too."""
    rows = comparison["systems"]
    head = ["system", "mAP", "rank-1", "paper: mAP / rank-1", "parameters", "images/s"]
    if len(rows) > 1:
        head += ["mAP against the first", "rank-1 against the first"]
    table = markdown([head, *(_cells(row, len(rows) > 1) for row in rows)])
    units, protocol = comparison["units"], comparison["protocol"]
    actions = comparison["actions"]
    named = f" of {actions} action{'s' * (actions != 1)}" if protocol == "action" else f", protocol {protocol}"
    note = f"{comparison['split']}: {comparison['queries']} queries{named}. In percent"
    if any(row["intervals"] for row in rows):
        note += f"; in brackets 95 % intervals over {units}; p of the paired test over {units}."
    else:
        note += f"; without intervals, which one of the {units} alone does not tell."
    if any(row["paper"] for row in rows):
        note += " The paper's figures are of SoccerNet-v3 ReID's test split."
    return f"{table}\n{note}\n"


def _figures(metrics: Measured) -> QueryFigures:
    figures = QueryFigures.from_json(metrics["per_query"])
    if not len(figures):
        raise ValueError("per_query: expected at least one query")
    return figures


def _against(first: QueryFigures, other: QueryFigures, names: tuple[str, str]) -> dict[str, Change]:
    return {
        score: {"difference": one.difference, "low": one.low, "high": one.high, "p_value": one.p_value}
        if first.scored_units > 1
        else {"difference": one.difference, "low": None, "high": None, "p_value": None}
        for score, one in compare(first, other, names=names).items()
    }


def _cells(row: System, several: bool) -> list[str]:
    sure, paper, against = row["intervals"] or {}, row["paper"], row["against_first"]
    cells = [row["system"]]
    for name in _SHOWN:
        low_high = f" [{_percent(sure[name])}]" if name in sure else ""
        cells.append(_percent([row[name]]) + low_high)
    cells.append(_percent([paper["mAP"], paper["rank1"]], " / ") if paper else "")
    cells += [f"{row['parameters'] / 1e6:.2f} M", f"{row['images_per_second']:.3g}"]
    for name in _SHOWN if several else ():
        cells.append(_change(**against[name]) if against else "")
    return cells


def _change(difference: float, low: float | None, high: float | None, p_value: float | None) -> str:
    if low is None or high is None:
        return f"{100 * difference:+.1f}"
    return f"{100 * difference:+.1f} [{_percent([low, high])}], p {p_value:.2g}"


def _percent(fractions: Sequence[float], between: str = " ") -> str:
    return between.join(f"{100 * fraction:.1f}" for fraction in fractions)
