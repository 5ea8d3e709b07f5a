"""kreid-match: from crops of tracks to which tracks of other cameras, or of other times, show the same player."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli.cameras import check_named, check_records
from kreid.cli.common import (
    Metric,
    RunFolder,
    check_run,
    load_tensorflow,
    logged,
    run_network,
    warn_of_another_network,
)
from kreid.cli.sources import check_data
from kreid.errors import ConfigError
from kreid.files.trial import check_folder, check_output
from kreid.search.sources import crop_source
from tfrecords_tools.console.command import finish, make_app, parse_path, parse_place, run

if TYPE_CHECKING:
    import keras

    from kreid.tracks.tracks import Tracks

app = make_app()


class Pool(StrEnum):
    """How the vectors of a track's crops become one."""

    mean = "mean"
    weighted = "weighted"


@app.command()
def match(
    run_folder: RunFolder,
    crops: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CROPS",
            help="Folders of images CAMERA/TRACK/IMAGE, the frame being the last number in an image's name; a .npz of "
            "kreid-embed of such folders; or a folder of records.",
            parser=parse_place,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Records that tell tracks, which kreid-convert wrote.", parser=parse_place),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of --data.", show_default="test")] = None,
    identities: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who is who among CROPS, to score the matches: a CSV whose first line is camera,track,person, as "
            "kreid-convert --identities takes it.",
            parser=parse_path,
        ),
    ] = None,
    pool: Annotated[
        Pool, typer.Option(help="One vector of a track's: the mean, or large and typical crops counting for more.")
    ] = Pool.mean,
    metric: Annotated[Metric, typer.Option(help="Distance between tracks.")] = Metric.euclidean,
    one_to_one: Annotated[
        bool,
        typer.Option(
            "--one-to-one", help="Give each track one match at most on every camera, and no two the same one."
        ),
    ] = False,
    within_camera: Annotated[
        bool,
        typer.Option("--within-camera", help="Match tracks of one camera too, at other times: who comes back."),
    ] = False,
    across_actions: Annotated[
        bool,
        typer.Option("--across-actions", help="Match tracks of different actions too, such as sequences of one match."),
    ] = False,
    most: Annotated[
        float | None,
        typer.Option(
            metavar="DISTANCE",
            min=0,
            help="No match beyond this distance. One to begin with: kreid-evaluate's at the equal error rate.",
            show_default="none",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="K", min=1, help="How many matches to find for a track on each camera.", show_default="1"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write.", show_default="RUN/matches", parser=parse_path),
    ] = None,
) -> None:
    """Match tracks: which of another camera, or of another time, show the same player.

    Writes DIR/matches.csv, matches.html (a page to look at), distances.npz and, where people are known (from records,
    or by --identities), metrics.json.
    Tracks that overlap in time on one camera cannot be one person: they are counted, and never matched.
    """
    check_run(run_folder)
    if one_to_one and top is not None:
        raise ConfigError(
            "--top: belongs to matching without --one-to-one, which gives one match; leave one of them out"
        )
    source = _source(crops or [], data, split)
    out = _check_out(out or run_folder / "matches")
    from kreid.tracks.files import write_matches
    from kreid.tracks.from_crops import Rules, matched, tracked
    from tfrecords_tools.console.progress import counted

    rules = Rules(pool, metric, one_to_one, within_camera, across_actions, most, top)
    with logged(once=True), counted("embedding") as progress:
        found = tracked(source, rules, lambda tracks: _network(run_folder, source, tracks), identities, progress)
        if found.made:
            warn_of_another_network(found.made, run_network(run_folder), run_folder, str(source))
        results = matched(found, rules, f"{run_folder.resolve().name}, matches")
    print(results)  # also where the disk is full
    write_matches(results, out)
    finish(out)


def _check_out(out: Path) -> Path:
    from kreid.tracks.files import FILES

    check_folder(out)
    for name in FILES:
        check_output(out / name)
    return out


def _source(crops: list[Path], data: Path | None, split: str | None) -> list[Path] | Path:
    """The images, or the folder of records or file of embeddings, that were given."""
    if data is None and split is not None:
        raise ConfigError("--split: belongs to --data")
    if (data is None) == (not crops):
        what = "nothing" if data is None else "both"
        raise ConfigError(f"expected folders of crops, or --data with records, received {what}")
    return crop_source("CROPS", crops) if data is None else check_data(data, split or "test")


def _network(run_folder: Path, source: list[Path] | Path, tracks: "Tracks") -> "keras.Model":
    """The run's network, which is asked whether it knows the cameras before TensorFlow loads."""
    if isinstance(source, Path):
        check_records([run_folder], source)
    else:
        check_named(run_folder, [tracks.cameras[number] for number in tracks.camera], "CROPS")
    load_tensorflow()
    from kreid.runs.folder import load_model

    return load_model(run_folder)


def main() -> None:
    """Run the command."""
    run(app)
