"""What the evaluation settings do to a ranking, and the settings in words."""

from types import SimpleNamespace

import numpy as np
import pytest
from ranking_cases import drawn, filmed

from kreid.config.sections import Evaluation
from kreid.embedding.extract import Embedded
from kreid.errors import ConfigError
from kreid.evaluation.records import check_widths, figures_by_settings, joined, ranked
from kreid.evaluation.settings import describe, variants
from kreid.ranking.figures import TIES, QueryFigures
from kreid.ranking.ordering import rank
from kreid.ranking.reranking import combine, expand_queries, rerank


def same(one, other):
    np.testing.assert_array_equal(one.gallery, other.gallery)
    np.testing.assert_array_equal(one.distance, other.distance)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_settings_after_the_network(metric):
    embeddings = drawn(0)
    plain = rank(embeddings, metric)
    same(ranked(embeddings, Evaluation(), metric), plain)
    same(ranked(embeddings, Evaluation(flip=True, crops=3), metric), plain)
    same(ranked(embeddings, Evaluation(expand=2), metric), rank(expand_queries(embeddings, 2), metric))
    same(ranked(embeddings, Evaluation(rerank=True), metric), rerank(embeddings, metric=metric))
    options = {"k1": 5, "k2": 3, "weight": 0.6}
    both = Evaluation(expand=1, rerank=options)
    same(ranked(embeddings, both, metric), rerank(expand_queries(embeddings, 1), **options, metric=metric))


@pytest.mark.parametrize("settings", [{}, {"expand": 2}, {"rerank": True}, {"expand": 1, "rerank": {"k1": 5}}], ids=str)
@pytest.mark.parametrize("protocol", ["action", "cross_camera"])
def test_figures_are_those_of_the_ranking(settings, protocol):
    embeddings, settings = filmed(3, levels=2, junk=0.1), Evaluation(protocol=protocol, **settings)
    ranking = ranked(embeddings, settings, "euclidean")
    first = ranked(embeddings, settings, "euclidean", nearest=2)
    assert ranking.protocol == first.protocol == protocol
    assert first.sizes.tolist() == np.minimum(ranking.sizes, 2).tolist()
    np.testing.assert_array_equal(first.gallery[first.offsets[:-1]], ranking.gallery[ranking.offsets[:-1]])
    if protocol == "action":
        embeddings = filmed(3, levels=2)  # junk has no label, which only the other protocol does without
        ranking = ranked(embeddings, settings)
    found = figures_by_settings(embeddings, settings, "euclidean")
    assert list(found) == list(TIES)
    for ties, figures in found.items():
        assert figures.to_json() == QueryFigures.of(ranking, ties).to_json()


def test_members_are_joined_and_their_seconds_added():
    one, two = Embedded(drawn(4), 1.5), Embedded(drawn(4, dim=11), 2.0)
    assert joined([one], "concat") is one
    result = joined([one, two], "concat")
    np.testing.assert_array_equal(result.embeddings.vectors, combine([one.embeddings, two.embeddings]).vectors)
    assert result.seconds == 3.5
    with pytest.raises(ValueError, match="6 and 11 wide"):
        joined([one, two], "mean")


def test_embeddings_without_a_mean_are_refused_before_the_networks_work():
    models = [SimpleNamespace(output={"embedding": SimpleNamespace(shape=(None, width))}) for width in (6, 11)]
    check_widths(models, "concat")
    check_widths(models[:1] * 2, "mean")
    with pytest.raises(ConfigError, match="join: embeddings of 6 and 11 numbers have no mean; join them by concat"):
        check_widths(models, "mean")


def test_settings_are_taken_apart():
    everything = Evaluation(flip=True, crops=4, embedding="concat", expand=2, rerank={"k1": 7})
    assert list(describe(everything).values()) == ["flip", "4 crops", "concat", "expand 2", "re-rank k1=7"]
    assert variants(everything) == {
        "plain": Evaluation(),
        "flip": Evaluation(flip=True),
        "4 crops": Evaluation(crops=4),
        "concat": Evaluation(embedding="concat"),
        "expand 2": Evaluation(expand=2),
        "re-rank k1=7": Evaluation(rerank={"k1": 7}),
        "together": everything,
    }
    assert list(variants(Evaluation(flip=True))) == ["plain", "flip"]
    assert list(variants(Evaluation())) == ["plain"]
