"""How well runs rank a split: scores, what each setting brings and costs, every query's figures."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kreid.config.sections import PLAIN, Evaluation
from kreid.embedding.extract import Embedded, embed, embed_each
from kreid.evaluation.baselines import random_ranking, untrained
from kreid.evaluation.paper import paper_row
from kreid.evaluation.records import check_widths, joined, ranked
from kreid.evaluation.settings import variants
from kreid.models.cost import cost
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import rank
from kreid.ranking.scores import average_precision, evaluate, first_hit, group_means
from kreid.ranking.statistics import compare, intervals
from kreid.runs.folder import load_config_of, load_model, run_names, weights_digest
from kreid.types import Progress

SCORES = ("mAP", "rank1", "rank5", "rank10")


def evaluate_runs(
    runs: Sequence[Path],
    records: str | Path,
    split: str,
    settings: Evaluation = PLAIN,
    metric: str = "euclidean",
    join: str = "concat",
    progress: Progress | None = None,
) -> dict[str, object]:
    """Score a run, or an ensemble of several, on a labelled split.

    Args:
        runs: run folders.
        records: the split's folder.
        split: its name.
        settings: the `evaluation` section of a configuration.
        metric: see `kreid.ranking.rank`.
        join: see `kreid.evaluation.rank_records`.
        progress: called with the images done and their total, for each run.

    Returns:
        What `metrics_<split>.json` holds. The figures of `kreid.ranking.evaluate` and what belongs to them
        ("intervals", "ties", "per_action", "per_query") are those of the ranking with all settings. "rows" has the
        scores of each run of an ensemble, of the plain ranking, of each setting alone and of all together, each with
        its "seconds" and the "p_value" of its mAP against the first row's.

    Raises:
        ValueError: labels are withheld, no query has a match, or runs, records and settings do not fit together.
    """
    models = [load_model(run) for run in runs]
    check_widths(models, join)
    wanted = variants(settings)
    members = [embed_each(model, records, list(wanted.values()), progress=progress) for model in models]
    names, rows, first = run_names(runs), [], None
    for name, embedded, one in _entries(names, members, wanted, join):
        start = time.perf_counter()
        ranking = ranked(embedded.embeddings, one, metric)
        seconds = {"embedding": embedded.seconds, "ranking": time.perf_counter() - start}
        first = ranking if first is None else first
        rows.append({"name": name, **_scores(ranking, first), "seconds": seconds})
    return {
        "split": split,
        "metric": str(metric),
        "runs": names,
        "join": str(join) if len(runs) > 1 else None,
        "settings": settings.model_dump(mode="json"),
        **evaluate(ranking),
        "intervals": rows[-1]["intervals"],
        "ties": {ties: _bounds(ranking, ties) for ties in ("optimistic", "pessimistic")},
        "rows": rows,
        "parameters": sum(cost(model).parameters for model in models),
        "images_per_second": len(ranking.images) / max(embedded.seconds, 1e-9),
        "weights": [weights_digest(run) for run in runs],
        "paper": paper_row(load_config_of(runs[0]), split) if len(runs) == 1 else None,
        **per_query(ranking),
    }


def score_baselines(
    run: str | Path, records: str | Path, metric: str = "euclidean", progress: Progress | None = None
) -> dict[str, dict[str, float]]:
    """Score what a run has to beat: its network "untrained", ranked plainly, and a "random" ranking."""
    embeddings = embed(untrained(run), records, progress=progress)
    scores = {"untrained": evaluate(rank(embeddings, metric)), "random": random_ranking(embeddings)}
    return {name: {key: one[key] for key in SCORES} for name, one in scores.items()}


def per_query(ranking: Ranking) -> dict[str, dict[str, list]]:
    """Return every query's and every action's figures as plain lists, None for what has no match.

    Returns:
        "per_query": "query" (bbox index), "action", "gallery" (how many images), "AP", and "first", the place of the
        first match. "per_action": "action", "mAP", "queries" (how many have a match).
    """
    images, precision, first = ranking.images, average_precision(ranking), first_hit(ranking)
    action = images.action[ranking.query]
    groups = group_means(precision, action)
    queries = {
        "query": images.bbox[ranking.query].tolist(),
        "action": action.tolist(),
        "gallery": ranking.sizes.tolist(),
        "AP": _or_none(precision),
        "first": [place or None for place in first.tolist()],
    }
    actions = {"action": groups.group.tolist(), "mAP": _or_none(groups.mean), "queries": groups.count.tolist()}
    return {"per_action": actions, "per_query": queries}


def _entries(
    names: Sequence[str], members: Sequence[Sequence[Embedded]], wanted: dict[str, Evaluation], join: str
) -> Iterator[tuple[str, Embedded, Evaluation]]:
    """Yield name, embeddings and settings of each row: an ensemble's runs alone first, then what is made of them."""
    several = len(members) > 1
    if several:
        for name, member in zip(names, members, strict=True):
            yield name, member[0], PLAIN
    for number, (name, settings) in enumerate(wanted.items()):
        plain = "ensemble" if several else "trained"
        yield plain if name == "plain" else name, joined([member[number] for member in members], join), settings


def _scores(ranking: Ranking, first: Ranking) -> dict[str, object]:
    metrics = evaluate(ranking)
    scored = ranking.query[~np.isnan(average_precision(ranking))]
    several = len(np.unique(ranking.images.action[scored])) > 1  # one action alone has an interval of no width
    sure = {name: [one.low, one.high] for name, one in intervals(ranking).items()} if several else None
    p_value = compare(first, ranking)["mAP"].p_value if several and ranking is not first else None
    return {name: metrics[name] for name in SCORES} | {"intervals": sure, "p_value": p_value}


def _bounds(ranking: Ranking, ties: str) -> dict[str, float]:
    metrics = evaluate(ranking, ties=ties)
    return {name: metrics[name] for name in SCORES}


def _or_none(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
