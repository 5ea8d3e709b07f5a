"""kreid-match: from crops of tracks to which tracks of other cameras, or of other times, show the same player."""

from dataclasses import replace
from enum import StrEnum
from math import inf, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
from kreid.cli.sources import check_data, crop_source
from kreid.errors import ConfigError
from kreid.files.trial import check_folder, check_output
from tfrecords_tools.console.command import finish, make_app, parse_path, parse_place, run

if TYPE_CHECKING:
    from kreid.tracks.crops import TrackedCrops
    from kreid.tracks.results import Results
    from kreid.tracks.tracks import Tracks
    from kreid.types import Progress

app = make_app()


class Pool(StrEnum):
    """How the vectors of a track's crops become one."""

    mean = "mean"
    weighted = "weighted"


class _Rules(NamedTuple):
    """What may be matched; see `kreid.tracks.matching.match`."""

    one_to_one: bool
    within_camera: bool
    across_actions: bool
    top: int
    most: float


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
    if most is not None and isnan(most):
        raise ConfigError("--most: expected a distance, received nan")
    source = _source(crops or [], data, split)
    if identities and isinstance(source, Path) and source.is_dir():
        raise ConfigError(
            "--identities: is for folders of crops; records hold who is who, as kreid-convert --identities tells it"
        )
    out = _check_out(out or run_folder / "matches")
    rules = _Rules(one_to_one, within_camera, across_actions, top or 1, inf if most is None else most)
    from tfrecords_tools.console.progress import counted

    with logged(once=True), counted("embedding") as progress:
        found = _open(run_folder, source, rules, identities, progress)
        results = _results(f"{run_folder.resolve().name}, matches", found, pool, metric, rules)
    _write(results, out)
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
    if data is not None:
        return check_data(data, split or "test")
    source = crop_source("CROPS", crops)
    if isinstance(source, Path):
        return source
    return list({file.absolute(): file for file in source}.values())  # a folder and one inside it may both be given


def _open(
    run_folder: Path, source: list[Path] | Path, rules: _Rules, identities: Path | None, progress: "Progress"
) -> "TrackedCrops":
    """The crops with their tracks; what is wrong with these is told before TensorFlow loads."""
    from kreid.tracks import crops
    from kreid.tracks.identities import identify

    if isinstance(source, Path) and not source.is_dir():
        from kreid.search.crops import crops_of_embeddings

        embeddings = crops_of_embeddings(source, queries=False)
        warn_of_another_network(embeddings, run_network(run_folder), run_folder, str(source))
        found = crops.crops_of_embeddings(embeddings, source)
        _check(found.tracks, rules)
        return replace(found, tracks=identify(found.tracks, identities)) if identities else found
    if isinstance(source, Path):
        _check(crops.tracks_of_records(source), rules, timed=False)
        check_records([run_folder], source)
    else:
        tracks = crops.tracks_of_paths(source)
        _check(tracks, rules)
        check_named(run_folder, [tracks.cameras[number] for number in tracks.camera], "CROPS")
        tracks = identify(tracks, identities) if identities else tracks
    load_tensorflow()
    from kreid.runs.folder import load_model

    model = load_model(run_folder)
    if isinstance(source, list):
        return crops.crops_of_files(model, source, tracks, progress)
    found = crops.crops_of_records(model, source, progress)
    _check(found.tracks, rules)
    return found


def _check(tracks: "Tracks", rules: _Rules, timed: bool = True) -> None:
    """Complain of tracks that cannot be matched at all; `timed` tells whether their frames are read already."""
    if len(tracks) < 2:
        received = f"one, {tracks.describe(0)}" if len(tracks) else "none"
        raise ConfigError(f"expected two tracks or more, received {received}")
    if rules.within_camera:
        if timed and (tracks.first < 0).any():
            track = tracks.describe(int((tracks.first < 0).argmax()))
            raise ConfigError(
                f"--within-camera: the frames of track {track} are unknown, and so whether it overlaps others in time; "
                "number its images, or leave the option out"
            )
        return
    places = set(zip(tracks.action.tolist(), tracks.camera.tolist(), strict=True))
    cameras = {camera for _, camera in places}
    if len(cameras) == 1:
        camera = tracks.cameras[tracks.camera[0]]
        raise ConfigError(
            f"all {len(tracks):,} tracks are of one camera, {camera}; give those of another one, or --within-camera"
        )
    if not rules.across_actions and len(places) == len({action for action, _ in places}):
        raise ConfigError(
            f"none of the {len(places):,} actions has tracks of two cameras; match tracks of different actions by "
            "--across-actions, or those of one camera by --within-camera"
        )


def _results(title: str, found: "TrackedCrops", pool: Pool, metric: Metric, rules: _Rules) -> "Results":
    from kreid.tracks import matching
    from kreid.tracks.pooling import pool as pooled
    from kreid.tracks.results import Results

    tracks = found.tracks
    vectors = pooled(tracks, found.vectors, pool, found.areas)
    distance = matching.distances(vectors, metric)
    distance[matching.never_matched(tracks, rules.within_camera, rules.across_actions)] = inf
    matches = matching.match(tracks, distance, rules.one_to_one, rules.top, rules.most)
    return Results(title, tracks, vectors, distance, matches, metric, found.picture)


def _write(results: "Results", out: Path) -> None:
    """Print what there is to say in a line each, also where the disk is full, and write everything."""
    from kreid.tracks.files import write_matches
    from kreid.tracks.scoring import score
    from tfrecords_tools.tables import aligned

    metrics = score(results.tracks, results.vectors, results.matches, results.metric)
    shown = {"mAP": "mAP", "rank1": "rank-1"}
    scores = [(name, f"{100 * metrics[key]:.1f}") for key, name in shown.items() if metrics and key in metrics]
    print(aligned([*results.facts(), *scores], right=[1]))
    write_matches(results, metrics, out)


def main() -> None:
    """Run the command."""
    run(app)
