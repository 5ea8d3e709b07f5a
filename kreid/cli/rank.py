"""kreid-rank: from a run to ranked galleries."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli import switches
from kreid.cli.cameras import check_records
from kreid.cli.common import Metric, RunFolder, check_run, load_tensorflow
from kreid.cli.search import Backend, SeveralValues, search_crops
from kreid.cli.sources import check_protocol, check_split
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, note, parse_path, parse_place, run, warn

if TYPE_CHECKING:
    import keras

    from kreid.config.sections import Evaluation
    from kreid.ranking.figures import QueryFigures
    from kreid.ranking.lists import Ranking
    from kreid.ranking.verification import Curve

app = make_app()
# What kreid-search takes, which was a second way of this command.
_SEARCH = ("gallery", "query", "top", "out", "backend")
_SHOWN = 50  # gallery images of each query that a page shows, where it does not show all
_BOTH = ("run_folder", "metric", "flip", "rerank", "k1", "k2", "weight", "help")


@app.command(cls=SeveralValues)
def rank(
    context: typer.Context,
    run_folder: RunFolder,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What kreid-convert wrote; required.", parser=parse_place)
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
    protocol: switches.Protocol = None,
    look: Annotated[
        bool, typer.Option(help="Show in the report what the network sees in the hardest queries and their gallery.")
    ] = True,
    gallery: Annotated[list[Path] | None, typer.Option(hidden=True, parser=parse_place)] = None,
    query: Annotated[list[Path] | None, typer.Option(hidden=True, parser=parse_place)] = None,
    top: Annotated[int, typer.Option(hidden=True, min=1)] = 10,
    out: Annotated[Path | None, typer.Option(hidden=True, parser=parse_path)] = None,
    backend: Annotated[Backend, typer.Option(hidden=True)] = Backend.numpy,
) -> None:
    """Rank, for each query of a split, the gallery of its action. (A search among any crops: kreid-search.)

    Writes RUN/ranking_<split>.json, the file that SoccerNet's scorer and challenge server take, and
    RUN/report_<split>.html, a page to look at. By --protocol cross_camera, whose lists are not what that file holds,
    it writes the page alone, with the first images of each list, and calls an older ranking file
    ranking_<split>.former.json. The switches ask for better rankings than the plain one; those left out are as the
    section `evaluation` of RUN's configuration says.
    """
    check_run(run_folder)
    if _is_search(context):
        warn("a search is kreid-search RUN --gallery CROPS... --query CROPS... now; this spelling still works")
        asked = switches.search_settings(flip, rerank, k1, k2, weight)
        search_crops(run_folder, gallery or [], query or [], top, metric, out, backend, asked)
        return
    if data is None:
        raise ConfigError("--data: missing; give what kreid-convert wrote, or take kreid-search for a search")
    runs = [run_folder, *(with_ or [])]
    settings = switches.check_settings(runs, flip, crops, concat, expand, rerank, k1, k2, weight, protocol)
    records = check_split(data, split, scored=False)
    by = check_protocol(records, settings)
    check_records(runs, records)
    from kreid.runs.folder import load_model, result_path

    written = result_path(runs, f"ranking_{split}.json") if by == "action" else None
    if written:
        check_output(written)
    else:
        note(f"no ranking file: SoccerNet's form holds all of an action, and protocol {by!r} leaves some of it out")
    check_output(result_path(runs, f"report_{split}.html"))
    load_tensorflow()
    from kreid.evaluation.records import curve_by_settings, embed_records, figures_by_settings, ranked
    from kreid.ranking import files as ranking_files
    from tfrecords_tools.console.progress import counted

    models = [load_model(folder) for folder in runs]
    with counted("embedding") as progress:
        embeddings = embed_records(models, records, settings, join, progress)
    figures = curve = None
    ranking = ranked(embeddings, settings, metric, None if written else _SHOWN)
    if written:
        if alone := int((ranking.sizes == 0).sum()):
            warn(f"{alone} queries have no gallery image in their action; SoccerNet's scorer refuses such a set")
        print(ranking_files.write(ranking, written))
    else:
        figures = figures_by_settings(embeddings, settings, metric, ("order",))["order"]
        curve = curve_by_settings(embeddings, settings, metric)
    report = _write_report(runs, models[0], ranking, figures, curve, records, split, settings, look)
    if not written and (former := result_path(runs, f"ranking_{split}.json")).is_file():
        kept = former.replace(former.with_suffix(".former.json"))
        note(f"{former} is of another ranking than the page beside it, and is called {kept.name} now")
    finish(report)


def _is_search(context: typer.Context) -> bool:
    """Return whether a search is asked for, not a split's ranking; complain about options of the other one."""
    given = {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    }
    search = bool({"gallery", "query"} & given.keys())
    for name, option in given.items():
        if search and name not in (*_SEARCH, *_BOTH):
            raise ConfigError(f"{option}: is for a split, not for a search; leave it out, or --gallery and --query")
        if not search and name in _SEARCH:
            raise ConfigError(f"{option}: belongs to a search; give --gallery and --query, or leave it out")
    if search and not {"gallery", "query"} <= given.keys():
        missing = "--query" if "gallery" in given else "--gallery"
        raise ConfigError(f"{missing}: missing; a search takes --gallery CROPS... and --query CROPS...")
    return search


def _write_report(
    runs: list[Path],
    model: "keras.Model",
    ranking: "Ranking",
    figures: "QueryFigures | None",
    curve: "Curve | None",
    records: Path,
    split: str,
    settings: "Evaluation",
    look: bool,
) -> Path:
    """Write the page of a split's ranking, with what the first run's network sees if `look`."""
    from kreid.evaluation.paper import paper_row
    from kreid.evaluation.settings import describe
    from kreid.look.viewer import Viewer
    from kreid.report.looks import pair_looks
    from kreid.report.page import records_of
    from kreid.report.write import write_report
    from kreid.runs.folder import load_config_of, result_path, run_names
    from tfrecords_tools.console.progress import counted

    report = result_path(runs, f"report_{split}.html")
    names, ways = run_names(runs), [*describe(settings).values()]
    title = ", ".join([" + ".join(names), split, *ways])
    config = load_config_of(runs[0])
    row = paper_row(config, split, ranking.protocol) if len(runs) == 1 else None
    before = records_of(report)
    explained = f"Explained is the plain embedding of {names[0]}." if ways or len(runs) > 1 else ""
    looker = pair_looks(Viewer(model, config.model), ranking, records, explained) if look else None
    with counted("report") as progress:
        write_report(
            ranking,
            records,
            report,
            title,
            figures=figures,
            curve=curve,
            paper_row=row,
            look=looker,
            progress=progress,
        )
    if before not in (None, records_of(report)):
        note(f"{report}: the page that stood there was of other records, and is replaced")
    return report


def main() -> None:
    """Run the command."""
    run(app)
