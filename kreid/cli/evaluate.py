"""kreid-evaluate: from a run to its scores."""

from typing import Annotated

import typer

from kreid.cli import switches
from kreid.cli.cameras import check_records
from kreid.cli.common import DataFolder, Metric, RunFolder, load_tensorflow
from kreid.cli.sources import check_labels, check_split
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, note, run

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
    by = check_labels(records, settings)
    check_records(runs, records)
    out = check_output(result_path(runs, f"metrics_{split}.json"))
    from kreid.evaluation.comparison import what_else
    from kreid.ranking.truth import read_groundtruth
    from tfrecords_tools.index import read_index

    former = what_else(out, read_groundtruth(records), by, read_index(records).digest())
    load_tensorflow()
    from kreid.evaluation.scoring import evaluate_runs, score_baselines
    from kreid.evaluation.shown import run_table
    from kreid.files.atomic import write_json
    from tfrecords_tools.console.progress import counted

    with counted("embedding") as progress:
        metrics = evaluate_runs(runs, records, split, settings, metric, join, progress)
    if baselines:
        with counted("untrained") as progress:
            metrics["baselines"] = score_baselines(run_folder, records, metric, progress, metrics["protocol"])
    try:
        write_json(out, metrics)
        if former:
            note(f"{out}: the scores that stood there were {former}, and are replaced")
    finally:  # what took hours is shown, whatever has become of the disk
        print(run_table(metrics, ties))
    finish(out)


def main() -> None:
    """Run the command."""
    run(app)
