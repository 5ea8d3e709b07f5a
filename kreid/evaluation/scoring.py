"""How well runs rank a split: scores, what each setting brings and costs, every query's figures."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from kreid.config.sections import PLAIN, Evaluation
from kreid.embedding.extract import Embedded, embed, embed_each
from kreid.evaluation.baselines import random_ranking, untrained
from kreid.evaluation.metrics import PerAction, Row, RunMetrics, Seconds, Surety
from kreid.evaluation.paper import paper_row
from kreid.evaluation.records import check_widths, figures_by_settings, joined
from kreid.evaluation.settings import variants
from kreid.evaluation.shown import RunScores
from kreid.models.cost import cost
from kreid.ranking.figures import QueryFigures
from kreid.ranking.ordering import figures_of
from kreid.ranking.scores import Fractions, Metrics, evaluate
from kreid.ranking.statistics import compare, intervals
from kreid.ranking.verification import verify
from kreid.runs.folder import load_config_of, load_model, network_digest, run_names
from kreid.runs.weights import weights_digest
from kreid.types import Progress
from tfrecords_tools.index import read_index


def evaluate_runs(
    runs: Sequence[Path],
    records: str | Path,
    split: str,
    settings: Evaluation = PLAIN,
    metric: str = "euclidean",
    join: str = "concat",
    progress: Progress | None = None,
) -> RunMetrics:
    """Score a run, or an ensemble of several, on a labelled split.

    Args:
        runs: run folders.
        records: the split's folder.
        split: its name.
        settings: the `evaluation` section of a configuration; where it names no protocol the records do.
        metric: see `kreid.ranking.rank`.
        join: see `kreid.evaluation.rank_records`.
        progress: called with the images done and their total, for each run.

    Returns:
        What `metrics_<split>.json` holds. The figures of `kreid.ranking.evaluate` and what belongs to them
        ("intervals", "ties", "per_action", "per_query") are those of the ranking with all settings. "rows" has the
        scores of each run of an ensemble, of the plain ranking, of each setting alone and of all together, each with
        its "seconds" and the "p_value" of its mAP against the first row's. "verification" is of the plain embeddings,
        which trackers compare. The dict is shown as the table of its rows.

    Raises:
        ValueError: labels are withheld, no query has a match, or runs, records and settings do not fit together.
    """
    # Before they are loaded: should a training replace them meanwhile, the figures count as those of weights gone by.
    # So it is with the records.
    digests, networks = [weights_digest(run) for run in runs], [network_digest(run) for run in runs]
    scored = read_index(records).digest()
    models = [load_model(run) for run in runs]
    check_widths(models, join)
    wanted = variants(settings)
    members = [embed_each(model, records, list(wanted.values()), progress=progress) for model in models]
    names, first = run_names(runs), None
    rows: list[Row] = []
    for name, embedded, one in _entries(names, members, wanted, join):
        start = time.perf_counter()
        by_ties = figures_by_settings(embedded.embeddings, one, metric)
        seconds: Seconds = {"embedding": embedded.seconds, "ranking": time.perf_counter() - start}
        figures = by_ties["order"]
        metrics = evaluate(figures)
        first = figures if first is None else first
        rows.append({"name": name, **_fractions(metrics), **_surety(figures, first), "seconds": seconds})
    protocol = settings.protocol or embedded.embeddings.protocol
    found: RunMetrics = {
        "split": split,
        "metric": str(metric),
        "protocol": protocol,
        "runs": names,
        "join": str(join) if len(runs) > 1 else None,
        "settings": settings.model_dump(mode="json"),
        **metrics,
        "intervals": rows[-1]["intervals"],
        "ties": {ties: _fractions(evaluate(by_ties[ties])) for ties in ("optimistic", "pessimistic")},
        "rows": rows,
        "verification": verify(joined([member[0] for member in members], join).embeddings, metric, protocol),
        "parameters": sum(cost(model).parameters for model in models),
        "images_per_second": len(embedded.embeddings) / max(embedded.seconds, 1e-9),
        "weights": digests,
        "networks": networks,
        "records": scored,
        "paper": paper_row(load_config_of(runs[0]), split, protocol) if len(runs) == 1 else None,
        "per_action": per_action(figures),
        "per_query": figures.to_json(),
    }
    return cast(RunMetrics, RunScores(found))


def score_baselines(
    run: str | Path,
    records: str | Path,
    metric: str = "euclidean",
    progress: Progress | None = None,
    protocol: str | None = None,
) -> dict[str, Fractions]:
    """Score what a run has to beat: its network "untrained", ranked plainly, and a "random" ranking."""
    embeddings = embed(untrained(run), records, progress=progress)
    figures = figures_of(embeddings, metric, protocol)
    return {"untrained": _fractions(evaluate(figures)), "random": random_ranking(embeddings, protocol=protocol)}


def per_action(figures: QueryFigures) -> PerAction:
    """Return "action", "mAP" and "queries" (how many have a match) as plain lists; mAP is None where none has."""
    means = figures.means(figures.action)
    precision = [mean if count else None for mean, count in zip(means.mean.tolist(), means.count.tolist(), strict=True)]
    return {"action": means.group.tolist(), "mAP": precision, "queries": means.count.tolist()}


def _entries(
    names: Sequence[str], members: Sequence[Sequence[Embedded]], wanted: dict[str, Evaluation], join: str
) -> Iterator[tuple[str, Embedded, Evaluation]]:
    """Yield name, embeddings and settings of each row: an ensemble's runs alone first, then what is made of them."""
    several = len(members) > 1
    if several:
        for name, member in zip(names, members, strict=True):
            yield name, member[0], wanted["plain"]
    for number, (name, settings) in enumerate(wanted.items()):
        plain = "ensemble" if several else "trained"
        yield plain if name == "plain" else name, joined([member[number] for member in members], join), settings


def _fractions(metrics: Metrics) -> Fractions:
    """Return the scores alone, without curve and counts."""
    return {
        "mAP": metrics["mAP"],
        "rank1": metrics["rank1"],
        "rank5": metrics["rank5"],
        "rank10": metrics["rank10"],
    }


def _surety(figures: QueryFigures, first: QueryFigures) -> Surety:
    """Return the scores' intervals and the p value of the mAP against the first row's, None where they say nothing."""
    several = figures.scored_units > 1
    sure = {name: [one.low, one.high] for name, one in intervals(figures).items()} if several else None
    p_value = compare(first, figures)["mAP"].p_value if several and figures is not first else None
    return {"intervals": sure, "p_value": p_value}
