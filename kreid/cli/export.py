"""kreid-export: from a run to a SavedModel."""

from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import RunFolder, check_run, load_tensorflow
from kreid.files.trial import check_folder
from tfrecords_tools.console.command import finish, make_app, parse_path, run

app = make_app()


@app.command()
def export(
    run_folder: RunFolder,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of versions; RUN/serving by default.", parser=parse_path)
    ] = None,
) -> None:
    """Write a SavedModel for TensorFlow Serving into the next version of --out: RUN/serving/1 at first.

    Signatures: "encoded" (image_bytes: PNG or JPEG files) and "pixels" (image: RGB 0-255), output "embedding".
    """
    check_run(run_folder)
    from kreid.serving.versions import check_versions

    versions = check_versions(out or run_folder / "serving")
    check_folder(versions)
    load_tensorflow()
    from kreid.runs.folder import load_model
    from kreid.serving.export import export as export_model

    finish(export_model(load_model(run_folder), versions))


def main() -> None:
    """Run the command."""
    run(app)
