"""Losses against recorded originals, values and gradients, against naive loops, and by hand."""

from functools import partial

import keras
import numpy as np
import paths
import pytest
from checks import compiled
from gradients import gradient, gradient_of_loss

from kreid.layers.normalization import L2Normalization
from kreid.losses.centroid import CentroidTripletLoss
from kreid.losses.circle import CircleLoss
from kreid.losses.identity import IdentityLoss
from kreid.losses.info_nce import InfoNCELoss
from kreid.losses.jersey import JerseyLoss
from kreid.losses.pairs import pairwise_distances
from kreid.losses.role import RoleLoss
from kreid.losses.triplet import TripletLoss, triplet_statistics

pytestmark = pytest.mark.backend

GOLDEN = np.load(paths.GOLDEN / "losses.npz")
ADDONS = np.load(paths.GOLDEN / "losses_tfa.npz")
DISTANCES = ("euclidean", "squared_euclidean", "cosine")


def labels_of(person, action=None):
    person = np.asarray(person)
    return np.stack([person, np.zeros_like(person) if action is None else np.asarray(action)], axis=1)


def check(loss, labels, features, value, grad, tolerance=1e-6):
    ours, g = gradient_of_loss(loss, labels, features)
    assert ours == pytest.approx(float(value), rel=tolerance, abs=1e-7)
    assert np.abs(g - grad).max() <= tolerance * max(np.abs(grad).max(), 1e-3)


# --- recorded originals ---------------------------------------------------------------------------------------------

COMPLETE = ["p8k4", "p8k4_easy", "p8k4_hard", "duplicates", "duplicate_all_k", "l2_normalised"]


@pytest.mark.parametrize("case", COMPLETE)
@pytest.mark.parametrize(
    ("key", "loss"),
    [
        ("hard", TripletLoss(0.3, "hard")),
        ("batchall_m0.2", TripletLoss(0.2, "all", "squared_euclidean")),
        ("batchall_m0", TripletLoss(0.0, "all", "squared_euclidean")),
    ],
)
def test_triplets_equal_torch_originals(case, key, loss):
    labels = labels_of(GOLDEN[f"{case}/pid"])
    if case.startswith("duplicate") and key == "hard":
        # PyTorch's gradient differs where equal rows tie (see the fixture's notes): the value is the target.
        ours, g = gradient_of_loss(loss, labels, GOLDEN[f"{case}/feat"])
        assert ours == pytest.approx(float(GOLDEN[f"{case}/hard/exact_loss"]), abs=2e-6)
        assert np.isfinite(g).all()
        return
    check(loss, labels, GOLDEN[f"{case}/feat"], GOLDEN[f"{case}/{key}/loss"], GOLDEN[f"{case}/{key}/grad"])


def test_people_with_one_view_are_no_anchors():
    """The original counts a lone view as its own positive at distance 0; here it has no triplet and is left out."""
    features, person = GOLDEN["singletons/feat"], GOLDEN["singletons/pid"]
    ours, _ = gradient_of_loss(TripletLoss(0.3), labels_of(person), features)
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    values = []
    for i in range(len(person)):
        positive = [distances[i, j] for j in range(len(person)) if person[j] == person[i] and j != i]
        negative = [distances[i, j] for j in range(len(person)) if person[j] != person[i]]
        if positive:
            values.append(max(0.0, max(positive) - min(negative) + 0.3))
    assert len(values) < len(person)
    assert ours == pytest.approx(np.mean(values), rel=1e-6)


@pytest.mark.parametrize(
    ("case", "mining", "theirs"),
    [
        ("pk", "hard", "hard"),
        ("pairs", "hard", "hard"),  # "singletons" is left out: there a lone view is an anchor, its own positive
        ("pk", "semi_hard", "semihard"),
        ("pairs", "semi_hard", "semihard"),
        ("singletons", "semi_hard", "semihard"),
    ],
)
@pytest.mark.parametrize(("distance", "their_distance"), [("euclidean", "L2"), ("squared_euclidean", "squared-L2")])
@pytest.mark.parametrize("margin", [0.3, 1.0])
def test_triplets_equal_tensorflow_addons(case, mining, theirs, distance, their_distance, margin):
    key = f"{case}/{theirs}/{their_distance}/{margin}"
    labels = labels_of(ADDONS[f"{case}/labels"])
    loss = TripletLoss(margin, mining, distance)
    check(loss, labels, ADDONS[f"{case}/embeddings"], ADDONS[f"{key}/loss"], ADDONS[f"{key}/grad"], 3e-6)


@pytest.mark.parametrize(
    "name", sorted(key.removesuffix("/loss") for key in GOLDEN.files if key.startswith("ce") and key.endswith("/loss"))
)
def test_identity_loss_equals_original(name):
    case = name.split("/")[0]
    smoothing = 0.1 if "smooth" in name else 0.0
    logits, person = GOLDEN[f"{case}/logits"], GOLDEN[f"{case}/label"]
    check(IdentityLoss(smoothing), labels_of(person), logits, GOLDEN[f"{name}/loss"], GOLDEN[f"{name}/grad"])


# --- naive loops ----------------------------------------------------------------------------------------------------


def batch(seed=0, n=18, d=6):
    """People with one to four views over three actions."""
    rng = np.random.default_rng(seed)
    person = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5, 6, 7, 7, 8, 9])[:n]
    action = np.array([0] * 6 + [1] * 7 + [2] * 5)[:n]
    return labels_of(person, action), rng.standard_normal((n, d)).astype("float32")


def naive_distance(x, y, kind):
    if kind == "cosine":
        return 1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    squared = float(np.sum((x - y) ** 2))
    return squared if kind == "squared_euclidean" else np.sqrt(squared)


def naive_triplets(labels, x, mining, kind, margin, same_action):
    def hinge(difference):
        return np.log1p(np.exp(difference)) if margin == "soft" else max(0.0, difference + margin)

    x, n, values = x.astype(np.float64), len(x), []
    for a in range(n):
        positives = [i for i in range(n) if labels[i, 0] == labels[a, 0] and i != a]
        others = [i for i in range(n) if labels[i, 0] != labels[a, 0]]
        negatives = [i for i in others if not same_action or labels[i, 1] == labels[a, 1]]
        if not positives or not negatives:
            continue
        dp = [naive_distance(x[a], x[i], kind) for i in positives]
        dn = [naive_distance(x[a], x[i], kind) for i in negatives]
        if mining == "hard":
            values.append(hinge(max(dp) - min(dn)))
        elif mining == "all":
            values += [v for p in dp for q in dn if (v := hinge(p - q)) > 0]
        else:
            values += [hinge(p - min([q for q in dn if q > p], default=max(dn))) for p in dp]
    return np.mean(values) if values else 0.0


@pytest.mark.parametrize("mining", ["hard", "all", "semi_hard"])
@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("margin", [0.3, "soft"])
@pytest.mark.parametrize("same_action", [True, False])
def test_triplets_equal_naive_loop(mining, kind, margin, same_action):
    labels, x = batch()
    ours = float(TripletLoss(margin, mining, kind, same_action)(labels, x))
    assert ours == pytest.approx(naive_triplets(labels, x, mining, kind, margin, same_action), rel=1e-5)


@pytest.mark.parametrize("same_action", [True, False])
def test_centroid_triplets_equal_naive_loop(same_action):
    labels, x = batch(1)
    people, values = np.unique(labels[:, 0]), []
    for a in range(len(x)):
        mine = [i for i in range(len(x)) if labels[i, 0] == labels[a, 0] and i != a]
        rows = {p: np.flatnonzero(labels[:, 0] == p) for p in people if p != labels[a, 0]}
        centres = [x[r].mean(0) for r in rows.values() if not same_action or labels[r[0], 1] == labels[a, 1]]
        if mine and centres:
            positive = np.linalg.norm(x[a] - x[mine].mean(0))
            values.append(max(0.0, positive - min(np.linalg.norm(x[a] - c) for c in centres) + 0.3))
    ours = float(CentroidTripletLoss(0.3, same_action=same_action)(labels, x))
    assert ours == pytest.approx(np.mean(values), rel=1e-5)


@pytest.mark.parametrize("same_action", [True, False])
def test_info_nce_equals_naive_loop(same_action):
    labels, x = batch(2)
    unit, values = x / np.linalg.norm(x, axis=1, keepdims=True), []
    for a in range(len(x)):
        other = labels[:, 0] != labels[a, 0]
        negatives = np.flatnonzero(other & ((labels[:, 1] == labels[a, 1]) | (not same_action)))
        against = sum(np.exp(unit[a] @ unit[n] / 0.1) for n in negatives)
        for p in np.flatnonzero(labels[:, 0] == labels[a, 0]):
            if p != a and len(negatives):
                own = np.exp(unit[a] @ unit[p] / 0.1)
                values.append(-np.log(own / (own + against)))
    ours = float(InfoNCELoss(0.1, same_action=same_action)(labels, x))
    assert ours == pytest.approx(np.mean(values), rel=1e-5)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_collapsed_hard_triplet_loss_is_the_margin():
    value, _ = gradient_of_loss(TripletLoss(0.3), labels_of([0, 0, 1, 1]), np.full((4, 3), 0.5))
    assert value == pytest.approx(0.3)


def test_distances_keep_their_digits_far_from_the_origin():
    """An embedding that has almost collapsed: |x|^2 + |y|^2 - 2xy in float32 without centring would be all rounding."""
    rng = np.random.default_rng(0)
    x = (100.0 + 1e-3 * rng.standard_normal((8, 16))).astype("float32")
    exact = np.linalg.norm(x[:, None].astype(np.float64) - x[None], axis=2)
    np.testing.assert_allclose(np.asarray(compiled(pairwise_distances)(x, x)), exact, rtol=1e-3, atol=1e-6)


def test_neighbouring_identities_stay_apart_under_mixed_precision():
    """300001 and 300002 are one number in bfloat16."""
    labels = labels_of([300001, 300001, 300002, 300002])
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = float(TripletLoss()(labels, x))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert mixed == pytest.approx(float(TripletLoss()(labels, x)))
    assert mixed > 0


def test_statistics_of_a_batch_by_hand():
    labels = labels_of([0, 0, 1, 2, 2], [0, 0, 0, 1, 1])
    x = np.array([[0.0], [1.0], [3.0], [0.0], [5.0]], "float32")
    # Anchors: image 0 (positive at 1, negative at 3) and image 1 (positive at 1, negative at 2); people 2 stand alone.
    found = compiled(partial(triplet_statistics, margin=1.5))(labels, x)
    figures = {key: float(value) for key, value in found.items()}
    assert figures == pytest.approx({"anchors": 2, "active": 0.5, "positive": 1.0, "negative": 2.5})


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="mining: .*'hardest'"):
        TripletLoss(mining="hardest")
    with pytest.raises(ValueError, match="distance: .*'l1'"):
        CentroidTripletLoss(distance="l1")
    with pytest.raises(ValueError, match="margin: .*-1"):
        TripletLoss(margin=-1)
    with pytest.raises(ValueError, match="temperature: .*0"):
        InfoNCELoss(temperature=0)
    with pytest.raises(ValueError, match="label_smoothing: .*1"):
        IdentityLoss(label_smoothing=1)


# --- rows of zeros, as a narrow layer behind a ReLU gives them -------------------------------------------------------

OF_DIRECTIONS = {
    "info_nce": InfoNCELoss(),
    "cosine": TripletLoss(distance="cosine"),
    "cosine, all": TripletLoss(distance="cosine", mining="all"),
    "circle": CircleLoss(),
}


@pytest.mark.parametrize("name", OF_DIRECTIONS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_row_of_zeros_has_no_direction_and_no_gradient(name, dtype):
    """The others have the gradient that they have, and half precision holds all of it."""
    x = np.random.default_rng(3).standard_normal((6, 4)).astype("float32")
    x[[1, 4]] = 0.0
    labels = labels_of([1, 1, 1, 2, 2, 3])

    def rounded(x):
        return OF_DIRECTIONS[name](labels, keras.ops.cast(keras.ops.cast(x, dtype), "float32"))

    value, (found,) = gradient(rounded, x)
    assert np.isfinite(value)
    assert np.isfinite(found).all()
    assert not found[[1, 4]].any()
    assert found[[0, 2, 3]].any(axis=1).all()


@pytest.mark.parametrize("name", ["info_nce", "cosine"])
def test_a_row_of_zeros_leaves_an_optimiser_finite(name):
    """Four units behind a ReLU, all at rest for some images, and both a head and a loss that divide by the length."""
    x = np.float32([[1, 2], [2, 1], [-1, -2], [-2, -1], [1, 1], [-3, -3]])
    image = keras.Input((2,))
    units = keras.layers.Dense(4, activation="relu")(image)
    model = keras.Model(image, L2Normalization()(keras.layers.Dense(3)(units)))
    model.layers[1].kernel.assign([[1.0, 2.0, 0.5, 1.0], [1.0, 0.5, 2.0, 1.0]])
    compiled = keras.backend.backend() == "jax"  # the quicker way on either
    model.compile(keras.optimizers.Adam(1e-3), OF_DIRECTIONS[name], jit_compile=compiled)
    for _ in range(3):
        loss = model.train_on_batch(x, labels_of([1, 1, 1, 2, 2, 2]))
    assert np.isfinite(loss)
    for variable in (*model.variables, *model.optimizer.variables):
        assert np.isfinite(np.asarray(variable)).all(), variable.path


# --- what a loss learns itself, and what is known of some images only ------------------------------------------------


def test_a_learnt_temperature_starts_where_it_is_set_and_has_a_floor():
    labels, x = labels_of([0, 0, 1, 1]), np.random.default_rng(0).standard_normal((4, 3))
    fixed, learnt = InfoNCELoss(0.2), InfoNCELoss(0.2, learn_temperature=True)
    assert fixed.trainable_variables == []
    assert float(learnt(labels, x)) == pytest.approx(float(fixed(labels, x)), rel=1e-6)
    (variable,) = learnt.trainable_variables
    variable.assign(np.log(0.5))
    assert float(learnt(labels, x)) == pytest.approx(float(InfoNCELoss(0.5)(labels, x)), rel=1e-6)
    assert float(learnt.figures()["temperature"]) == pytest.approx(0.5)
    variable.assign(-30.0)
    assert float(learnt(labels, x)) == pytest.approx(float(InfoNCELoss(0.01)(labels, x)), rel=1e-5)


@pytest.mark.parametrize(("loss", "column"), [(RoleLoss(), 2), (JerseyLoss(), 3)], ids=["role", "jersey"])
def test_attributes_count_where_they_are_known(loss, column):
    """By hand: logits (log 3, 0) give the first class 3/4 and the second 1/4; the third image does not tell."""
    labels = np.full((3, 4), 9)
    labels[:, column] = [0, 1, -1]
    logits = np.log([[3.0, 1.0], [3.0, 1.0], [1.0, 7.0]])
    value, g = gradient_of_loss(loss, labels, logits)
    assert value == pytest.approx((np.log(4 / 3) + np.log(4)) / 2, rel=1e-6)
    np.testing.assert_allclose(g, [[-1 / 8, 1 / 8], [3 / 8, -3 / 8], [0, 0]], atol=1e-6)
    labels[:, column] = -1
    assert float(loss(labels, logits)) == 0
