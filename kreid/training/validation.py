"""Scores during training: mAP and rank-1 on the valid split, on its first actions, or on held-out training actions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kreid.embedding.extract import embed
from kreid.ranking.embeddings import Embeddings, Images
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import rank
from kreid.ranking.scores import evaluate
from tfrecords_tools.index import Index, read_index


def validate(
    model: keras.Model,
    records: str | Path,
    actions: int | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
) -> tuple[dict[str, float], Ranking]:
    """Score a model on a record folder by the action-restricted protocol.

    Args:
        model: a model with an `embedding` output.
        records: the valid split's folder; the train split's with `rows`.
        actions: only the first so many actions; all by default.
        rows: positions of training images to score on, which have no queries: `first_views` chooses them.

    Returns:
        `valid_mAP`, `valid_rank1`, as fractions, and `valid_spread`, the standard deviation of all ranked distances:
        near 0 the embedding has collapsed; and the ranking itself.
    """
    with read_index(records) as index:
        kept = _scored(index, actions, rows)
    embeddings = embed(model, records, rows=kept)
    if rows is not None:
        embeddings = replace(embeddings, is_query=first_views(embeddings))
    ranking = rank(embeddings)
    metrics = evaluate(ranking)
    spread = float(np.std(ranking.distance))
    return {"valid_mAP": metrics["mAP"], "valid_rank1": metrics["rank1"], "valid_spread": spread}, ranking


def check_scorable(
    records: str | Path, actions: int | None = None, rows: Sequence[int] | np.ndarray | None = None
) -> None:
    """Raise ValueError, naming the folder, where `validate` of these arguments would find nothing to score."""
    with read_index(records) as index:
        kept = _scored(index, actions, rows)
        images = Images(index.person[kept], index.action[kept], index.bbox[kept], index.is_query[kept])
    if (images.person < 0).any():
        raise ValueError(f"{records}: nothing can be validated on records whose labels are withheld")
    is_query = images.is_query if rows is None else first_views(images)
    pairs = np.stack([images.action, images.person], axis=1)
    gallery = set(map(tuple, pairs[~is_query].tolist()))
    if not any(pair in gallery for pair in map(tuple, pairs[is_query].tolist())):
        where = "" if actions is None else f" in its first {actions} actions (train.validate_actions)"
        raise ValueError(f"{records}: none of its {is_query.sum()} queries{where} has a match to validate on")


def _scored(index: Index, actions: int | None, rows: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """Positions of the images to score on."""
    kept = np.arange(len(index)) if rows is None else np.asarray(rows)
    return kept if actions is None else kept[np.isin(index.action[kept], np.unique(index.action[kept])[:actions])]


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
