"""kreid-rank: from a run to ranked galleries."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kreid.cli import searching, switches
from kreid.cli.common import Metric, RunFolder, check_run, load_tensorflow
from kreid.cli.sources import check_split
from kreid.errors import ConfigError
from tfrecords_tools.console.command import finish, make_app, parse_path, run, warn

if TYPE_CHECKING:
    from kreid.config.sections import Evaluation

app = make_app()


@app.command(cls=searching.SeveralValues)
def rank(
    context: typer.Context,
    run_folder: RunFolder,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What kreid-convert wrote.", parser=parse_path)
    ] = None,
    split: Annotated[str, typer.Option(help="The split to rank: valid, test or challenge.")] = "test",
    metric: Annotated[Metric, typer.Option(help="Distance between embeddings.")] = Metric.euclidean,
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
    look: Annotated[
        bool, typer.Option(help="Show in the report what the network sees in the hardest queries and their gallery.")
    ] = True,
    gallery: searching.Gallery = None,
    query: searching.Query = None,
    top: searching.Top = 10,
    out: searching.Out = None,
    backend: searching.BackendOption = searching.Backend.numpy,
) -> None:
    """Rank, for each query, the gallery of its action; or search among crops of any action.

    A split: --data DIR [--split SPLIT]. Writes RUN/ranking_<split>.json, the file that SoccerNet's scorer and challenge
    server take, and RUN/report_<split>.html, a page to look at. The switches ask for better rankings than the plain
    one; those left out are as the section `evaluation` of RUN's configuration says.

    A search: --gallery CROPS... --query CROPS... Writes the nearest of the gallery for each query to --out. Embed a
    large gallery once by kreid-embed: its .npz is searched without reading it into memory, up to millions of crops.
    """
    check_run(run_folder)
    if searching.wanted(context):
        searching.search_crops(run_folder, gallery, query, metric, top, out, backend)
        return
    if data is None:
        raise ConfigError("--data: missing; give what kreid-convert wrote, or --gallery and --query for a search")
    runs = [run_folder, *(with_ or [])]
    settings = switches.check_settings(runs, flip, crops, concat, expand, rerank, k1, k2, weight)
    records = check_split(data, split, scored=False)
    load_tensorflow()
    from kreid.evaluation.records import rank_records
    from kreid.ranking import files as ranking_files
    from kreid.runs.folder import load_model, result_path
    from tfrecords_tools.console.progress import counted

    models = [load_model(run) for run in runs]
    with counted("embedding") as progress:
        ranking = rank_records(models, records, settings, metric, join, progress)
    alone = int((ranking.sizes == 0).sum())
    if alone:
        warn(f"{alone} queries have no gallery image in their action; SoccerNet's scorer refuses such a set")
    print(ranking_files.write(ranking, result_path(runs, f"ranking_{split}.json")))
    finish(_write_report(runs, models[0], ranking, records, split, settings, look))


def _write_report(
    runs: list[Path], model: Any, ranking: Any, records: Path, split: str, settings: "Evaluation", look: bool
) -> Path:
    """Write the page of a split's ranking, with what the first run's network sees if `look`."""
    from kreid.evaluation.paper import paper_row
    from kreid.evaluation.settings import describe
    from kreid.look.viewer import Viewer
    from kreid.report.looks import pair_looks
    from kreid.report.write import write_report
    from kreid.runs.folder import load_config_of, result_path, run_names
    from tfrecords_tools.console.progress import counted

    report = result_path(runs, f"report_{split}.html")
    names, ways = run_names(runs), [*describe(settings).values()]
    title = ", ".join([" + ".join(names), split, *ways])
    config = load_config_of(runs[0])
    row = paper_row(config, split) if len(runs) == 1 else None
    note = f"Explained is the plain embedding of {names[0]}." if ways or len(runs) > 1 else ""
    looker = pair_looks(Viewer(model, config.model), ranking, records, note) if look else None
    with counted("report") as progress:
        return write_report(ranking, records, report, title, paper_row=row, look=looker, progress=progress)


def main() -> None:
    """Run the command."""
    run(app)
