"""From networks, records and the `evaluation` settings to rankings and figures: `kreid-evaluate` and `kreid-rank`."""

from collections.abc import Sequence
from pathlib import Path

import keras

from kreid.config.sections import PLAIN, Evaluation
from kreid.embedding.extract import Embedded, embed_each
from kreid.errors import ConfigError
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.figures import TIES, QueryFigures
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import figures_by_ties, rank
from kreid.ranking.reranking import combine, expand_queries, rerank
from kreid.ranking.verification import Curve, roc, roc_of_ranking
from kreid.types import Progress


def rank_records(
    models: Sequence[keras.Model],
    records: str | Path,
    settings: Evaluation = PLAIN,
    metric: str = "euclidean",
    join: str = "concat",
    progress: Progress | None = None,
) -> Ranking:
    """Rank a record folder as the settings ask.

    Args:
        models: one, or several that are joined into an ensemble.
        records: a split's folder.
        settings: the `evaluation` section of a configuration; where it names no protocol the records do.
        metric: "euclidean" or "cosine"; see `kreid.ranking.rank`.
        join: how several models' embeddings become one, "concat" or "mean"; see `kreid.ranking.combine`.
        progress: called with the images done and their total, for each model.

    Raises:
        ValueError: what is asked for does not fit the models or the records.

    Example:
        >>> rank_records([load_model("runs/a"), load_model("runs/b")], "records/test", config.evaluation)
    """
    embeddings = embed_records(models, records, settings, join, progress)
    return ranked(embeddings, settings, metric)


def embed_records(
    models: Sequence[keras.Model],
    records: str | Path,
    settings: Evaluation = PLAIN,
    join: str = "concat",
    progress: Progress | None = None,
) -> Embeddings:
    """Embed a record folder as the settings ask, by one model or an ensemble; arguments as in `rank_records`."""
    check_widths(models, join)
    members = [embed_each(model, records, [settings], progress=progress) for model in models]
    return joined([member[0] for member in members], join).embeddings


def ranked(
    embeddings: Embeddings,
    settings: Evaluation,
    metric: str = "euclidean",
    nearest: int | None = None,
) -> Ranking:
    """Rank embeddings with the settings that come after the network: query expansion, then re-ranking.

    Args:
        embeddings: the vectors and labels.
        settings: `expand`, `rerank` and `protocol` of them count.
        metric: see `kreid.ranking.rank`.
        nearest: how many images of each list to keep; all by default.
    """
    embeddings = _expanded(embeddings, settings)
    if settings.rerank:
        options = settings.rerank
        reranking = (options.k1, options.k2, options.weight)
        return rerank(embeddings, *reranking, metric, protocol=settings.protocol, nearest=nearest)
    return rank(embeddings, metric, settings.protocol, nearest)


def figures_by_settings(
    embeddings: Embeddings,
    settings: Evaluation,
    metric: str = "euclidean",
    ties: Sequence[str] = TIES,
) -> dict[str, QueryFigures]:
    """Return the figures of what `ranked` gives, for each way of breaking ties; without re-ranking no list is kept."""
    if settings.rerank:
        ranking = ranked(embeddings, settings, metric)
        return {how: QueryFigures.of(ranking, how) for how in ties}
    return figures_by_ties(_expanded(embeddings, settings), metric, settings.protocol, ties)


def curve_by_settings(embeddings: Embeddings, settings: Evaluation, metric: str = "euclidean") -> Curve:
    """Return what the distances by which `ranked` orders say of pairs; without re-ranking no list is kept."""
    if settings.rerank:
        return roc_of_ranking(ranked(embeddings, settings, metric))
    return roc(_expanded(embeddings, settings), metric, settings.protocol)


def _expanded(embeddings: Embeddings, settings: Evaluation) -> Embeddings:
    return expand_queries(embeddings, settings.expand) if settings.expand else embeddings


def joined(members: Sequence[Embedded], join: str) -> Embedded:
    """Join the embeddings of several models into one; their seconds add up."""
    if len(members) == 1:
        return members[0]
    embeddings = combine([member.embeddings for member in members], join)
    return Embedded(embeddings, sum(member.seconds for member in members))


def check_widths(models: Sequence[keras.Model], join: str) -> None:
    """Complain before the networks work about embeddings that cannot be averaged."""
    widths = [model.output["embedding"].shape[-1] for model in models]
    if join == "mean" and len(set(widths)) > 1:
        sizes = " and ".join(map(str, widths))
        raise ConfigError(f"join: embeddings of {sizes} numbers have no mean; join them by concat")
