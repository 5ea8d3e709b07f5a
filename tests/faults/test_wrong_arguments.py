"""Calls of the public functions with what belongs elsewhere: one line that names the argument and what came instead."""

import keras
import numpy as np
import pytest

import kreid
from kreid import ranking as ranked
from kreid.errors import ConfigError

VECTORS = np.arange(12.0).reshape(6, 2)
EMBEDDINGS = kreid.Embeddings(
    VECTORS, np.array([1, 2, 1, 2, 3, 1]), np.zeros(6, int), np.array([0, 1, 0, 1, 2, 3]), np.arange(6) < 2
)
LABELLED = (VECTORS, EMBEDDINGS.person, EMBEDDINGS.action, EMBEDDINGS.bbox, EMBEDDINGS.is_query)
RANKING = kreid.rank(EMBEDDINGS)
SCORES = kreid.evaluate(RANKING)
CONFIG = kreid.load_config("demo")


@pytest.fixture(scope="module")
def model():
    image = keras.Input((4, 2, 3))
    return keras.Model(image, {"embedding": keras.layers.GlobalAveragePooling2D()(image)})


NOT_EMBEDDINGS = (VECTORS, RANKING, None, "embeddings.npz", {"vectors": VECTORS})
OF_EMBEDDINGS = (
    kreid.rank,
    ranked.figures_of,
    ranked.figures_by_ties,
    ranked.rerank,
    ranked.expand_queries,
    ranked.verify,
    ranked.roc,
)
NOT_RANKINGS = (VECTORS, EMBEDDINGS, SCORES, None, "ranking.json")
OF_RANKINGS = (kreid.evaluate, ranked.average_precision, ranked.first_hit, ranked.intervals)


def refused(call, *arguments, **options):
    """Return the message, sure that it is one line."""
    with pytest.raises(ValueError, match=": expected ") as raised:
        call(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("call", OF_EMBEDDINGS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("given", NOT_EMBEDDINGS, ids=lambda given: type(given).__name__)
def test_something_else_than_embeddings(call, given):
    message = refused(call, given)
    assert message.startswith("embeddings: expected an Embeddings, received ")
    assert message.endswith(
        "; give what kreid.embed returned, or kreid.Embeddings(vectors, person, action, bbox, is_query)"
    )


@pytest.mark.parametrize("call", OF_RANKINGS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("given", NOT_RANKINGS, ids=lambda given: type(given).__name__)
def test_something_else_than_a_ranking(call, given):
    message = refused(call, given)
    assert message.startswith("ranking: expected a Ranking or a QueryFigures, received ")
    assert message.endswith("; give kreid.rank(embeddings)")


@pytest.mark.parametrize("given", [EMBEDDINGS, RANKING, None], ids=lambda given: type(given).__name__)
def test_something_else_than_labels(given):
    calls = (ranked.matchable, ranked.gallery_sizes, lambda images: ranked.rank_by(images, lambda q, g: VECTORS))
    for call in calls:
        assert refused(call, given).startswith("images: expected an Images, received ")


def test_a_ranking_of_embeddings_in_the_place_of_their_labels():
    arrays = (RANKING.query, RANKING.offsets, RANKING.gallery, RANKING.distance)
    assert refused(kreid.Ranking, EMBEDDINGS, *arrays).startswith("images: expected an Images, received an Embeddings")
    assert refused(kreid.Ranking, EMBEDDINGS.images, 1, *arrays[1:]).startswith("query: ")
    assert refused(kreid.Ranking, EMBEDDINGS.images, *arrays[:3], [0.0]).startswith("distance: ")


@pytest.mark.parametrize(
    ("call", "start"),
    [
        (lambda: ranked.compare(RANKING, EMBEDDINGS), "second: expected a Ranking or a QueryFigures, received an Emb"),
        (lambda: ranked.compare(SCORES, RANKING, names=("plain", "better")), "plain: expected a Ranking or a Query"),
        (lambda: ranked.combine(EMBEDDINGS), "members: expected a list of Embeddings, received an Embeddings"),
        (lambda: ranked.combine([EMBEDDINGS, VECTORS]), "members: number 1: expected an Embeddings, received an nd"),
        (lambda: ranked.rank_by(EMBEDDINGS.images, VECTORS), "distances: expected a function"),
        (lambda: ranked.rank_by(EMBEDDINGS.images, lambda q, g: g), "distances: expected shape (2, 4), received (4,)"),
        (lambda: ranked.search(EMBEDDINGS, VECTORS), "queries: expected an array of vectors, received an Embeddings"),
        (
            lambda: ranked.search(VECTORS, "gallery.npy"),
            "gallery: expected an array of vectors, received 'gallery.npy'",
        ),
        (lambda: ranked.search(VECTORS, VECTORS, k="3"), "k: expected a whole number, received '3'"),
        (lambda: ranked.read_groundtruth(EMBEDDINGS), "path: expected the path of a file or folder of labels"),
        (lambda: kreid.rank(EMBEDDINGS, metric=["cosine"]), "metric: expected one of euclidean"),
        (lambda: kreid.rank(EMBEDDINGS, protocol=["action"]), "protocol: expected one of action"),
        (lambda: kreid.rank(EMBEDDINGS, nearest="5"), "nearest: expected a whole number, received '5'"),
        (lambda: kreid.rank(EMBEDDINGS, memory="1GB"), "memory: expected a number, received '1GB'"),
        (lambda: kreid.evaluate(RANKING, 5), "ranks: expected a list of whole numbers from 1"),
        (lambda: ranked.intervals(RANKING, 5), "ranks: expected a list of whole numbers from 1"),
        (lambda: ranked.intervals(RANKING, level="0.95"), "level: expected a number, received '0.95'"),
        (lambda: ranked.intervals(RANKING, resamples=2.5), "resamples: expected a whole number, received 2.5"),
        (lambda: ranked.rerank(EMBEDDINGS, k1=2.5), "k1: expected a whole number, received 2.5"),
        (lambda: ranked.rerank(EMBEDDINGS, weight="0.3"), "weight: expected a number, received '0.3'"),
        (lambda: ranked.rerank(EMBEDDINGS, limit=None), "limit: expected a number, received None"),
        (lambda: ranked.expand_queries(EMBEDDINGS, 1.5), "k: expected a whole number, received 1.5"),
        (lambda: ranked.expand_queries(EMBEDDINGS, alpha="3"), "alpha: expected a number, received '3'"),
        (lambda: kreid.Embeddings.load(None), "path: expected the path of a .npz file that `save` wrote"),
        (lambda: EMBEDDINGS.save(None), "path: expected the path of the .npz file to write"),
        (
            lambda: kreid.report("records/test", RANKING, "page.html"),
            "ranking: expected a Ranking, received 'records/t",
        ),
        (lambda: kreid.report(RANKING, RANKING, "page.html"), "records: expected the path of the folder of records"),
        (lambda: kreid.report(RANKING, "records/test", None), "path: expected the path of the .html file to write"),
        (
            lambda: kreid.report(RANKING, "r", "p.html", figures=SCORES),
            "figures: expected a QueryFigures, received a S",
        ),
        (lambda: kreid.report(RANKING, "r", "p.html", limit="5"), "limit: expected a whole number, received '5'"),
    ],
)
def test_after_the_vectors(call, start):
    assert refused(call).startswith(start)


@pytest.mark.parametrize(
    ("call", "start"),
    [
        (lambda model: kreid.embed("run", "records/test"), "model: expected a Model, received 'run'; give kreid.load_"),
        (lambda model: kreid.embed("records/test", model), "model: expected a Model, received 'records/test'"),
        (lambda model: kreid.embed(CONFIG, "records/test"), "model: expected a Model, received a Config"),
        (lambda model: kreid.embed(model, VECTORS), "records: expected the path of a split's folder of records"),
        (lambda model: kreid.embed(model, "records", batch_size="8"), "batch_size: expected a whole number"),
        (lambda model: kreid.embed_files("run", ["a.png"]), "model: expected a Model, received 'run'"),
        (lambda model: kreid.embed_files(model, None), "paths: expected a list of files, received None"),
        (lambda model: kreid.embed_files(model, VECTORS), "paths: number 0: expected the path of an image file"),
        (lambda model: kreid.export("run", "out"), "model: expected a Model, received 'run'"),
        (lambda model: kreid.export(model, None), "out: expected the path of what to write"),
        (lambda model: kreid.Viewer("run"), "model: expected a Model, received 'run'"),
        (lambda model: kreid.load_model(model), "run: expected the path of the folder that kreid-train wrote"),
    ],
)
def test_of_networks(model, call, start):
    assert refused(call, model).startswith(start)


def test_pixels_in_arrays_are_told_where_they_go(model):
    for call, given in ((kreid.embed, VECTORS), (kreid.embed_files, VECTORS)):
        assert refused(call, model, given).endswith(
            "; pixels in arrays go through the network itself: model(images)['embedding']"
        )


@pytest.mark.parametrize(
    ("call", "start"),
    [
        (lambda: kreid.load_config({"model": {}}), "path: expected the path of a YAML file, or the name"),
        (lambda: kreid.load_config(CONFIG), "path: expected the path of a YAML file, or the name"),
        (lambda: kreid.load_config("demo", "train.epochs=5"), "overrides: expected a list of texts, such as ['train.e"),
        (lambda: kreid.load_config("demo", {"train.epochs": 5}), "overrides: expected a list of texts"),
        (lambda: kreid.load_config("demo", [("train.epochs", 5)]), "overrides: expected a list of texts"),
        (lambda: kreid.load_config("demo", None), "overrides: expected a list of texts"),
        (lambda: kreid.build_model(CONFIG), "config: expected the model section of a configuration, received a Config"),
        (lambda: kreid.build_model("demo"), "config: expected the model section of a configuration, received 'demo'"),
        (lambda: kreid.build_model({"embedder": "one_stream"}), "config: expected the model section of a configurati"),
        (lambda: kreid.models.build_backbone(["resnet50"]), "name: expected one of resnet50, "),
        (lambda: kreid.models.build_backbone("resnet50", 64), "resnet50: input_shape: expected (height, width, 3), re"),
        (lambda: kreid.models.build_backbone("resnet50", "64x32"), "resnet50: input_shape: expected (height, width, 3"),
        (lambda: kreid.train(None, "records", "run"), "config: expected a Config, a dict, YAML or the path"),
        (
            lambda: kreid.train("demo", None, "run"),
            "data: expected the path of what kreid-convert wrote, received None",
        ),
        (lambda: kreid.train("demo", "records", None), "out: expected the path of the run folder to write"),
        (
            lambda: kreid.tune("layerwise", "records", "study"),
            "space: expected a Space, received 'layerwise'; give kre",
        ),
        (lambda: kreid.read_space({"loss.margin": 1}, "demo"), "path: expected the path of a space's YAML file"),
        (lambda: kreid.read_space("layerwise", CONFIG), "config: expected the path of a configuration's YAML file"),
    ],
)
def test_of_configurations(call, start):
    assert refused(call).startswith(start)


@pytest.mark.parametrize(
    ("call", "start"),
    [
        (
            lambda: kreid.config.dump({"model": {}}),
            "config: expected a Config, received a dict; give kreid.load_config",
        ),
        (lambda: kreid.models.build_backbone("resnet50", ("64", 32, 3)), "resnet50: input_shape: expected whole numb"),
        (lambda: kreid.models.build_backbone("resnet50", weights=5), "weights: expected the path of a file of weights"),
        (lambda: kreid.train("demo", "records", "run", on_validation=3), "on_validation: expected a function of the"),
        (lambda: kreid.train("demo", "records", "run", held_out="all"), "held_out: expected numbers of training act"),
        (lambda: kreid.tune(kreid.read_space("layerwise", "layerwise"), "records", "study", trials=0), "trials: exp"),
        (lambda: kreid.report(RANKING, "r", "p.html", curve=3), "curve: expected a Curve, received 3; give kreid.ran"),
        (lambda: kreid.report(RANKING, "r", "p.html", look=3), "look: expected a function of pairs of rows"),
        (lambda: kreid.report(RANKING, "r", "p.html", progress=True), "progress: expected a function of the records"),
        (lambda: kreid.report(RANKING, "r", "p.html", budget="30MB"), "budget: expected a number, received '30MB'"),
        (lambda: kreid.report(RANKING, "r", "p.html", paper_row=3), "paper_row: expected figures by their names"),
        (lambda: kreid.Embeddings(*LABELLED, records=3), "records: expected arrays by their names"),
        (lambda: kreid.losses.InfoNCELoss(temperature="a"), "temperature: expected a number, received 'a'"),
        (lambda: kreid.losses.CircleLoss(margin="a"), "margin: expected a number, received 'a'"),
        (lambda: kreid.losses.CircleLoss(scale=None), "scale: expected a number, received None"),
        (lambda: kreid.losses.IdentityLoss(label_smoothing="a"), "label_smoothing: expected a number, received 'a'"),
    ],
)
def test_options(call, start):
    assert refused(call).startswith(start)


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"batch_size": 0}, "batch_size: expected 1 or more, received 0"),
        ({"progress": True}, "progress: expected a function of the images done and their total, received True"),
        ({"settings": CONFIG}, "settings: expected an Evaluation, received a Config; give the evaluation section"),
        ({"settings": None}, "settings: expected an Evaluation, received None"),
        ({"rows": "all"}, "rows: expected positions in the folder's index, received 'all'"),
        ({"rows": [0.5]}, "rows: expected positions in the folder's index, received a list"),
        ({"rows": [0, 10**6]}, "rows: expected positions from 0 to "),
        ({"rows": [-1]}, "rows: expected positions from 0 to "),
    ],
    ids=str,
)
def test_options_of_embed(model, records, options, start):
    assert refused(kreid.embed, model, records / "test", **options).startswith(start)


def test_no_rows_are_no_mistake(model, records):
    assert len(kreid.embed(model, records / "test", rows=[])) == 0


def test_a_command_would_end_as_for_any_wrong_argument():
    with pytest.raises(ConfigError):
        kreid.rank(VECTORS)
