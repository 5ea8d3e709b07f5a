"""The second way of kreid-rank: a search among crops of any action. Its options, and what they do together."""

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kreid.cli.common import load_tensorflow
from kreid.cli.sources import crop_source
from kreid.errors import ConfigError
from tfrecords_tools.console.command import finish, parse_path


class Backend(StrEnum):
    """What computes the distances of a search."""

    numpy = "numpy"
    faiss = "faiss"


_SOURCES = "PNG or JPEG files, folders of them, a folder of records, or a .npz of kreid-embed."
Gallery = Annotated[
    list[Path] | None,
    typer.Option("--gallery", metavar="CROPS...", help=f"Search: look here; {_SOURCES}", parser=parse_path),
]
Query = Annotated[
    list[Path] | None,
    typer.Option("--query", metavar="CROPS...", help="Search: for these, likewise.", parser=parse_path),
]
Top = Annotated[int, typer.Option("--top", metavar="K", min=1, help="Search: how many to find for a query.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Search: what to write; .html (a page), .json or .csv.",
        show_default="RUN/search.html",
        parser=parse_path,
    ),
]
BackendOption = Annotated[Backend, typer.Option("--backend", help="Search: what computes; faiss needs faiss-cpu.")]

_ONLY_SEARCH = ("gallery", "query", "top", "out", "backend")
_BOTH = ("run_folder", "metric", "help")


class SeveralValues(TyperCommand):
    """A command whose --gallery and --query take several values each, as a shell writes them for crops/*.png."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its values."""
        repeated, option, again = [], None, False
        for arg in args:
            if arg.startswith("-") and arg != "-":
                option, again = arg if arg in ("--gallery", "--query") else None, False
                repeated.append(arg)
            else:
                repeated += [option, arg] if option and again else [arg]
                again = True
        return super().parse_args(ctx, repeated)


def wanted(context: typer.Context) -> bool:
    """Return whether a search is asked for, not a split's ranking; complain about options of the other one."""
    given = {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if getattr(context.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
    }
    search = bool({"gallery", "query"} & given.keys())
    for name, option in given.items():
        if search and name not in (*_ONLY_SEARCH, *_BOTH):
            raise ConfigError(f"{option}: is for a split, not for a search; leave it out, or --gallery and --query")
        if not search and name in _ONLY_SEARCH:
            raise ConfigError(f"{option}: belongs to a search; give --gallery and --query, or leave it out")
    if search and not {"gallery", "query"} <= given.keys():
        missing = "--query" if "gallery" in given else "--gallery"
        raise ConfigError(f"{missing}: missing; a search takes --gallery CROPS... and --query CROPS...")
    return search


def search_crops(
    run_folder: Path,
    gallery: list[Path],
    query: list[Path],
    metric: str,
    top: int,
    out: Path | None,
    backend: Backend,
) -> None:
    """Find the nearest crops of `gallery` for each of `query`, and write them to `out`."""
    from kreid.ranking.neighbours import search
    from kreid.search.files import check_ending, write_results
    from kreid.search.results import Results
    from tfrecords_tools.console.progress import counted

    out = out or run_folder / "search.html"
    check_ending(out)
    sources = [crop_source("--query", query), crop_source("--gallery", gallery)]
    if backend == Backend.faiss and importlib.util.find_spec("faiss") is None:
        raise ConfigError(
            "--backend faiss: the package faiss-cpu is not installed; pip install faiss-cpu, or leave it out"
        )
    model = None
    if any(isinstance(source, list) or source.is_dir() for source in sources):
        load_tensorflow()
        from kreid.runs.folder import load_model

        model = load_model(run_folder)
    queries, crops = (_open(source, role, model) for source, role in zip(sources, ("query", "gallery"), strict=True))
    _check_widths(queries.vectors.shape[1], crops.vectors.shape[1])
    with counted("searching", "crops") as progress:
        found = search(queries.vectors, crops.vectors, top, metric, backend=backend, progress=progress)
    title = f"{run_folder.resolve().name}, search"
    finish(write_results(Results(title, queries, crops, found, str(metric)), out))


def _open(source: list[Path] | Path, role: str, model: Any) -> Any:
    from kreid.search import crops as gallery
    from tfrecords_tools.console.progress import counted

    if isinstance(source, Path) and not source.is_dir():
        return gallery.crops_of_embeddings(source, role == "query")
    with counted(f"embedding {role}") as progress:
        if isinstance(source, list):
            return gallery.crops_of_files(model, source, progress)
        return gallery.crops_of_records(model, source, role == "query", progress)


def _check_widths(queries: int, gallery: int) -> None:
    if queries != gallery:
        raise ValueError(
            f"--query has embeddings of {queries} numbers, --gallery of {gallery}; embed both with the same run"
        )
