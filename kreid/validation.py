"""Scores during training: mAP and rank-1 on the valid split, on its first actions, or on held-out training actions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kreid.embedding import embed
from kreid.ranking import Embeddings, Images, evaluate, rank


def validate(
    model: keras.Model, records: str | Path, actions: int | None = None, rows: Sequence[int] | None = None
) -> dict[str, float]:
    """Score a model on a record folder by the action-restricted protocol.

    Args:
        model: a model with an `embedding` output.
        records: the valid split's folder; the train split's with `rows`.
        actions: only the first so many actions; all by default.
        rows: positions of training images to score on, which have no queries: `first_views` chooses them.

    Returns:
        `valid_mAP`, `valid_rank1`, as fractions, and `valid_spread`, the standard deviation of all ranked distances
        over their mean: near 0 the embedding has collapsed to one point.
    """
    embeddings = embed(model, records, rows=rows)
    if rows is not None:
        embeddings = replace(embeddings, is_query=first_views(embeddings))
    if actions is not None:
        kept = np.isin(embeddings.action, np.unique(embeddings.action)[:actions])
        fields = ("vectors", "person", "action", "bbox", "is_query")
        embeddings = Embeddings(**{name: getattr(embeddings, name)[kept] for name in fields})
    ranking = rank(embeddings)
    metrics = evaluate(ranking)
    spread = float(np.std(ranking.distance) / max(float(np.mean(ranking.distance)), 1e-12))
    return {"valid_mAP": metrics["mAP"], "valid_rank1": metrics["rank1"], "valid_spread": spread}


def first_views(images: Embeddings | Images) -> np.ndarray:
    """Choose queries among training images, which are told apart by no folder: `(M,)` bool.

    As in the other splits a query is a person of an action who is seen again in it: the first of the images, by bbox
    index, of everyone who has two or more in the action. The others, and people with one image, are the gallery.
    """
    order = np.lexsort((images.bbox, images.person, images.action))
    person, action = images.person[order], images.action[order]
    same = (person[1:] == person[:-1]) & (action[1:] == action[:-1])
    is_query = np.zeros(len(order), bool)
    # The first of its person and action, and followed by another one.
    is_query[order] = np.append(same, False) & ~np.append(False, same)
    return is_query
