"""What a score has to beat: the same network untrained, and chance."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from kreid.models.embedders import build_model
from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import figures_of
from kreid.ranking.scores import Fractions, evaluate
from kreid.runs.folder import load_config_of


def untrained(run: str | Path) -> keras.Model:
    """The model of a run as it was before the first step, from the same seed, without pretrained weights."""
    config = load_config_of(run)
    keras.utils.set_random_seed(config.train.seed)
    return build_model(config.model, pretrained=False)


def random_ranking(embeddings: Embeddings, draws: int = 20, seed: int = 0, protocol: str | None = None) -> Fractions:
    """Scores of ranking each gallery at random: the mean over `draws` drawings.

    Args:
        embeddings: their labels are used, not their vectors.
        draws: how many random rankings.
        seed: seed of the draws.
        protocol: see `kreid.ranking.rank`.

    Returns:
        The fractions among the figures of `kreid.ranking.evaluate`.
    """
    rng = np.random.default_rng(seed)
    scores: list[Fractions] = []
    for _ in range(draws):
        vectors = rng.standard_normal((len(embeddings.person), 8)).astype(np.float32)
        scores.append(evaluate(figures_of(replace(embeddings, vectors=vectors), protocol=protocol)))
    return {
        "mAP": float(np.mean([one["mAP"] for one in scores])),
        "rank1": float(np.mean([one["rank1"] for one in scores])),
        "rank5": float(np.mean([one["rank5"] for one in scores])),
        "rank10": float(np.mean([one["rank10"] for one in scores])),
    }
