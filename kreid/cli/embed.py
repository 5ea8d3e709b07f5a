"""kreid-embed: from images to vectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kreid.cli.cameras import check_alone, check_records
from kreid.cli.common import check_run, load_tensorflow, logged
from kreid.cli.switches import Flip, search_settings
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from kreid.search.sources import crop_source
from tfrecords_tools.addresses import is_address
from tfrecords_tools.console.command import finish, make_app, note, parse_place, run
from tfrecords_tools.console.runner import (
    Runner,
    RunnerCommand,
    RunnerOptions,
    check_addresses,
    load_pipelines,
)

if TYPE_CHECKING:
    import numpy as np

    from kreid.config.sections import Evaluation
    from kreid.serving.journal import Journal

app = make_app()


@app.command(cls=RunnerCommand)
def embed(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder that kreid-train wrote.", parser=parse_place)
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES", help="PNG or JPEG files, folders of them, or one folder of records.", parser=parse_place
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The .npz or .parquet to write; with --runner a folder.", parser=parse_place),
    ],
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            "--endpoint",
            metavar="URL",
            help="Ask TensorFlow Serving at http://HOST:8501/v1/models/NAME or grpc://HOST:8500/... instead.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what the server had answered when the last call ended.")
    ] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Images a request to the server; 32 by default.")] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, max=64, help="Requests under way at the same time; 4 by default.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds that a request may take; 60 by default.")
    ] = None,
    patience: Annotated[
        float | None, typer.Option(min=0, help="Seconds for which a failed request is sent again; 300 by default.")
    ] = None,
    flip: Flip = None,
    runner: Runner = None,
    runner_option: RunnerOptions = None,
) -> None:
    """Embed image files (arrays: vectors, path) or a folder of records (vectors, person, action, bbox, is_query).

    The arrays `network`, a digest of RUN's weights and model, and `flip` say what made the vectors: kreid-search
    refuses those of another network.

    A server is asked until it answers. What it has answered is kept in FILE.journal, so that a call that fails or is
    interrupted loses nothing: give --resume.

    With --runner, FILE is a folder for Parquet files, a file for each file of records or 10,000 images, and RUN, IMAGES
    and FILE may be addresses: kreid-embed gs://b/run gs://b/crops --out gs://b/vectors --runner NAME -- OPTIONS
    """
    check_addresses(runner, runner_option, **{"RUN": run_folder, "--out": out})
    if runner is not None:
        if server is not None:
            raise ConfigError("--server: is asked without --runner")
        _by_runner(run_folder, images, out, search_settings(flip), load_pipelines(runner, runner_option))
        return
    check_run(run_folder)
    from kreid.embedding.vector_files import check_suffix, write_vectors

    check_suffix("--out", out)
    check_output(out)
    source = crop_source("IMAGES", images, embeddings=False)
    if isinstance(source, Path):
        check_records([run_folder], source)
    elif server is None:  # an exported network never asks for cameras
        check_alone(run_folder, "IMAGES")
    options = {"batch_size": batch, "at_once": requests, "timeout": timeout, "patience": patience}
    asked = {name: value for name, value in options.items() if value is not None}
    if server is None and (asked or resume):
        raise ConfigError("--resume, --batch, --requests, --timeout, --patience: of a server alone; give --server")
    if server is not None and isinstance(source, Path):
        raise ConfigError("--server takes images, not a folder of records")
    if server is not None and flip:
        raise ConfigError("--flip: a server embeds images as they are; leave out --flip or --server")
    if isinstance(source, Path) or server is None:
        write_vectors(out, _locally(run_folder, source, search_settings(flip)))
    else:
        from kreid.serving.client import check_server
        from kreid.serving.journal import Journal

        with logged(once=True):
            journal = Journal(out.with_name(f"{out.name}.journal"), check_server(server), resume)
            write_vectors(out, _remotely(server, source, asked, journal))
        journal.remove()
    finish(out)


def _remotely(server: str, files: list[Path], asked: dict[str, Any], journal: "Journal") -> "dict[str, np.ndarray]":
    import numpy as np

    from kreid.serving.client import Settings, embed_remotely
    from tfrecords_tools.console.progress import counted

    try:
        with counted("embedding") as progress:
            vectors = embed_remotely(server, files, Settings(**asked), journal, progress)
    except BaseException:  # Ctrl-C too
        if journal.vectors:
            note(f"{journal.path}: {len(journal.vectors):,} vectors are kept; --resume goes on with them")
        raise
    return {"vectors": vectors, "path": np.array([str(path) for path in files])}


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
            return embed_records(model, source, progress=progress, settings=settings).arrays() | made
        vectors = embed_files(model, source, progress=progress, settings=settings)
    return {"vectors": vectors, "path": np.array([str(path) for path in source])} | made


def _by_runner(run_folder: Path, images: list[Path], out: Path, settings: "Evaluation", pipeline: Any) -> None:
    where = str(run_folder), str(images[0]), str(out)
    if not is_address(where[0]):
        check_run(run_folder)
        check_alone(run_folder, "--runner")
    if is_address(where[1]) and len(images) > 1:
        raise ConfigError(f"IMAGES {where[1]}: stands alone, without other crops; {len(images)} were given")
    load_tensorflow()
    from kreid.bulk.embed import check_out, check_run_address, sources_of
    from kreid.bulk.embed import embed as embed_by_pipeline

    check_run_address(where[0])
    check_out(where[2])
    if is_address(where[1]):
        sources, records = sources_of(where[1])
    else:
        source = crop_source("IMAGES", images, embeddings=False)
        records = isinstance(source, Path)
        sources = sources_of(str(source))[0] if isinstance(source, Path) else [str(path) for path in source]
    count = embed_by_pipeline(where[0], sources, where[2], pipeline, settings, records)
    note(f"{count:,} images embedded")
    finish(where[2])


def main() -> None:
    """Run the command."""
    run(app)
