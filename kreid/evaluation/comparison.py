"""Runs beside each other: one table like the paper's, with intervals, costs and paired tests. No TensorFlow."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kreid.config.sections import Evaluation
from kreid.evaluation.settings import describe
from kreid.ranking.embeddings import Images
from kreid.ranking.statistics import paired

_NEEDED = (
    "split",
    "runs",
    "settings",
    "mAP",
    "rank1",
    "intervals",
    "parameters",
    "images_per_second",
    "weights",
    "per_query",
)
_QUERY = ("query", "action", "gallery", "AP", "first")


def read_metrics(path: str | Path) -> dict[str, object]:
    """Read what `kreid-evaluate` wrote.

    Args:
        path: a `metrics_<split>.json`.

    Raises:
        ValueError: the file is something else, or of an older version; names it.
    """
    try:
        metrics = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON that kreid-evaluate wrote: {error!s:.100}") from error
    missing = [name for name in _NEEDED if name not in metrics] if isinstance(metrics, dict) else _NEEDED
    if missing:
        raise ValueError(f"{path}: not what kreid-evaluate writes, it lacks {missing[0]}; run kreid-evaluate again")
    try:
        table = _table(metrics)
        if not len(table["query"]) or len({values.shape for values in table.values()}) > 1:
            raise ValueError("columns of different lengths")
        if not ((table["AP"] >= 0) & (table["AP"] <= 1) | np.isnan(table["AP"])).all():
            raise ValueError("an AP outside 0 to 1")
        if not isinstance(metrics["runs"], list) or not isinstance(metrics["weights"], list):
            raise TypeError("runs or weights that are no list")
        to_markdown(compare_metrics({system_name(metrics): metrics}))  # every figure is what a table can show
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"{path}: not what kreid-evaluate writes, {error!s:.100}; run kreid-evaluate again") from error
    return metrics


def system_name(metrics: Mapping[str, object]) -> str:
    """Return the runs and the settings of a score in a few words, such as "osnet + demo (flip, re-rank)"."""
    words = list(describe(Evaluation.model_validate(metrics["settings"])).values())
    words += [metrics["metric"]] if metrics.get("metric", "euclidean") != "euclidean" else []
    return " + ".join(metrics["runs"]) + (f" ({', '.join(words)})" if words else "")


def of_same_queries(metrics: Mapping[str, object], images: Images) -> bool:
    """Return whether a score is of these images: the same queries, each with a gallery as large."""
    rows = np.flatnonzero(images.is_query)
    rows = rows[np.argsort(images.bbox[rows], kind="stable")]
    actions, counts = np.unique(images.action[~images.is_query], return_counts=True)
    gallery = dict(zip(actions.tolist(), counts.tolist(), strict=True))
    action = images.action[rows]
    expected = {
        "query": images.bbox[rows],
        "action": action,
        "gallery": [gallery.get(one, 0) for one in action.tolist()],
    }
    table = _table(metrics)
    return all(np.array_equal(table[name], values) for name, values in expected.items())


def compare_metrics(systems: Mapping[str, dict]) -> dict[str, object]:
    """Put the scores of several systems on the same queries beside each other.

    Args:
        systems: name -> what `read_metrics` gave; the first is what the others are tested against.

    Returns:
        "split", "queries", "actions", and "systems": for each its "system" (name), "settings", "mAP", "rank1",
        "intervals", "paper", "parameters", "images_per_second" and "against_first" with, for "mAP" and "rank1",
        "difference", its 95 % interval "low" and "high", and the paired "p_value"; None for the first.

    Raises:
        ValueError: two systems were scored on different queries, galleries or labels.
    """
    tables = {name: _table(metrics) for name, metrics in systems.items()}
    names = list(systems)
    first = tables[names[0]]
    rows = []
    for name, metrics in systems.items():
        _check_same(names[0], first, systems[names[0]]["split"], name, tables[name], metrics["split"])
        row = {"system": name, "settings": metrics["settings"], "paper": metrics.get("paper")}
        row |= {key: metrics[key] for key in ("mAP", "rank1", "intervals", "parameters", "images_per_second")}
        row["against_first"] = None if name == names[0] else _against(first, tables[name])
        rows.append(row)
    actions = len(np.unique(first["action"]))
    return {
        "split": systems[names[0]]["split"],
        "queries": len(first["action"]),
        "actions": actions,
        "systems": rows,
    }


def to_markdown(comparison: Mapping[str, object]) -> str:
    """Return a comparison as a Markdown table, in percent, aligned so that it reads well as text too."""
    rows = comparison["systems"]
    head = ["system", "mAP", "rank-1", "paper: mAP / rank-1", "parameters", "images/s"]
    if len(rows) > 1:
        head += ["mAP against the first", "rank-1 against the first"]
    lines = [head, *(_cells(row, len(rows) > 1) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    padded.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    note = (
        f"{comparison['split']}: {comparison['queries']} queries of {comparison['actions']} actions. In percent; in "
        "brackets 95 % intervals over actions; p of the paired test over actions."
    )
    if any(row["paper"] for row in rows):
        note += " The paper's figures are of SoccerNet-v3 ReID's test split."
    return "\n".join([*padded, "", note, ""])


def _table(metrics: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Return the per-query columns, ordered by query, with NaN for a query that has no match."""
    columns = metrics["per_query"]
    order = np.argsort(columns["query"], kind="stable")
    table = {name: np.array(columns[name], dtype=float if name in ("AP", "first") else int)[order] for name in _QUERY}
    first = table.pop("first")
    return {**table, "rank1": np.where(np.isnan(first), np.nan, first <= 1)}


def _check_same(one: str, first: dict, split: str, name: str, other: dict, other_split: str) -> None:
    again = "score all of them on the same records with kreid-evaluate"
    if split != other_split:
        raise ValueError(f"{name}: scored on {other_split}, {one} on {split}; {again}")
    if len(first["query"]) != len(other["query"]):
        raise ValueError(f"{name}: scored on {len(other['query'])} queries, {one} on {len(first['query'])}; {again}")
    for column in ("query", "action", "gallery"):
        differ = np.flatnonzero(first[column] != other[column])
        if len(differ):
            what = "gallery of another size" if column == "gallery" else f"another {column}"
            raise ValueError(f"{name}: query {other['query'][differ[0]]} has {what} than for {one}; {again}")
    differ = np.flatnonzero(np.isnan(first["AP"]) != np.isnan(other["AP"]))
    if len(differ):
        raise ValueError(f"{name}: query {other['query'][differ[0]]} has other labels than for {one}; {again}")


def _against(first: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    found = {}
    for name, column in (("mAP", "AP"), ("rank1", "rank1")):
        result = paired(first[column], other[column], first["action"])
        found[name] = {key: getattr(result, key) for key in ("difference", "low", "high", "p_value")}
    return found


def _cells(row: Mapping[str, object], several: bool) -> list[str]:
    sure, paper, against = row["intervals"] or {}, row["paper"], row["against_first"]
    cells = [str(row["system"]).replace("|", "\\|")]
    for name in ("mAP", "rank1"):
        low_high = f" [{_percent(sure[name])}]" if name in sure else ""
        cells.append(_percent([row[name]]) + low_high)
    cells.append(_percent([paper["mAP"], paper["rank1"]], " / ") if paper else "")
    cells += [f"{row['parameters'] / 1e6:.2f} M", f"{row['images_per_second']:.3g}"]
    for name in ("mAP", "rank1") if several else ():
        cells.append(_change(**against[name]) if against else "")
    return cells


def _change(difference: float, low: float, high: float, p_value: float) -> str:
    return f"{100 * difference:+.1f} [{_percent([low, high])}], p {p_value:.2g}"


def _percent(fractions: Sequence[float], between: str = " ") -> str:
    return between.join(f"{100 * fraction:.1f}" for fraction in fractions)
