"""kreid-compare: runs beside each other, and beside the paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli import switches
from kreid.cli.common import check_run, load_tensorflow
from kreid.cli.sources import check_labels, check_split
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, note, parse_path, parse_place, run, warn

if TYPE_CHECKING:
    from kreid.config.sections import Evaluation

app = make_app()


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folders that kreid-train wrote, or metrics files of kreid-evaluate.",
            parser=parse_path,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What kreid-convert wrote, to score runs not scored yet.", parser=parse_place),
    ] = None,
    split: Annotated[str, typer.Option(help="The split to compare on: test or valid.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The table, comparison_<split>.md by default.", parser=parse_path),
    ] = None,
    protocol: switches.Protocol = None,
) -> None:
    """Put runs into one table: scores with intervals, the paper's own, costs, and paired tests against the first.

    The scores are those that kreid-evaluate left in RUN/metrics_<split>.json. With --data, runs without them, or with
    those of earlier weights or of other records, are scored first, as the section `evaluation` of their configuration
    says, in place of what is there; scores of these by other switches than the configuration's are taken, and told.
    Scores by different protocols are not compared; --protocol is for runs that are scored here.

    Writes the table as Markdown, and all figures as JSON beside it.
    """
    out = out or Path(f"comparison_{split}.md")
    if out.suffix != ".md":
        raise ConfigError(f"--out {out}: expected a name that ends in .md; the JSON file goes beside it")
    for written in (out, out.with_suffix(".json")):
        check_output(written)
    records = check_split(data, split) if data else None
    if protocol and not records:
        raise ConfigError("--protocol: decides how runs are scored here, which takes --data too; leave it out")
    paths = [
        run_folder if run_folder.is_file() else _scored(run_folder, records, split, protocol) for run_folder in runs
    ]

    from kreid.evaluation.comparison import compare_metrics, read_metrics, system_name, to_markdown
    from kreid.files.atomic import atomic_file, write_json

    metrics = [read_metrics(path) for path in paths]
    names = list(map(system_name, metrics))
    names = [f"{name}, {path}" if names.count(name) > 1 else name for name, path in zip(names, runs, strict=True)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"{twice[0]}: given twice")
    comparison = compare_metrics(dict(zip(names, metrics, strict=True)))
    table = to_markdown(comparison)
    print(table)
    print(write_json(out.with_suffix(".json"), comparison))
    with atomic_file(out) as file:
        file.write(table.encode())
    finish(out)


def _scored(run_folder: Path, records: Path | None, split: str, protocol: switches.ProtocolName | None) -> Path:
    """Return the run's metrics; where these are missing, or of another network, records or protocol, score it first."""
    check_run(run_folder)
    path = run_folder / f"metrics_{split}.json"
    if not path.is_file() and not records:
        raise ConfigError(f"{run_folder}: not scored on {split} yet; run kreid-evaluate, or give --data")
    settings = switches.protocol_settings(run_folder, protocol) if records else None
    former = _outdated(path, run_folder, records, settings) if path.is_file() else None
    if former == "":
        return path
    if not records or not settings:
        warn(f"{path}: of another network than {run_folder} has now; run kreid-evaluate again, or give --data")
        return path
    check_labels(records, settings)
    check_output(path)
    load_tensorflow()
    from kreid.evaluation.scoring import evaluate_runs
    from kreid.files.atomic import write_json
    from tfrecords_tools.console.progress import counted

    note(f"scoring {run_folder}" + (f"; the scores in {path} are {former}, and are replaced" if former else ""))
    with counted("embedding") as progress:
        metrics = evaluate_runs([run_folder], records, split, settings, progress=progress)
    return write_json(path, metrics)


def _outdated(path: Path, run_folder: Path, records: Path | None, settings: "Evaluation | None") -> str:
    """Say of what else than the run's network, `records` and the protocol of `settings` metrics are; "" if of these.

    Other switches than `settings` are told: the scores stay, for kreid-evaluate was asked for them. Without records a
    bad file is an error.
    """
    from kreid.config.sections import Evaluation
    from kreid.evaluation.comparison import read_metrics, what_else
    from kreid.evaluation.settings import describe
    from kreid.ranking.truth import read_groundtruth
    from kreid.runs.folder import network_digest
    from kreid.runs.weights import weights_digest
    from tfrecords_tools.index import read_index

    try:
        metrics = read_metrics(path)
    except ValueError:
        if not records:
            raise
        return "none that can be read"
    scored = ", ".join(describe(Evaluation.model_validate(metrics["settings"])).values())
    network, former = [network_digest(run_folder)], ""
    if metrics["weights"] != [weights_digest(run_folder)] or metrics.get("networks", network) != network:
        former = "of another network"
    elif records and settings:
        images = read_groundtruth(records)
        former = what_else(path, images, settings.protocol or images.protocol, read_index(records).digest())
        asked = ", ".join(describe(settings).values())
        if not former and scored != asked:
            warn(
                f"{path}: scored {'with ' + scored if scored else 'plainly'}, where the configuration of {run_folder} "
                f"asks for {asked or 'the plain ranking'}; run kreid-evaluate again for that"
            )
    return f"{former} ({scored})" if former and scored else former


def main() -> None:
    """Run the command."""
    run(app)
