"""The command kreid-convert."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfrecords_tools import console, soccernet
from tfrecords_tools.errors import ConfigError

if TYPE_CHECKING:
    from tfrecords_tools.index import SplitInfo

app = console.make_app()


class Split(StrEnum):
    """The splits of SoccerNet-v3 ReID."""

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


Root = Annotated[
    Path,
    typer.Argument(
        parser=console.parse_path,
        metavar="ROOT",
        help="SoccerNet-v3 ReID folder: the splits stand in it, or in its folder reid.",
    ),
]
Out = Annotated[
    Path,
    typer.Argument(
        parser=console.parse_path,
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
Seed = Annotated[int | None, typer.Option(metavar="N", help="With --synthetic: same seed, same images. Default: 0.")]


@app.command()
def convert(
    root: Root,
    out: Out,
    split: Splits = None,
    fraction: Fraction = 1.0,
    shards: Shards = None,
    resize: Resize = None,
    image_format: Stored = ImageFormat.original,
    overwrite: Overwrite = False,
    synthetic: Synthetic = False,
    actions: Actions = None,
    seed: Seed = None,
) -> None:
    """Convert SoccerNet-v3 ReID thumbnails to TFRecords.

    Reads every image once, checks file names against the label lists (bbox_info.json), and writes
    OUT/<split>/*.tfrecord with an index, and OUT/info.json. If anything is wrong, OUT stays as it was.

    \b
    kreid-convert SoccerNet records                                  all splits
    kreid-convert SoccerNet records --split train --fraction 0.1     a tenth of the training actions
    kreid-convert SoccerNet small --resize 256x128 --image-format jpeg
    kreid-convert SoccerNet fast --image-format uncompressed         lossless, twice as large, faster to train on
    kreid-convert toy records --synthetic                            draws a set to try things on
    """
    from tfrecords_tools import writer
    from tfrecords_tools.settings import Settings

    settings = Settings(fraction, shards, _parse_size(resize), image_format.value)
    splits = [name.value for name in split] if split else None
    if synthetic:
        splits = splits or list(soccernet.SPLITS)
    elif actions is not None or seed is not None:
        raise ConfigError("--actions and --seed go with --synthetic, which draws a set into ROOT")
    else:
        soccernet.find_root(root)
    splits = writer.check_arguments(root, out, splits, fraction, overwrite)
    if synthetic:
        _draw(root, splits, 60 if actions is None else actions, 0 if seed is None else seed)
    info = writer.convert(root, out, splits, **vars(settings), overwrite=overwrite, progress=True)
    for name in splits:
        console.note(_summarise(name, info["splits"][name]))
    console.finish(out)


def main() -> None:
    """Run kreid-convert."""
    console.run(app)


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


def _summarise(split: str, info: "SplitInfo") -> str:
    people = "identities withheld" if info["identities"] is None else f"{info['identities']:,} identities"
    parts = f" ({info['queries']:,} queries, {info['gallery']:,} gallery)" if info["queries"] else ""
    size = f"{info['bytes'] / 1e6:,.1f} MB in {info['shards']} files"
    return f"{split}: {info['images']:,} images{parts}, {people}, {info['actions']:,} actions, {size}"
