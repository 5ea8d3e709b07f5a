"""Losses over a batch of embeddings whose labels hold only inside an action.

Labels are `(N, 2)` integers `[person, action]`. Every loss returns one value an anchor, `(N,)`, so that Keras averages
it and scales it under a distribution strategy. Anchors without a positive or without a negative have no triplet: they
count neither in the sum nor in the mean, and a batch without any triplet has loss and gradient zero. All are computed
in float32, because in bfloat16 neighbouring identities would become one number.
"""

from typing import Any

import keras
from keras import ops

DISTANCES = ("euclidean", "squared_euclidean", "cosine")
MININGS = ("hard", "all", "semi_hard")
_FAR = 1e30  # beyond any distance, and finite: inf - inf would be NaN


def pairwise_distances(x: Any, y: Any, distance: str = "euclidean") -> Any:
    """Distances between the rows of `x` (N, D) and of `y` (M, D): (N, M).

    Both are moved by the mean of `y` first. Distances do not change, but |x|^2 + |y|^2 - 2xy keeps its digits when all
    rows are alike, as they are when an embedding collapses, and on GPUs that multiply in TensorFloat-32.
    """
    if distance == "cosine":
        return 1.0 - ops.matmul(_unit(x), ops.transpose(_unit(y)))
    centre = ops.stop_gradient(ops.mean(y, axis=0, keepdims=True))
    x, y = x - centre, y - centre
    xx = ops.sum(ops.square(x), axis=1, keepdims=True)
    yy = ops.sum(ops.square(y), axis=1, keepdims=True)
    squared = ops.maximum(xx + ops.transpose(yy) - 2.0 * ops.matmul(x, ops.transpose(y)), 0.0)
    if distance == "squared_euclidean":
        return squared
    # sqrt has no finite gradient at 0: equal rows get distance 0 and gradient 0.
    is_zero = squared <= 1e-12
    return ops.where(is_zero, 0.0, ops.sqrt(ops.where(is_zero, 1.0, squared)))


def _unit(x: Any) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), 1e-24))


def pair_masks(labels: Any, same_action: bool = True) -> tuple[Any, Any]:
    """Which pairs of a batch are positives, which negatives: two (N, N) boolean masks for labels (N, 2).

    Args:
        labels: `[person, action]` of each image.
        same_action: negatives only from the anchor's own action (the paper's II.E); otherwise from the whole batch.
    """
    person, action = labels[:, 0], labels[:, 1]
    same_person = person[:, None] == person[None, :]
    itself = ops.cast(ops.eye(ops.shape(labels)[0]), "bool")
    negative = ops.logical_not(same_person)
    if same_action:
        negative = ops.logical_and(negative, action[:, None] == action[None, :])
    return ops.logical_and(same_person, ops.logical_not(itself)), negative


def _mean_over(values: Any, valid: Any) -> Any:
    """Scale per-anchor sums so that the batch mean is `sum(values) / sum(valid)`; 0 where nothing is valid."""
    count = ops.cast(ops.shape(values)[0], "float32")
    return values * count / ops.maximum(ops.sum(ops.cast(valid, "float32")), 1.0)


class PairLoss(keras.losses.Loss):
    """Base of the losses that compare images of a batch with each other.

    Keras hands labels over as float32, which holds integers below 2^24 = 16,777,216: number people and actions densely
    where theirs are larger, as `kreid.data` does.

    Args:
        same_action: negatives only from the anchor's own action.
        name: the loss's name in logs.
        reduction: as in `keras.losses.Loss`; the default is the mean over the batch.
    """

    def __init__(self, same_action: bool = True, name: str | None = None, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"  # see the module's docstring
        super().__init__(name=name, **kwargs)
        self.same_action = same_action

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction, "same_action": self.same_action}


@keras.saving.register_keras_serializable(package="kreid")
class TripletLoss(PairLoss):
    """Triplet loss over a batch (paper II.E): `max(d(a, p) - d(a, n) + margin, 0)`.

    Args:
        margin: in units of the distance (0.3, ours), or `"soft"` for `log(1 + exp(d(a, p) - d(a, n)))`.
        mining: `"hard"`, the farthest positive and nearest negative of each anchor (ours); `"all"`, the mean over every
            triplet that is not yet satisfied; `"semi_hard"`, for each positive the nearest negative beyond it, or the
            farthest negative where there is none.
        distance: `"euclidean"` (L2, not squared: the paper's), `"squared_euclidean"`, or `"cosine"` (1 - cosine).
        same_action: negatives only from the anchor's own action (the paper's).

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for an unknown mining or distance, or a negative margin.

    Example:
        >>> loss = TripletLoss(margin=0.3, mining="hard", same_action=True)
        >>> loss([[7, 1], [7, 1], [8, 1]], [[0.0, 1.0], [0.0, 0.9], [1.0, 0.0]])

    Reference:
        Hermans et al., In Defense of the Triplet Loss for Person Re-Identification, 2017 (hard, all, soft margin);
        Schroff et al., FaceNet, CVPR 2015 (semi-hard).
    """

    def __init__(
        self,
        margin: float | str = 0.3,
        mining: str = "hard",
        distance: str = "euclidean",
        same_action: bool = True,
        name: str = "triplet",
        **kwargs: Any,
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        if mining not in MININGS:
            raise ValueError(f"mining: expected one of {', '.join(MININGS)}, received {mining!r}")
        self.mining = mining
        self.margin = _checked_margin(margin)
        self.distance = _checked_distance(distance)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        distances = pairwise_distances(y_pred, y_pred, self.distance)
        mine = {"hard": self._hard, "all": self._all, "semi_hard": self._semi_hard}[self.mining]
        return mine(distances, positive, negative)

    def _hard(self, distances: Any, positive: Any, negative: Any) -> Any:
        farthest, nearest, valid = hardest(distances, positive, negative)
        return _mean_over(ops.where(valid, _hinge(farthest - nearest, self.margin), 0.0), valid)

    def _all(self, distances: Any, positive: Any, negative: Any) -> Any:
        triplet = ops.logical_and(positive[:, :, None], negative[:, None, :])  # (anchor, positive, negative)
        values = ops.where(triplet, _hinge(distances[:, :, None] - distances[:, None, :], self.margin), 0.0)
        active = values > 0.0
        return _mean_over(ops.sum(values, axis=(1, 2)), active)

    def _semi_hard(self, distances: Any, positive: Any, negative: Any) -> Any:
        # For the pair (a, p), along the last axis: negatives of a that lie beyond p.
        beyond = ops.logical_and(negative[:, None, :], distances[:, None, :] > distances[:, :, None])
        nearest = ops.min(ops.where(beyond, distances[:, None, :], _FAR), axis=2)
        farthest = ops.max(ops.where(negative, distances, -_FAR), axis=1, keepdims=True)
        chosen = ops.where(ops.any(beyond, axis=2), nearest, farthest)
        pair = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        values = ops.where(pair, _hinge(distances - chosen, self.margin), 0.0)
        return _mean_over(ops.sum(values, axis=1), pair)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"margin": self.margin, "mining": self.mining, "distance": self.distance}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kreid")
class CentroidTripletLoss(PairLoss):
    """Triplets of an image, its person's centroid, and the nearest centroid of another person.

    The positive centroid leaves the anchor out, so that an anchor cannot pull itself.

    Args:
        margin: in units of the distance, or `"soft"`.
        distance: `"euclidean"`, `"squared_euclidean"` or `"cosine"`.
        same_action: negatives only from the anchor's own action.

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for an unknown distance or a negative margin.

    Example:
        >>> loss = CentroidTripletLoss(margin=0.3)

    Reference:
        Wieczorek et al., On the Unreasonable Effectiveness of Centroids in Image Retrieval, ICONIP 2021.
    """

    def __init__(
        self,
        margin: float | str = 0.3,
        distance: str = "euclidean",
        same_action: bool = True,
        name: str = "centroid_triplet",
        **kwargs: Any,
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        self.margin = _checked_margin(margin)
        self.distance = _checked_distance(distance)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        others = ops.cast(positive, "float32")
        count = ops.sum(others, axis=1, keepdims=True)
        total = ops.matmul(others, y_pred)
        own = total / ops.maximum(count, 1.0)
        centroids = (total + y_pred) / (count + 1.0)
        to_centroids = pairwise_distances(y_pred, centroids, self.distance)
        # Only the diagonal is wanted, but N is small and one distance function serves all.
        to_own = ops.diagonal(pairwise_distances(y_pred, own, self.distance))
        nearest = ops.min(ops.where(negative, to_centroids, _FAR), axis=1)
        valid = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
        return _mean_over(ops.where(valid, _hinge(to_own - nearest, self.margin), 0.0), valid)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "distance": self.distance}


@keras.saving.register_keras_serializable(package="kreid")
class InfoNCELoss(PairLoss):
    """Contrast of each positive with all negatives: `-log(e^(s_ap/t) / (e^(s_ap/t) + sum_n e^(s_an/t)))`, s = cosine.

    The mean over the positive pairs (a, p) of the batch; other positives of a are not in the denominator.

    Args:
        temperature: t, positive; 0.1 is ours.
        same_action: negatives only from the anchor's own action.

    Input shape:
        `y_true` `(N, 2)` integers [person, action], `y_pred` `(N, D)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for a temperature that is not positive.

    Example:
        >>> loss = InfoNCELoss(temperature=0.1)

    Reference:
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018.
    """

    def __init__(
        self, temperature: float = 0.1, same_action: bool = True, name: str = "info_nce", **kwargs: Any
    ) -> None:
        super().__init__(same_action=same_action, name=name, **kwargs)
        if not temperature > 0:
            raise ValueError(f"temperature: expected a positive number, received {temperature}")
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each anchor (N,)."""
        positive, negative = pair_masks(y_true, self.same_action)
        scores = (1.0 - pairwise_distances(y_pred, y_pred, "cosine")) / self.temperature
        against = ops.logsumexp(ops.where(negative, scores, -_FAR), axis=1, keepdims=True)
        pair = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
        values = ops.where(pair, ops.softplus(ops.where(pair, against - scores, 0.0)), 0.0)
        return _mean_over(ops.sum(values, axis=1), pair)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="kreid")
class IdentityLoss(keras.losses.Loss):
    """Cross entropy of the person (paper II.E), optionally with label smoothing.

    The target is `1 - e` on the person and `e / C` spread over all C classes.

    Args:
        label_smoothing: e in [0, 1); 0 is the paper's plain cross entropy.

    Input shape:
        `y_true` `(N, 2)` integers [person, action] with person in [0, C), `y_pred` logits `(N, C)`.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: for smoothing outside [0, 1).

    Example:
        >>> loss = IdentityLoss(label_smoothing=0.1)

    Reference:
        Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "identity", **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing: expected a number in [0, 1), received {label_smoothing}")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image (N,)."""
        log_probability = ops.log_softmax(y_pred, axis=1)
        person = ops.cast(y_true[:, :1], "int32")
        own = ops.squeeze(ops.take_along_axis(log_probability, person, axis=1), axis=1)
        spread = ops.mean(log_probability, axis=1)
        return -(1.0 - self.label_smoothing) * own - self.label_smoothing * spread

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction, "label_smoothing": self.label_smoothing}


def hardest(distances: Any, positive: Any, negative: Any) -> tuple[Any, Any, Any]:
    """Farthest positive and nearest negative of each anchor, and which anchors have both: three (N,) tensors."""
    farthest = ops.max(ops.where(positive, distances, -_FAR), axis=1)
    nearest = ops.min(ops.where(negative, distances, _FAR), axis=1)
    return farthest, nearest, ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))


def triplet_statistics(labels: Any, embeddings: Any, margin: float = 0.3, same_action: bool = True) -> dict[str, Any]:
    """How hard a batch is, Euclidean: what the progress line and the logs show.

    Args:
        labels: `(N, 2)` [person, action].
        embeddings: `(N, D)`.
        margin: a triplet is active while `positive - negative + margin > 0`.
        same_action: negatives only from the anchor's own action.

    Returns:
        Scalars: `anchors`, how many have a triplet; `active`, the share of them whose hardest triplet is active;
        `positive` and `negative`, the mean hardest distances.
    """
    embeddings = ops.cast(embeddings, "float32")
    distances = pairwise_distances(embeddings, embeddings)
    farthest, nearest, valid = hardest(distances, *pair_masks(labels, same_action))
    weight = ops.cast(valid, "float32")
    count = ops.maximum(ops.sum(weight), 1.0)
    active = ops.cast(farthest - nearest + margin > 0.0, "float32")
    means = {"active": active, "positive": farthest, "negative": nearest}
    return {
        "anchors": ops.sum(weight),
        **{key: ops.sum(ops.where(valid, value, 0.0)) / count for key, value in means.items()},
    }


def _hinge(difference: Any, margin: float | str) -> Any:
    return ops.softplus(difference) if margin == "soft" else ops.relu(difference + margin)


def _checked_margin(margin: float | str) -> float | str:
    if margin != "soft" and (isinstance(margin, str) or margin < 0):
        raise ValueError(f'margin: expected a number >= 0 or "soft", received {margin!r}')
    return margin


def _checked_distance(distance: str) -> str:
    if distance not in DISTANCES:
        raise ValueError(f"distance: expected one of {', '.join(DISTANCES)}, received {distance!r}")
    return distance
