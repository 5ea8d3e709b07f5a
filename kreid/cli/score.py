"""kreid-score: from a ranking file, whoever wrote it, to its scores."""

from pathlib import Path
from typing import Annotated

import typer

from kreid.cli import switches
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, parse_path, parse_place, run
from tfrecords_tools.tables import aligned

app = make_app()


@app.command()
def score(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help='{"<query bbox>": [gallery bbox, ...], ...}, best first.', parser=parse_path
        ),
    ],
    groundtruth: Annotated[
        Path,
        typer.Argument(
            metavar="GROUNDTRUTH",
            help="The split's bbox_info.json, or its folder: SoccerNet/reid/test or records/test.",
            parser=parse_place,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the scores here, as JSON.", parser=parse_path)
    ] = None,
    protocol: switches.Protocol = None,
) -> None:
    """Score a ranking file in SoccerNet's form, from any program: mAP and rank-k in percent (--out: as fractions).

    What kreid-search wrote is scored as well, if both sides were the records and --top the size of the gallery.
    The figures are those of SoccerNet's own scorer; by --protocol cross_camera, those of torchreid. A file that is not
    a complete ranking of the split is refused, and what is wrong with it is named and counted.
    """
    from tfrecords_tools.staging import recover

    recover(groundtruth.parent if groundtruth.suffix else groundtruth)
    for path, name in ((file, "FILE"), (groundtruth, "GROUNDTRUTH")):
        if not path.exists():
            raise ConfigError(f"{name} {path}: no such file")
    if file.is_dir():
        raise ConfigError(f"FILE {file}: expected a ranking file, received a folder; the split's folder comes second")
    if out:
        check_output(out)
    from kreid.files.atomic import write_json
    from kreid.ranking import files as ranking_files
    from kreid.ranking.truth import read_groundtruth

    images = read_groundtruth(groundtruth)
    chosen = protocol or images.protocol
    metrics = ranking_files.score(file, images, protocol=chosen)
    named = f", protocol {chosen}" if chosen != "action" else ""
    skipped = f", {metrics['skipped']:,} without a match left out" if metrics["skipped"] else ""
    print(f"{file}: {metrics['queries']:,} queries{named}{skipped}")
    names = ["mAP", "rank-1", "rank-5", "rank-10"]
    fractions = (metrics["mAP"], metrics["rank1"], metrics["rank5"], metrics["rank10"])
    print(aligned([names, [f"{100 * fraction:.1f}" for fraction in fractions]], right=range(len(names))))
    if out:
        finish(write_json(out, {"ranking": str(file), "groundtruth": str(groundtruth), "protocol": chosen, **metrics}))


def main() -> None:
    """Run the command."""
    run(app)
