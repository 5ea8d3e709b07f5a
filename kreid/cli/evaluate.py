"""kreid-evaluate: from a run to its scores."""

from typing import Annotated

import typer

from kreid.cli.common import Counter, DataFolder, Metric, RunFolder, check_run, check_split, load_tensorflow
from tfrecords_tools.console import finish, make_app, run

app = make_app()


@app.command()
def evaluate(
    run_folder: RunFolder,
    data: DataFolder,
    split: Annotated[str, typer.Option(help="The split to score: test or valid.")] = "test",
    metric: Annotated[Metric, typer.Option(help="Distance between embeddings.")] = Metric.euclidean,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Score an untrained copy and a random ranking beside it.")
    ] = False,
) -> None:
    """Score RUN by SoccerNet's protocol: for each query, the gallery of its own action is ranked; mAP and rank-k.

    Writes RUN/metrics_<split>.json, where scores are fractions; the printed row is in percent.
    """
    check_run(run_folder)
    check_split(data, split)
    load_tensorflow()
    from kreid.atomic import write_json
    from kreid.data import split_folder
    from kreid.embedding import embed
    from kreid.ranking import evaluate as score
    from kreid.ranking import rank
    from kreid.runs import load_model

    records = split_folder(data, split)
    embeddings = embed(load_model(run_folder), records, progress=Counter("embedding"))
    metrics = {"split": split, "metric": metric, **score(rank(embeddings, metric))}
    rows = {"trained": metrics}
    if baselines:
        from kreid.baselines import random_ranking, untrained

        rows["untrained"] = score(rank(embed(untrained(run_folder), records, progress=Counter("untrained")), metric))
        rows["random"] = random_ranking(embeddings)
        metrics["baselines"] = {name: _scores(rows[name]) for name in ("untrained", "random")}
    path = write_json(run_folder / f"metrics_{split}.json", metrics)
    _print_table(rows, split)
    finish(path)


def _scores(metrics: dict) -> dict:
    return {key: metrics[key] for key in ("mAP", "rank1", "rank5", "rank10")}


def _print_table(rows: dict[str, dict], split: str) -> None:
    first = next(iter(rows.values()))
    print(f"{split}: {first['queries']} queries" + (f", {first['skipped']} skipped" if first["skipped"] else ""))
    print(f"{'':<12}{'mAP':>8}{'rank-1':>8}{'rank-5':>8}{'rank-10':>9}")
    for name, metrics in rows.items():
        percent = [100 * metrics[key] for key in ("mAP", "rank1", "rank5", "rank10")]
        print(f"{name:<12}{percent[0]:>8.1f}{percent[1]:>8.1f}{percent[2]:>8.1f}{percent[3]:>9.1f}")


def main() -> None:
    """Run the command."""
    run(app)
