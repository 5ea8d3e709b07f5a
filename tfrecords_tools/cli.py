"""The command kreid-convert."""

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfrecords_tools import console
from tfrecords_tools.console.runner import (
    Runner,
    RunnerCommand,
    RunnerOptions,
    check_addresses,
    load_pipelines,
)
from tfrecords_tools.entry import SPLITS
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.problems import PROBLEMS_NAME
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source

if TYPE_CHECKING:
    from tfrecords_tools.info import SplitInfo
    from tfrecords_tools.settings import Settings

app = console.make_app()


class Split(StrEnum):
    """The splits of a set."""

    train = "train"
    valid = "valid"
    test = "test"
    challenge = "challenge"


class ImageFormat(StrEnum):
    """How records store images."""

    original = "original"
    png = "png"
    jpeg = "jpeg"
    uncompressed = "uncompressed"


class OnError(StrEnum):
    """What is done about a bad image."""

    stop = "stop"
    skip = "skip"


Root = Annotated[
    Path,
    typer.Argument(
        parser=console.parse_place,
        metavar="ROOT",
        help="Folder of the images: of SoccerNet-v3 ReID, or of another source (--source).",
    ),
]
Out = Annotated[
    Path,
    typer.Argument(
        parser=console.parse_place,
        metavar="OUT",
        help="Folder for the records; further splits may join those that are there.",
    ),
]
Splits = Annotated[
    list[Split] | None,
    typer.Option(
        "--split", metavar="SPLIT", help="train, valid, test or challenge; may be repeated. Default: all found."
    ),
]
Fraction = Annotated[
    float, typer.Option(metavar="F", help="Part of the training actions to keep, in (0, 1]; the paper's: 0.1 and 0.02.")
]
Shards = Annotated[
    int | None,
    typer.Option(metavar="N", help="Files per split. Default: one per 2,000 images. An action is never divided."),
]
Resize = Annotated[
    str | None,
    typer.Option(metavar="HxW", help="Store images of this height and width, such as 256x128. Default: as they are."),
]
Stored = Annotated[
    ImageFormat,
    typer.Option(
        metavar="FORMAT",
        help="original keeps a file's own bytes; png; jpeg (quality 95); uncompressed: a PNG twice as large, for the "
        "fastest reading.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the records of these splits in OUT.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where the same conversion was killed, from its finished files.")
]
Synthetic = Annotated[
    bool, typer.Option("--synthetic", help="First draw a synthetic SoccerNet-v3 ReID set into ROOT, a new folder.")
]
Actions = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="With --synthetic: training actions to draw, each of some 26 images; valid and test get a fifth as many, "
        "challenge a fifteenth. Default: 60.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Of --synthetic, and of the division into train, query and gallery where a source has none: same seed, "
        "same images. Default: 0.",
    ),
]
SourceName = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help=f"{', '.join(SOURCES)}. Default: told from the folder."),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(metavar="N", help="Larger images are bad, and not decoded. Default: 50,000,000."),
]
Errors = Annotated[
    OnError,
    typer.Option(
        "--on-error", metavar="WHAT", help="stop at bad images, or skip them: OUT/SPLIT/problems.csv lists them."
    ),
]
Decode = Annotated[
    bool,
    typer.Option("--decode", help="Decode every PNG, too, where its own checksums would tell whether it is whole."),
]
Identities = Annotated[
    Path | None,
    typer.Option(
        parser=console.parse_path,
        metavar="FILE",
        help="CSV whose first line is camera,track,person: joins tracks to people (folders, mot, soccernet-gsr). "
        "Tracks that it does not name are left out.",
    ),
]
Tracks = Annotated[
    Path | None,
    typer.Option(
        parser=console.parse_path,
        metavar="PATH",
        help="A tracker's boxes in place of gt/gt.txt (mot): folder of SEQUENCE.txt, the only sequence's file, or "
        "name of a file in each.",
    ),
]
Video = Annotated[
    Path | None,
    typer.Option(
        parser=console.parse_path,
        metavar="FILE",
        help="A video in place of the frames of the only sequence (mot, soccernet-gsr); its first frame is 1. "
        "Needs PyAV: pip install 'kreid[video]'.",
    ),
]
TrainShare = Annotated[
    float | None,
    typer.Option(metavar="F", help="Part for training of a set that is not divided; 0 for none. Default: 0.5."),
]
Margin = Annotated[
    float | None,
    typer.Option(metavar="F", help="Added to each side of a box, as a part of its width and height. Default: 0."),
]
MinSize = Annotated[
    int | None,
    typer.Option(metavar="N", help="Boxes whose crop is less than N pixels high or wide are left out. Default: 1."),
]
MinVisibility = Annotated[
    float | None, typer.Option(metavar="F", help="Less visible boxes are left out, 0 to 1 (mot). Default: 0.")
]
Every = Annotated[int | None, typer.Option(metavar="N", help="Take every N-th frame of a sequence. Default: 1.")]


@app.command(cls=RunnerCommand)
def convert(
    root: Root,
    out: Out,
    split: Splits = None,
    fraction: Fraction = 1.0,
    shards: Shards = None,
    resize: Resize = None,
    image_format: Stored = ImageFormat.original,
    overwrite: Overwrite = False,
    resume: Resume = False,
    synthetic: Synthetic = False,
    actions: Actions = None,
    seed: Seed = None,
    source: SourceName = None,
    on_error: Errors = OnError.stop,
    max_pixels: MaxPixels = None,
    decode: Decode = False,
    identities: Identities = None,
    tracks: Tracks = None,
    video: Video = None,
    train_share: TrainShare = None,
    margin: Margin = None,
    min_size: MinSize = None,
    min_visibility: MinVisibility = None,
    every: Every = None,
    runner: Runner = None,
    runner_option: RunnerOptions = None,
) -> None:
    """Convert images with labels to TFRecords: SoccerNet-v3 ReID, Market-1501, own crops, tracks in frames.

    Reads every image once and writes OUT/<split>/*.tfrecord with an index, and OUT/info.json. If
    anything is wrong, OUT stays as it was. `kreid-convert check OUT` reads all of it back.

    \b
    kreid-convert SoccerNet records                                  all splits
    kreid-convert SoccerNet records --split train --fraction 0.1     a tenth of the training actions
    kreid-convert SoccerNet small --resize 256x128 --image-format jpeg
    kreid-convert SoccerNet fast --image-format uncompressed         lossless, twice as large, faster to train on
    kreid-convert toy records --synthetic                            draws a set to try things on
    kreid-convert gs://b/set gs://b/records --runner DataflowRunner -- OPTIONS
    """
    check_addresses(runner, runner_option, ROOT=root, OUT=out)
    from tfrecords_tools import writer
    from tfrecords_tools.images import MAX_PIXELS
    from tfrecords_tools.settings import Settings

    most = MAX_PIXELS if max_pixels is None else max_pixels
    settings = Settings(fraction, shards, _parse_size(resize), image_format.value, most, on_error.value, decode)
    splits = [name.value for name in split] if split else None
    told = {"identities": identities, "tracks": tracks, "video": video, "train_share": train_share, "margin": margin}
    told |= {"min_size": min_size, "min_visibility": min_visibility, "every": every}
    told |= {} if synthetic else {"seed": seed}
    options = _options(told)
    if runner is not None:
        if synthetic or resume or actions is not None:
            raise ConfigError("--runner: goes without --synthetic, --actions and --resume")
        _by_runner(root, out, splits, settings, source, options, overwrite, load_pipelines(runner, runner_option))
        return
    if synthetic:
        if source not in (None, "soccernet"):
            raise ConfigError(f"--source: --synthetic draws a set of the source soccernet, received {source!r}")
        found = SOURCES["soccernet"]
        splits = splits or list(SPLITS)
    elif actions is not None:
        raise ConfigError("--actions goes with --synthetic, which draws a set into ROOT")
    else:
        found = find_source(root, source, video is not None)
    found.check_options(options)
    splits = writer.check_arguments(root, out, splits, fraction, overwrite, found, options)
    if synthetic:
        _draw(root, splits, 60 if actions is None else actions, 0 if seed is None else seed)
    elif source is None:
        console.note(f"{root}: taken for {found.title} (--source {found.name})")
    recording = {**vars(settings), "source": found.name, "options": options}
    info = writer.convert(root, out, splits, **recording, overwrite=overwrite, resume=resume, progress=True)
    _tell({name: info["splits"][name] for name in splits}, out)


def _by_runner(
    root: Path,
    out: Path,
    splits: list[str] | None,
    settings: "Settings",
    source: str | None,
    options: Options,
    overwrite: bool,
    pipeline: Any,
) -> None:
    from tfrecords_tools.pipelines.convert import convert

    info = convert(str(root), str(out), splits, settings, pipeline, source, options, overwrite)
    _tell({name: info["splits"][name] for name in splits or info["splits"]}, str(out))


def main() -> None:
    """Run kreid-convert, or kreid-convert check."""
    if sys.argv[1:2] == ["check"]:
        from tfrecords_tools.check_cli import app as check_app

        console.run(check_app)
    console.run(app)


def _options(told: dict[str, Any]) -> Options:
    """The options that were given, checked, whatever the source."""
    try:
        return Options(**{name: value for name, value in told.items() if value is not None})
    except ConfigError as error:
        raise ConfigError(f"--{str(error).replace('_', '-', 1)}") from None


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise ConfigError(f"--resize: expected HEIGHTxWIDTH in pixels, such as 256x128, received {text!r}")
    return int(match[1]), int(match[2])


def _draw(root: Path, splits: list[str], actions: int, seed: int) -> None:
    from tfrecords_tools.console.progress import counted
    from tfrecords_tools.synthetic.tree import draw

    share = {"train": 1, "valid": 5, "test": 5, "challenge": 15}
    counts = {split: actions if split == "train" else max(1, actions // share[split]) for split in splits}
    if actions < 1:
        raise ConfigError(f"--actions: expected 1 or more, received {actions}")
    with counted("drawing", "actions") as progress:
        draw(root, counts, seed, workers=os.cpu_count() or 1, progress=progress)
    console.note(f"{root}: drew {', '.join(f'{count} {split}' for split, count in counts.items())} actions")


def _tell(infos: dict[str, "SplitInfo"], out: Path | str) -> None:
    """Say what was converted, how it is scored, and where it lies."""
    for name, info in infos.items():
        console.note(_summarise(name, info))
    console.note(_protocol_of(infos))
    console.finish(out)


def _protocol_of(infos: dict[str, "SplitInfo"]) -> str:
    """How queries are scored, and by how many cameras or actions: a set converted at once has one protocol."""
    protocol = next(iter(infos.values()))["protocol"]
    across = protocol == "cross_camera"
    counts = {name: info["cameras"] if across else info["actions"] for name, info in infos.items()}
    told = ", ".join(f"{count:,} in {name}" for name, count in counts.items())
    how, what = ("across cameras", "cameras") if across else ("inside actions", "actions")
    return f"scored {how} (protocol {protocol}), {what}: {told}"


def _summarise(split: str, info: "SplitInfo") -> str:
    people = "identities withheld" if info["identities"] is None else f"{info['identities']:,} identities"
    parts = f" ({info['queries']:,} queries, {info['gallery']:,} gallery)" if info["queries"] else ""
    size = f"{info['bytes'] / 1e6:,.1f} MB in {info['shards']} files"
    cameras = f", {info['cameras']:,} cameras" if info["cameras"] else ""
    less = [f"{count:,} {why}" for why, count in info["notes"].items()]
    less += [f"{info['skipped']:,} bad images skipped, see {split}/{PROBLEMS_NAME}"] if info["skipped"] else []
    told = f" ({', '.join(less)})" if less else ""
    return f"{split}: {info['images']:,} images{parts}, {people}{cameras}, {info['actions']:,} actions, {size}{told}"
