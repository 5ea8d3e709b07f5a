"""kreid-look: from a run and images to pictures of what the network sees."""

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli.cameras import check_alone
from kreid.cli.common import RunFolder, check_run, load_tensorflow
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from kreid.search.sources import image_files
from tfrecords_tools.console.command import finish, make_app, parse_path, run

if TYPE_CHECKING:
    from PIL.Image import Image

    from kreid.look.sheets import View
    from kreid.look.viewer import Seen, Viewer

app = make_app()
_BATCH = 8  # images that the network sees at a time
_LONGEST = 100  # bytes of a file's name that are kept, so that two fit into one


@app.command()
def look(
    run_folder: RunFolder,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGES", help="PNG or JPEG files, or folders of them.", parser=parse_path),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the pictures.", parser=parse_path)],
    layers: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Activation maps to draw, as in conv3,conv5; all stages by default."),
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Draw what makes the first image and each other one alike, too.")
    ] = False,
) -> None:
    """Draw what the network of RUN sees: activation maps, part maps, and what makes pairs of images alike.

    Writes DIR/NAME_look.png for each image and, with --pairs, DIR/FIRST_NAME_pair.png; older pictures are replaced.
    Images are drawn as the network sees them, stretched to one shape.

    Part maps carry the names of OpenPose's key points; they say what is seen where the part stream started from its
    weights.
    """
    check_run(run_folder)
    check_alone(run_folder, "IMAGES")
    wanted = None if layers is None else [name.strip() for name in layers.split(",")]
    files = image_files(images)
    targets = _targets(files, out, pairs)
    _check_apart(images, out)
    for path in filter(None, itertools.chain.from_iterable(targets)):
        check_output(path)
    load_tensorflow()
    from kreid.data.images import check_images
    from kreid.look.viewer import Viewer
    from kreid.runs.folder import load_config_of, load_model
    from tfrecords_tools.console.progress import counted

    viewer = Viewer(load_model(run_folder), load_config_of(run_folder).model)
    try:
        viewer.check_layers(wanted or ())
    except ConfigError as error:
        raise ConfigError(f"--{error}") from None
    check_images(files)  # before anything is written
    done, first = 0, None
    with counted("looking") as progress:
        for start in range(0, len(files), _BATCH):
            seen = _see(viewer, files[start : start + _BATCH], wanted)
            first = first or seen[0]
            for other in seen:
                _draw(viewer, first, other, targets[done])
                done += 1
                progress(done, len(files))
    for path in (path for both in targets for path in both if path):
        finish(path)


def _targets(files: list[Path], out: Path, pairs: bool) -> list[tuple[Path, Path | None]]:
    """The picture of each file and, for all but the first, that of its pair; no two alike."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; give a folder")
    if pairs and len(files) < 2:
        raise ConfigError("--pairs: expected two images or more, received one")
    names: list[str] = []
    for file in files:
        stem, number = os.fsencode(file.stem)[:_LONGEST].decode(errors="ignore"), 1
        name = stem
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    targets = [(out / f"{name}_look.png", out / f"{names[0]}_{name}_pair.png" if pairs else None) for name in names]
    targets[0] = (targets[0][0], None)
    inputs = {file.resolve() for file in files}
    for path in (path for both in targets for path in both if path):
        if path.resolve() in inputs:
            raise ConfigError(
                f"--out {out}: {path.name} is one of the images and would be replaced; give another folder"
            )
    return targets


def _check_apart(images: list[Path], out: Path) -> None:
    for folder in images:
        if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"--out {out}: inside {folder}, so the next time its pictures would be looked at as well; "
                "give another folder"
            )


def _see(viewer: "Viewer", files: list[Path], layers: list[str] | None) -> "list[tuple[View, Seen]]":
    import numpy as np

    from kreid.data.images import read_image, resize
    from kreid.look.sheets import make_view

    pixels = [read_image(file) for file in files]
    views = [make_view(file.name, image, viewer.image_size) for file, image in zip(files, pixels, strict=True)]
    seen = viewer.see(np.stack([resize(image, viewer.image_size) for image in pixels]), layers)
    return list(zip(views, seen, strict=True))


def _draw(
    viewer: "Viewer", first: "tuple[View, Seen]", other: "tuple[View, Seen]", targets: tuple[Path, Path | None]
) -> None:
    from kreid.look.sheets import image_picture, pair_picture

    _save(image_picture(*other, viewer.parts, viewer.note), targets[0])
    if targets[1]:
        pair = viewer.compare(first[1], other[1])
        _save(pair_picture([first[0], other[0]], pair, viewer.note), targets[1])


def _save(picture: "Image", path: Path) -> None:
    from kreid.files.atomic import atomic_file

    with atomic_file(path) as file:
        picture.save(file, "PNG")


def main() -> None:
    """Run the command."""
    run(app)
