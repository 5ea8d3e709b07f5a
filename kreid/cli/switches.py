"""The switches of kreid-evaluate, kreid-rank and kreid-search for better rankings than the plain one."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kreid.cli.common import check_run
from kreid.errors import ConfigError
from tfrecords_tools.console.command import parse_path

if TYPE_CHECKING:
    from kreid.config.sections import Evaluation

Flip = Annotated[
    bool | None, typer.Option("--flip/--no-flip", help="Average the embeddings of an image and its mirror image.")
]
Crops = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=6, help="Average N crops: whole, centre, top, bottom, left, right."),
]
Concat = Annotated[
    bool | None, typer.Option("--concat/--no-concat", help="Rank by the embedding and all layer-wise heads together.")
]
Expand = Annotated[
    int | None, typer.Option(metavar="K", min=0, help="Move each query towards its K nearest gallery images.")
]
Rerank = Annotated[
    bool | None,
    typer.Option(
        "--rerank/--no-rerank", help="k-reciprocal re-ranking inside each action; in a search, among all crops."
    ),
]
K1 = Annotated[int | None, typer.Option("--k1", metavar="K", min=1, help="Of --rerank: neighbours that are near; 3.")]
K2 = Annotated[int | None, typer.Option("--k2", metavar="K", min=1, help="Of --rerank: neighbours averaged over; 2.")]
Weight = Annotated[
    float | None,
    typer.Option("--weight", metavar="W", min=0, max=1, help="Of --rerank: the original distance's share; 0.3."),
]


class ProtocolName(StrEnum):
    """Which gallery images a query is held against."""

    action = "action"
    cross_camera = "cross_camera"


Protocol = Annotated[
    ProtocolName | None,
    typer.Option(
        "--protocol",
        help="Hold each query against the gallery of its action, or, as Market-1501 does, against it without its own "
        "person's images from its own camera. Default: what the records say.",
    ),
]
With = Annotated[
    list[Path] | None,
    typer.Option(
        "--with", metavar="RUN", help="Another run, joined to an ensemble; can be repeated.", parser=parse_path
    ),
]


class Join(StrEnum):
    """How the embeddings of several runs become one."""

    concat = "concat"
    mean = "mean"


JoinBy = Annotated[
    Join, typer.Option("--join", help="How --with joins: side by side, or averaged (of one network's checkpoints).")
]


def search_settings(
    flip: bool | None,
    rerank: bool | None = None,
    k1: int | None = None,
    k2: int | None = None,
    weight: float | None = None,
) -> "Evaluation":
    """Return what the switches of kreid-search and kreid-embed ask for; a run's configuration has no say."""
    from kreid.config.sections import Evaluation

    return Evaluation.model_validate({"flip": bool(flip), "rerank": _rerank(None, rerank, k1, k2, weight)})


def protocol_settings(run: Path, protocol: ProtocolName | None) -> "Evaluation":
    """Return what a run's configuration asks for, with the protocol of --protocol where it is there."""
    from kreid.config.sections import Evaluation
    from kreid.runs.folder import load_config_of

    settings = load_config_of(run).evaluation
    return Evaluation.model_validate(settings.model_dump() | {"protocol": protocol.value}) if protocol else settings


def check_settings(
    runs: Sequence[Path],
    flip: bool | None,
    crops: int | None,
    concat: bool | None,
    expand: int | None,
    rerank: bool | None,
    k1: int | None,
    k2: int | None,
    weight: float | None,
    protocol: ProtocolName | None = None,
) -> "Evaluation":
    """Return what the first run's configuration and the switches, which win, ask for; complain if a run cannot do it.

    Args:
        runs: run folders.
        flip: of --flip and so on; None where the switch is not there.
    """
    from kreid.config.sections import Evaluation
    from kreid.runs.folder import load_config_of

    for number, run in enumerate(runs):
        check_run(run)
        if run.resolve() in (other.resolve() for other in runs[:number]):
            raise ConfigError(f"--with {run}: given already; join different runs")
    configs = [load_config_of(run) for run in runs]
    embedding = None if concat is None else "concat" if concat else "final"
    switches = {"flip": flip, "crops": crops, "embedding": embedding, "expand": expand}
    tree = configs[0].evaluation.model_dump() | {key: value for key, value in switches.items() if value is not None}
    tree["rerank"] = _rerank(tree["rerank"], rerank, k1, k2, weight)
    tree["protocol"] = protocol.value if protocol else tree["protocol"]
    settings = Evaluation.model_validate(tree)
    for run, config in zip(runs, configs, strict=True):
        if settings.embedding == "concat" and not config.model.heads.layers:
            raise ConfigError(
                f"{run}: has no layer-wise heads to join (model.heads.layers is empty); "
                "leave out --concat, or evaluation.embedding of its configuration"
            )
    return settings


def _rerank(
    before: dict[str, Any] | None, rerank: bool | None, k1: int | None, k2: int | None, weight: float | None
) -> dict[str, Any] | None:
    """Return the key `rerank` of the settings: what a configuration says, changed by the switches."""
    options = {key: value for key, value in {"k1": k1, "k2": k2, "weight": weight}.items() if value is not None}
    if rerank is False and options:
        raise ConfigError(f"--no-rerank: expected without --{next(iter(options))}, which is an option of --rerank")
    if rerank or options:
        return {**(before or {}), **options}
    return None if rerank is False else before
