"""kreid-embed: from images to vectors."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kreid.cli.common import Counter, check_run
from tfrecords_tools.console import UsageError, finish, make_app, run

app = make_app()


@app.command()
def embed(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that kreid-train wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or one folder of records.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")],
    endpoint: Annotated[
        str | None,
        typer.Option(help="Ask TensorFlow Serving at http://HOST:8501/v1/models/NAME instead."),
    ] = None,
) -> None:
    """Embed image files (arrays: vectors, path) or a folder of records (vectors, person, action, bbox, is_query)."""
    check_run(run_folder)
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: expected a name that ends in .npz")
    missing = [path for path in images if not path.exists()]
    if missing:
        raise UsageError(f"{missing[0]}: no such file or folder")
    records = images[0] if images[0].is_dir() else None
    if len(images) > 1 and any(path.is_dir() for path in images):
        raise UsageError("expected image files, or one folder of records; received both or several folders")
    if records and endpoint:
        raise UsageError("--endpoint takes image files, not a folder of records")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np

    from kreid.atomic import atomic_file

    if endpoint:
        from kreid.serving import embed_remotely

        arrays = {"vectors": embed_remotely(endpoint, images), "path": np.array([str(path) for path in images])}
    else:
        arrays = _locally(run_folder, images, records)
    with atomic_file(out) as file:
        np.savez(file, **arrays)
    finish(out)


def _locally(run_folder: Path, images: list[Path], records: Path | None) -> dict:
    import numpy as np

    from kreid.embedding import embed as embed_records
    from kreid.embedding import embed_files
    from kreid.runs import load_model

    model = load_model(run_folder)
    if records:
        embeddings = embed_records(model, records, progress=Counter("embedding"))
        return {name: getattr(embeddings, name) for name in ("vectors", "person", "action", "bbox", "is_query")}
    vectors = embed_files(model, images, progress=Counter("embedding"))
    return {"vectors": vectors, "path": np.array([str(path) for path in images])}


def main() -> None:
    """Run the command."""
    run(app)
