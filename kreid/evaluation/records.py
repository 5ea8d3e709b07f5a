"""From networks, records and the `evaluation` settings to a ranking, for `kreid-evaluate` and `kreid-rank` alike."""

from collections.abc import Sequence
from pathlib import Path

import keras

from kreid.config.sections import PLAIN, Evaluation
from kreid.embedding.extract import Embedded, embed_each
from kreid.errors import ConfigError
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import rank
from kreid.ranking.reranking import combine, expand_queries, rerank
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
        settings: the `evaluation` section of a configuration.
        metric: "euclidean" or "cosine"; see `kreid.ranking.rank`.
        join: how several models' embeddings become one, "concat" or "mean"; see `kreid.ranking.combine`.
        progress: called with the images done and their total, for each model.

    Raises:
        ValueError: what is asked for does not fit the models or the records.

    Example:
        >>> rank_records([load_model("runs/a"), load_model("runs/b")], "records/test", config.evaluation)
    """
    check_widths(models, join)
    members = [embed_each(model, records, [settings], progress=progress) for model in models]
    return ranked(joined([member[0] for member in members], join).embeddings, settings, metric)


def ranked(embeddings: Embeddings, settings: Evaluation, metric: str = "euclidean") -> Ranking:
    """Rank embeddings with the settings that come after the network: query expansion, then re-ranking."""
    if settings.expand:
        embeddings = expand_queries(embeddings, settings.expand)
    if settings.rerank:
        options = settings.rerank
        return rerank(embeddings, options.k1, options.k2, options.weight, metric)
    return rank(embeddings, metric)


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
