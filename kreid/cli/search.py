"""kreid-search: from a run and any crops to the nearest of them."""

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from kreid.cli import switches
from kreid.cli.cameras import check_alone, check_records
from kreid.cli.common import Metric, RunFolder, check_run, load_tensorflow, run_network, warn_of_another_network
from kreid.errors import ConfigError
from kreid.files.trial import check_output
from kreid.search.sources import crop_source
from tfrecords_tools.console.command import finish, make_app, note, parse_path, parse_place, run, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

    from kreid.config.sections import Evaluation
    from kreid.search.crops import Crops
    from kreid.search.nearest import Find

app = make_app()
_LARGE = 1e9  # bytes of vectors whose checksums take a second or more


class Backend(StrEnum):
    """What computes the distances of a search."""

    numpy = "numpy"
    faiss = "faiss"


class SeveralValues(TyperCommand):
    """A command whose --gallery and --query take several values each, as a shell writes them for crops/*.png."""

    # Typer passes its own context, but says so of the base class alone, which newer versions keep to themselves.
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
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


@app.command(cls=SeveralValues)
def search(
    run_folder: RunFolder,
    gallery: Annotated[
        list[Path],
        typer.Option(
            metavar="CROPS...",
            help="Look among these: PNG or JPEG files, folders of them, a folder of records, or a .npz of kreid-embed.",
            parser=parse_place,
        ),
    ],
    query: Annotated[
        list[Path], typer.Option(metavar="CROPS...", help="Look for these, likewise.", parser=parse_place)
    ],
    top: Annotated[int, typer.Option(metavar="K", min=1, help="How many to find for a query.")] = 10,
    metric: Annotated[Metric, typer.Option(help="Distance between embeddings.")] = Metric.euclidean,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What to write; .html (a page), .json or .csv.",
            show_default="RUN/search.html",
            parser=parse_path,
        ),
    ] = None,
    backend: Annotated[Backend, typer.Option(help="What computes; faiss needs faiss-cpu.")] = Backend.numpy,
    flip: switches.Flip = None,
    rerank: switches.Rerank = None,
    k1: switches.K1 = None,
    k2: switches.K2 = None,
    weight: switches.Weight = None,
) -> None:
    """Find, for each query, the nearest crops of a gallery, whatever actions they are of.

    Embed a large gallery once by kreid-embed: its .npz is searched without reading it into memory, up to millions of
    crops. A query that is a crop of the gallery too is left out of its own results.
    """
    check_run(run_folder)
    settings = switches.search_settings(flip, rerank, k1, k2, weight)
    search_crops(run_folder, gallery, query, top, metric, out, backend, settings)


def search_crops(
    run_folder: Path,
    gallery: list[Path],
    query: list[Path],
    top: int,
    metric: Metric,
    out: Path | None,
    backend: Backend,
    settings: "Evaluation",
) -> None:
    """Find the nearest crops of `gallery` for each of `query`, and write them to `out`."""
    from kreid.search.files import check_ending, write_results
    from kreid.search.nearest import without_themselves
    from kreid.search.results import Results

    out = out or run_folder / "search.html"
    check_ending(out)
    check_output(out)
    sources = [crop_source("--query", query), crop_source("--gallery", gallery)]
    if backend == Backend.faiss and importlib.util.find_spec("faiss") is None:
        raise ConfigError(
            "--backend faiss: the package faiss-cpu is not installed; pip install faiss-cpu, or leave it out"
        )
    embedded = [source for source in sources if isinstance(source, list) or source.is_dir()]
    _check_settings(settings, sources, embedded, backend)
    for option, source in zip(("--query", "--gallery"), sources, strict=True):
        if isinstance(source, list):
            check_alone(run_folder, option)
        elif source.is_dir():
            check_records([run_folder], source)
    model, network = None, run_network(run_folder)  # before it is loaded, as in kreid-embed
    if embedded:
        load_tensorflow()
        from kreid.runs.folder import load_model

        model = load_model(run_folder)
    queries, crops = (
        _open(source, role, model, settings) for source, role in zip(sources, ("query", "gallery"), strict=True)
    )
    _check_widths(queries.vectors.shape[1], crops.vectors.shape[1])
    _check_lengths(queries, crops, metric)
    for option, file in (("--query", queries), ("--gallery", crops)):
        _check_made(option, file, {"network": network, "flip": bool(settings.flip)} if embedded else queries.made)
        if not embedded:
            warn_of_another_network(file.made, network, run_folder, option)
    found, left_out = without_themselves(_search(queries, crops, metric, backend, settings), queries, crops, top)
    if left_out:
        note(f"left out of their own results: {left_out:,} of {len(queries):,} queries, as crops of the gallery too")
    title = f"{run_folder.resolve().name}, search"
    shown = f"{metric}, re-ranked" if settings.rerank else str(metric)
    finish(write_results(Results(title, queries, crops, found, shown, left_out), out))


def _check_settings(
    settings: "Evaluation", sources: "list[list[Path] | Path]", embedded: "list[list[Path] | Path]", backend: Backend
) -> None:
    """Complain before the network works about what cannot be done."""
    from kreid.search.nearest import check_rerankable

    if settings.flip and not embedded:
        raise ConfigError("--flip: both sides are files of embeddings, so nothing is embedded; leave it out")
    if settings.rerank:
        if backend == Backend.faiss:
            raise ConfigError(
                "--backend faiss: has no part in --rerank, which compares all crops; leave one of them out"
            )
        check_rerankable(sum(len(source) for source in sources if isinstance(source, list)))


def _search(queries: "Crops", gallery: "Crops", metric: Metric, backend: Backend, settings: "Evaluation") -> "Find":
    """Return the search asked for, from how many to find to what was found."""
    from kreid.ranking import neighbours
    from kreid.search.nearest import reranked
    from tfrecords_tools.console.progress import counted

    if settings.rerank:
        return reranked(queries, gallery, metric, **settings.rerank.model_dump())

    def find(k: int) -> neighbours.Found:
        with counted("searching", "crops") as progress:
            return neighbours.search(queries.vectors, gallery.vectors, k, metric, backend=backend, progress=progress)

    return find


def _open(source: list[Path] | Path, role: str, model: "keras.Model | None", settings: "Evaluation") -> "Crops":
    from kreid.search import crops
    from tfrecords_tools.console.progress import counted

    if isinstance(source, Path) and not source.is_dir():
        if source.suffix == ".npz" and (size := source.stat().st_size) > _LARGE:
            note(f"checking {size / 1e9:.1f} GB of {source}")
        return crops.crops_of_embeddings(source, role == "query")
    with counted(f"embedding {role}") as progress:
        if isinstance(source, list):
            return crops.crops_of_files(model, source, progress, settings)
        return crops.crops_of_records(model, source, role == "query", progress, settings)


def _check_widths(queries: int, gallery: int) -> None:
    if queries != gallery:
        raise ValueError(
            f"--query has embeddings of {queries} numbers, --gallery of {gallery}; embed both with the same run"
        )


def _check_lengths(queries: "Crops", gallery: "Crops", metric: Metric) -> None:
    """Complain where one side alone is vectors of length one, and say so where neither is; a cosine has no lengths."""
    from kreid.search.nearest import has_unit_length

    strange = [] if metric == Metric.cosine else [crops for crops in (queries, gallery) if not has_unit_length(crops)]
    options = " and ".join("--query" if crops is queries else "--gallery" for crops in strange)
    if len(strange) == 1:
        raise ValueError(
            f"{options}: its vectors are not of length one, as the other side's are: by {metric} the distances would "
            "say nothing; embed both by kreid-embed, or compare directions by --metric cosine"
        )
    if strange:
        warn(f"{options}: vectors that are not of length one, which count in {metric} distances; see --metric cosine")


def _check_made(option: str, crops: "Crops", expected: "Mapping[str, str | bool | None]") -> None:
    """Complain of a file of embeddings that cannot be compared with the other side, as far as both tell."""
    differ = [name for name in ("network", "flip") if crops.made.get(name, expected.get(name)) != expected.get(name)]
    if "network" in differ and expected.get("network"):
        raise ValueError(
            f"{option} is of another network than the other side: its distances would say nothing; embed both by "
            "kreid-embed with the run as it is now"
        )
    if "flip" in differ and "flip" in expected:
        with_it = "with" if crops.made["flip"] else "without"
        warn(f"{option} was embedded {with_it} --flip, unlike the other side; embed both alike")


def main() -> None:
    """Run the command."""
    run(app)
