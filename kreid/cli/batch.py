"""kreid-batch: look at a training batch, and say what it costs."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli.common import ConfigFile, Overrides, load_tensorflow
from kreid.cli.sources import check_data
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, note, parse_path, parse_place, run

if TYPE_CHECKING:
    from kreid.config.sections import Config

app = make_app()


@app.command()
def batch(
    config: ConfigFile,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What kreid-convert wrote; not with --cost.", parser=parse_place)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The .png to write; not with --cost.", parser=parse_path)
    ] = None,
    epoch: Annotated[int, typer.Option(metavar="N", min=1, help="The epoch to look at.")] = 1,
    step: Annotated[int, typer.Option(metavar="N", min=1, help="The batch of the epoch.")] = 1,
    cost: Annotated[
        bool, typer.Option("--cost", help="Print parameters, multiplications and memory of a step; draw nothing.")
    ] = False,
    set_: Overrides = None,
) -> None:
    """Draw the images that kreid-train CONFIG gets at one step, augmented, by action and person, or say what it costs.

    Border: a colour a person for people with two or more images in the batch (each an anchor, the others its
    positives), grey for people with one (negatives only).
    """
    from kreid.config.loading import load_config

    checked = load_config(config, set_ or [])
    if cost:
        if data or out:
            raise ConfigError("--cost: draws nothing and needs no records; leave --data and --out out")
        _print_cost(checked)
        return
    if data is None or out is None:
        raise ConfigError("expected --data and --out for a picture, or --cost for figures")
    if out.suffix != ".png":
        raise ConfigError(f"--out {out}: expected a name that ends in .png")
    check_data(data)
    check_output(out)
    load_tensorflow()
    from kreid.files.atomic import atomic_path
    from kreid.pictures.batch import contact_sheet, draw_batch, settings

    drawn = draw_batch(checked, data, epoch, step)
    lines = [f"{config}, epoch {epoch}, step {step}", settings(checked.data)]
    sheet = contact_sheet(drawn, lines, checked.loss.same_action)
    with atomic_path(out) as temporary:
        sheet.save(temporary)
    finish(out)


def _print_cost(config: "Config") -> None:
    load_tensorflow()
    from kreid.models.cost import cost
    from kreid.models.embedders import build_model
    from kreid.models.memory import training_memory
    from tfrecords_tools.tables import aligned

    model = build_model(config.model, pretrained=False)
    batch = config.data.persons * config.data.views
    counted, memory = cost(model), training_memory(model, config.train, batch)
    sizes = {"weights": memory.weights, "gradients": memory.gradients, "optimiser": memory.optimizer}
    sizes |= {f"activations of {batch:,} images": memory.activations, "together": memory.total}
    known = not math.isnan(counted.gmacs)
    if not known:
        note("layers of KerasHub's own keep from us what they compute inside: memory is more than the figures below")
    print(
        aligned(
            [
                ["parameters", f"{counted.parameters / 1e6:.2f} M"],
                ["multiplications of an image, forward", f"{counted.gmacs:.2f} G" if known else "not known"],
                ["embedding", f"{counted.embedding_size:,} numbers"],
                *([f"memory of a step: {name}", f"{size / 1e9:.2f} GB"] for name, size in sizes.items()),
            ],
            right=[1],
        )
    )


def main() -> None:
    """Run the command."""
    run(app)
