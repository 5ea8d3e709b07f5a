"""Scores during training: mAP and rank-1 on the valid split, or on its first actions."""

from pathlib import Path

import keras
import numpy as np

from kreid.embedding import embed
from kreid.ranking import Embeddings, evaluate, rank


def validate(model: keras.Model, records: str | Path, actions: int | None = None) -> dict[str, float]:
    """Score a model on a record folder by the action-restricted protocol.

    Args:
        model: a model with an `embedding` output.
        records: the valid split's folder.
        actions: only the first so many actions; all by default.

    Returns:
        `valid_mAP`, `valid_rank1`, as fractions, and `valid_spread`, the standard deviation of all ranked distances
        over their mean: near 0 the embedding has collapsed to one point.
    """
    embeddings = embed(model, records)
    if actions is not None:
        kept = np.isin(embeddings.action, np.unique(embeddings.action)[:actions])
        fields = ("vectors", "person", "action", "bbox", "is_query")
        embeddings = Embeddings(**{name: getattr(embeddings, name)[kept] for name in fields})
    ranking = rank(embeddings)
    metrics = evaluate(ranking)
    spread = float(np.std(ranking.distance) / max(float(np.mean(ranking.distance)), 1e-12))
    return {"valid_mAP": metrics["mAP"], "valid_rank1": metrics["rank1"], "valid_spread": spread}
