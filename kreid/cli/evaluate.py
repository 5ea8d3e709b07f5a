"""kreid-evaluate: from a run to its scores."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kreid.cli import switches
from kreid.cli.common import DataFolder, Metric, RunFolder, load_tensorflow
from kreid.cli.sources import check_labels, check_split
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, run
from tfrecords_tools.tables import aligned

if TYPE_CHECKING:
    from kreid.evaluation.metrics import RunMetrics
    from kreid.ranking.verification import Verification

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
    ties: Annotated[
        bool, typer.Option("--ties", help="Print the scores with equal distances broken for and against the run.")
    ] = False,
    flip: switches.Flip = None,
    crops: switches.Crops = None,
    concat: switches.Concat = None,
    expand: switches.Expand = None,
    rerank: switches.Rerank = None,
    k1: switches.K1 = None,
    k2: switches.K2 = None,
    weight: switches.Weight = None,
    with_: switches.With = None,
    join: switches.JoinBy = switches.Join.concat,
    protocol: switches.Protocol = None,
) -> None:
    """Score RUN: mAP and rank-k, by SoccerNet's protocol or by Market-1501's (--protocol).

    Each switch for better rankings is scored alone and with the others, beside the plain ranking, with the seconds it
    takes; those left out are as the section `evaluation` of RUN's configuration says.

    Writes RUN/metrics_<split>.json (metrics_<split>_with_<other run>.json for an ensemble), where scores are fractions,
    the first ones with all switches; the printed rows are in percent, with 95 % intervals over actions (over people
    where one action is the whole set) and p of a paired test of mAP against the first row. Below them stands what
    trackers need: the distance at the equal error rate, and how many right pairs (TAR) beside false ones (FAR) pass.
    """
    runs = [run_folder, *(with_ or [])]
    from kreid.runs.folder import result_path

    settings = switches.check_settings(runs, flip, crops, concat, expand, rerank, k1, k2, weight, protocol)
    records = check_split(data, split)
    check_labels(records, settings)
    out = check_output(result_path(runs, f"metrics_{split}.json"))
    load_tensorflow()
    from kreid.evaluation.scoring import evaluate_runs, score_baselines
    from kreid.files.atomic import write_json
    from tfrecords_tools.console.progress import counted

    with counted("embedding") as progress:
        metrics = evaluate_runs(runs, records, split, settings, metric, join, progress)
    if baselines:
        with counted("untrained") as progress:
            metrics["baselines"] = score_baselines(run_folder, records, metric, progress, metrics["protocol"])
    try:
        write_json(out, metrics)
    finally:  # what took hours is shown, whatever has become of the disk
        _print_table(metrics, ties)
    finish(out)


def _print_table(metrics: "RunMetrics", ties: bool) -> None:
    named = f" of {len(metrics['per_action']['action'])} actions"
    if metrics["protocol"] != "action":
        named = f", protocol {metrics['protocol']}"
    skipped = f", {metrics['skipped']} without a match skipped" if metrics["skipped"] else ""
    print(f"{metrics['split']}: {metrics['queries']} queries{named}{skipped}")
    rows = [_row(scores["name"], scores) for scores in metrics["rows"]]
    rows += [_row(name, scores) for name, scores in metrics.get("baselines", {}).items()]
    rows += [_row(f"ties {way}", scores) for way, scores in metrics["ties"].items()] if ties else []
    if metrics["paper"]:
        rows.append(_row(metrics["paper"]["system"], metrics["paper"]))
    rows.insert(0, ["", "  mAP", "rank-1", "rank-5", "rank-10", "p", "embedding", "ranking"])
    known = [column for column in zip(*rows, strict=True) if any(column[1:])]
    print(aligned(list(zip(*known, strict=True))))
    if metrics["verification"]:
        print("\n".join(_verified(metrics["verification"])))


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
    for key in ("mAP", "rank1", "rank5", "rank10"):
        low_high = (scores.get("intervals") or {}).get(key)
        interval = f" [{100 * low_high[0]:.1f} {100 * low_high[1]:.1f}]" if low_high else ""
        cells.append(f"{100 * scores[key]:5.1f}{interval}" if key in scores else "")
    seconds, p_value = scores.get("seconds"), scores.get("p_value")
    cells.append("" if p_value is None else f"{p_value:.2g}")
    return cells + ([f"{seconds['embedding']:7.1f} s", f"{seconds['ranking']:5.2f} s"] if seconds else ["", ""])


def main() -> None:
    """Run the command."""
    run(app)
