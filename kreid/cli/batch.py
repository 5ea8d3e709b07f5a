"""kreid-batch: look at a training batch."""

from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import ConfigFile, DataFolder, Overrides, load_tensorflow
from kreid.cli.sources import check_data
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, parse_path, run

app = make_app()


@app.command()
def batch(
    config: ConfigFile,
    data: DataFolder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .png to write.", parser=parse_path)],
    epoch: Annotated[int, typer.Option(metavar="N", min=1, help="The epoch to look at.")] = 1,
    step: Annotated[int, typer.Option(metavar="N", min=1, help="The batch of the epoch.")] = 1,
    set_: Overrides = None,
) -> None:
    """Draw the images that kreid-train CONFIG gets at one step, augmented, by action and person.

    Border: a colour a person for people with two or more images in the batch (each an anchor, the others its
    positives), grey for people with one (negatives only).
    """
    from kreid.config.loading import load_config

    checked = load_config(config, set_ or [])
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


def main() -> None:
    """Run the command."""
    run(app)
