"""kreid-embed: from images to vectors."""

from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import Counter, RunFolder, check_run, load_tensorflow
from kreid.cli.sources import image_files
from tfrecords_tools.console import UsageError, arguments, finish, make_app, parse_path, run

app = make_app()


@app.command()
def embed(
    run_folder: RunFolder,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES", help="PNG or JPEG files, folders of them, or one folder of records.", parser=parse_path
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .npz to write.", parser=parse_path)],
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask TensorFlow Serving at http://HOST:8501/v1/models/NAME instead."),
    ] = None,
) -> None:
    """Embed image files (arrays: vectors, path) or a folder of records (vectors, person, action, bbox, is_query)."""
    check_run(run_folder)
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: expected a name that ends in .npz")
    records = images[0] if len(images) == 1 and (images[0] / "index.npz").is_file() else None
    if records and endpoint:
        raise UsageError("--endpoint takes images, not a folder of records")
    with arguments():
        files = [] if records else image_files(images)
    load_tensorflow()
    import numpy as np

    from kreid.atomic import atomic_file

    if endpoint:
        from kreid.serving import embed_remotely

        arrays = {"vectors": embed_remotely(endpoint, files), "path": np.array([str(path) for path in files])}
    else:
        arrays = _locally(run_folder, files, records)
    with atomic_file(out) as file:
        np.savez(file, **arrays)
    finish(out)


def _locally(run_folder: Path, files: list[Path], records: Path | None) -> dict:
    import numpy as np

    from kreid.embedding import embed as embed_records
    from kreid.embedding import embed_files
    from kreid.runs import load_model

    model = load_model(run_folder)
    if records:
        embeddings = embed_records(model, records, progress=Counter("embedding"))
        return {name: getattr(embeddings, name) for name in ("vectors", "person", "action", "bbox", "is_query")}
    vectors = embed_files(model, files, progress=Counter("embedding"))
    return {"vectors": vectors, "path": np.array([str(path) for path in files])}


def main() -> None:
    """Run the command."""
    run(app)
