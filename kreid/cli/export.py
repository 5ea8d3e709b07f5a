"""kreid-export: from a run to a SavedModel."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import check_run
from tfrecords_tools.console import finish, make_app, run

app = make_app()


@app.command()
def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that kreid-train wrote.")],
    out: Annotated[Path | None, typer.Option(help="Folder of versions; RUN/serving by default.")] = None,
) -> None:
    """Write a SavedModel for TensorFlow Serving into the next version of --out: RUN/serving/1 at first.

    Signatures: "encoded" (image_bytes: PNG or JPEG files) and "pixels" (image: RGB 0-255), output "embedding".
    """
    check_run(run_folder)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from kreid.export import export as export_model
    from kreid.runs import load_model

    finish(export_model(load_model(run_folder), out or run_folder / "serving"))


def main() -> None:
    """Run the command."""
    run(app)
