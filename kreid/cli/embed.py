"""kreid-embed: from images to vectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kreid.cli.common import RunFolder, check_run, load_tensorflow
from kreid.cli.sources import crop_source
from kreid.cli.switches import Flip, search_settings
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from tfrecords_tools.console.command import finish, make_app, parse_path, run

if TYPE_CHECKING:
    import numpy as np

    from kreid.config.sections import Evaluation

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
    flip: Flip = None,
) -> None:
    """Embed image files (arrays: vectors, path) or a folder of records (vectors, person, action, bbox, is_query).

    The arrays `network`, a digest of RUN's weights and model, and `flip` say what made the vectors: kreid-search
    refuses those of another network.
    """
    check_run(run_folder)
    if out.suffix != ".npz":
        raise ConfigError(f"--out {out}: expected a name that ends in .npz")
    check_output(out)
    source = crop_source("IMAGES", images, embeddings=False)
    if endpoint is not None and isinstance(source, Path):
        raise ConfigError("--endpoint takes images, not a folder of records")
    if endpoint is not None and flip:
        raise ConfigError("--flip: a server embeds images as they are; leave out --flip or --endpoint")
    from kreid.files.atomic import atomic_file
    from tfrecords_tools.arrays import write_arrays

    if isinstance(source, Path) or endpoint is None:
        arrays = _locally(run_folder, source, search_settings(flip))
    else:
        arrays = _remotely(endpoint, source)
    with atomic_file(out) as file:
        write_arrays(file, arrays)
    finish(out)


def _remotely(endpoint: str, files: list[Path]) -> "dict[str, np.ndarray]":
    import numpy as np

    from kreid.serving.client import embed_remotely

    return {"vectors": embed_remotely(endpoint, files), "path": np.array([str(path) for path in files])}


def _locally(run_folder: Path, source: list[Path] | Path, settings: "Evaluation") -> "dict[str, np.ndarray]":
    load_tensorflow()
    import numpy as np

    from kreid.embedding.extract import embed as embed_records
    from kreid.embedding.extract import embed_files
    from kreid.runs.folder import load_model, network_digest
    from tfrecords_tools.console.progress import counted

    # Before it is loaded: should a training replace it meanwhile, the vectors count as those of a network gone by.
    made = {"network": np.array(network_digest(run_folder)), "flip": np.array(bool(settings.flip))}
    model = load_model(run_folder)
    with counted("embedding") as progress:
        if isinstance(source, Path):
            embeddings = embed_records(model, source, progress=progress, settings=settings)
            names = ("vectors", "person", "action", "bbox", "is_query")
            return {name: getattr(embeddings, name) for name in names} | made
        vectors = embed_files(model, source, progress=progress, settings=settings)
    return {"vectors": vectors, "path": np.array([str(path) for path in source])} | made


def main() -> None:
    """Run the command."""
    run(app)
