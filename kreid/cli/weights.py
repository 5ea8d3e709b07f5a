"""kreid-weights: look into files of weights, convert them, and make a run of them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import ConfigFile, Overrides, load_tensorflow, logged
from kreid.errors import ConfigError
from kreid.files.trial import check_folder, check_output
from tfrecords_tools.console.command import finish, make_app, note, parse_path, run

app = make_app()
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help=".caffemodel, .pth, .pt, .npz, .safetensors, .weights.h5, .keras or .h5; pickled code never runs.",
        parser=parse_path,
    ),
]


@app.callback()
def weights() -> None:
    """Look into files of weights that other programs wrote, and convert them for kreid's networks."""


@app.command()
def inspect(file: File) -> None:
    """Print name, type and shape of every tensor, and which published file it is."""
    from kreid.weights.files import describe

    _check_file(file)
    print(describe(file))


@app.command()
def convert(
    file: File,
    to: Annotated[str, typer.Option("--to", metavar="BACKBONE", help="Such as openpose_body_25 or osnet_x1_0.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Ends in .weights.h5.", parser=parse_path)],
    width_divisor: Annotated[int, typer.Option(metavar="N", help="For a network N times as narrow.")] = 1,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of resnet50: keras or torchvision; of vit_*: augreg or deit.")
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="What the network's names begin with in FILE.")] = "",
) -> None:
    """Write FILE's tensors as Keras weights for a backbone, which `model.*.weights` takes in a configuration."""
    if not out.name.endswith(".weights.h5"):
        raise ConfigError(f"--out {out}: expected a name that ends in .weights.h5")
    _check_file(file)
    check_output(out)
    load_tensorflow()
    from kreid import weights as files
    from kreid.models import build_backbone
    from kreid.models.files import remedy

    build = partial(build_backbone, to, width_divisor=width_divisor)
    backbone = build(variant=variant) if variant else build()
    try:
        report = files.convert(file, backbone, out, prefix=prefix)
    except ValueError as error:
        raise ValueError(f"{error}{remedy(backbone, file)}") from None
    note(f"{file}: {files.identify(file) or 'not one of the known files'}")
    note(f"{file}: {report}")
    finish(out)


@app.command("run")
def make_run(
    config: ConfigFile,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder to make.", parser=parse_path)],
    set_: Overrides = None,
) -> None:
    """Make a run folder of CONFIG's network with the weights that CONFIG names, untrained: to score published ones."""
    from kreid import runs
    from kreid.config.loading import dump, load_config
    from kreid.config.network import OneStream

    checked = load_config(config, set_ or [])
    model = checked.model
    if model.appearance.weights is None and (isinstance(model, OneStream) or model.part.weights is None):
        raise ConfigError(f"{config}: names no weights; give some, as --set model.appearance.weights=FILE")
    if model.appearance.cameras and model.appearance.camera_names is None:
        raise ConfigError(
            f"{config}: names none of its {model.appearance.cameras} cameras; give model.appearance.camera_names, in "
            "the order of the vectors in the file, such as [c1, c2, c3, c4, c5, c6] of Market-1501"
        )
    runs.check_new(out)
    check_folder(out)
    load_tensorflow()
    from kreid.files.atomic import atomic_path
    from kreid.models.embedders import build_model
    from kreid.models.hub import recorded

    with logged():
        network = build_model(model)
        checked = checked.model_copy(update={"model": recorded(model)})
    with runs.hold(out):
        runs.check_new(out)
        with atomic_path(out / runs.CONFIG) as path:
            path.write_text(dump(checked), encoding="utf-8")
        runs.write_weights(network, out)
    finish(out)


def _check_file(file: Path) -> None:
    if not file.is_file():
        raise ConfigError(f"{file}: {'a folder, expected a file' if file.is_dir() else 'no such file'}")


def main() -> None:
    """Run the command."""
    run(app)
