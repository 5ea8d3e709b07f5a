"""kreid-rank: from a run to ranked galleries."""

from typing import Annotated

import typer

from kreid.cli.common import Counter, DataFolder, Metric, RunFolder, check_run, check_split, load_tensorflow
from tfrecords_tools.console import finish, make_app, run

app = make_app()


@app.command()
def rank(
    run_folder: RunFolder,
    data: DataFolder,
    split: Annotated[str, typer.Option(help="The split to rank: valid, test or challenge.")] = "test",
    metric: Annotated[Metric, typer.Option(help="Distance between embeddings.")] = Metric.euclidean,
) -> None:
    """Rank, for each query, the gallery of its action.

    Writes RUN/ranking_<split>.json, the file that SoccerNet's scorer and challenge server take, and
    RUN/report_<split>.html, a page to look at.
    """
    check_run(run_folder)
    check_split(data, split)
    load_tensorflow()
    from kreid import ranking_files
    from kreid.data import split_folder
    from kreid.embedding import embed
    from kreid.ranking import rank as rank_embeddings
    from kreid.report import write_report
    from kreid.runs import load_model

    records = split_folder(data, split)
    ranking = rank_embeddings(embed(load_model(run_folder), records, progress=Counter("embedding")), metric)
    print(ranking_files.write(ranking, run_folder / f"ranking_{split}.json"))
    report = run_folder / f"report_{split}.html"
    title = f"{run_folder.resolve().name}, {split}"
    finish(write_report(ranking, records, report, title, progress=Counter("report")))


def main() -> None:
    """Run the command."""
    run(app)
