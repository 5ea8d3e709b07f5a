"""Scores during training: mAP and rank-1 on the valid split, on its first actions, or on held-out training actions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kreid.data.records import read_labels
from kreid.embedding.extract import embed
from kreid.ranking.distances import pairwise
from kreid.ranking.embeddings import Embeddings, Images
from kreid.ranking.ordering import figures_of
from kreid.ranking.protocols import matchable, protocol_of
from kreid.ranking.scores import evaluate
from tfrecords_tools.index import Index, read_index
from tfrecords_tools.scorable import why_unscorable

_PAIRS = 1 << 22  # distances whose spread is looked at (32 MiB); SoccerNet's valid split has 268,804


def validate(
    model: keras.Model,
    records: str | Path,
    actions: int | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
    protocol: str | None = None,
) -> tuple[dict[str, float], Embeddings]:
    """Score a model on a record folder.

    Args:
        model: a model with an `embedding` output.
        records: the valid split's folder; the train split's with `rows`.
        actions: only the first so many actions; all by default.
        rows: positions of training images to score on, which have no queries: `first_views` chooses them.
        protocol: as `evaluation.protocol`; None (default) for what the records say.

    Returns:
        `valid_mAP`, `valid_rank1`, as fractions, and `valid_spread`, the standard deviation of the distances between
        queries and the galleries of their actions (of evenly chosen queries, where there are more than 4 million): near
        0 the embedding has collapsed; and the embeddings, with the queries that were scored.
    """
    with read_index(records) as index:
        kept = scored_rows(index, actions, rows)
    embeddings = embed(model, records, rows=kept)
    if rows is not None:
        embeddings = replace(embeddings, is_query=first_views(embeddings, protocol))
    metrics = evaluate(figures_of(embeddings, protocol=protocol))
    scores = {"valid_mAP": metrics["mAP"], "valid_rank1": metrics["rank1"], "valid_spread": _spread(embeddings)}
    return scores, embeddings


def check_scorable(
    records: str | Path,
    actions: int | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
    protocol: str | None = None,
) -> None:
    """Raise ValueError, naming the folder, where `validate` of these arguments would find nothing to score."""
    with read_index(records) as index:
        images = read_labels(index, scored_rows(index, actions, rows))
    try:
        by_camera = protocol_of(protocol, images).by_camera
    except ValueError as error:
        raise ValueError(f"{records}: {error}") from None
    if not by_camera and (images.person < 0).any():
        raise ValueError(f"{records}: nothing can be validated on records whose labels are withheld")
    if rows is not None:
        images = replace(images, is_query=first_views(images, protocol))
    where = "" if actions is None else f" in its first {actions} actions (train.validate_actions)"
    matched = int(matchable(images, protocol).sum())
    if why := why_unscorable(int(images.is_query.sum()), matched, protocol or images.protocol, where):
        raise ValueError(f"{records}: {why}")


def _spread(embeddings: Embeddings) -> float:
    """Standard deviation of the distances from queries to the gallery of their action."""
    actions = list(embeddings.images.actions())
    step = -(-sum(len(query) * len(gallery) for query, gallery in actions) // _PAIRS)
    vectors = embeddings.vectors
    near = [pairwise(vectors[query[::step]], vectors[gallery]).ravel() for query, gallery in actions]
    return float(np.std(np.concatenate(near)))


def scored_rows(index: Index, actions: int | None, rows: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """Positions of the images to score on; arguments as in `validate`."""
    kept = np.arange(len(index)) if rows is None else np.asarray(rows)
    return kept if actions is None else kept[np.isin(index.action[kept], np.unique(index.action[kept])[:actions])]


def first_views(images: Embeddings | Images, protocol: str | None = None) -> np.ndarray:
    """Choose queries among training images, which are told apart by no folder: `(M,)` bool.

    As in the other splits a query is a person of an action who is seen again in it: the first of the images, by bbox
    index, of everyone who has two or more in the action; by protocol "cross_camera", of everyone whom another camera
    sees too. The others are the gallery.

    Args:
        images: the labels.
        protocol: see `kreid.ranking.rank`.
    """
    order = np.lexsort((images.bbox, images.person, images.action))
    person, action = images.person[order], images.action[order]
    first = np.ones(len(order), bool)  # of its person and action
    first[1:] = (person[1:] != person[:-1]) | (action[1:] != action[:-1])
    group = first.cumsum() - 1
    again = ~first
    labels = images.images if isinstance(images, Embeddings) else images
    if protocol_of(protocol, labels).by_camera:
        camera = np.asarray(images.camera)[order]  # known: `protocol_of` has looked
        again = camera != camera[first][group]
    seen_again = np.bincount(group, weights=again) > 0
    is_query = np.zeros(len(order), bool)
    is_query[order] = first & (person >= 0) & seen_again[group]
    return is_query
