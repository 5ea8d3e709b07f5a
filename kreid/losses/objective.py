"""From the `loss` section of a configuration to one Keras loss for each trained output of a model."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from kreid.errors import ConfigError
from kreid.losses.pairs import PairLoss
from kreid.losses.table import CLASSIFIERS, LOSSES, LossRow
from kreid.types import Tensor

if TYPE_CHECKING:
    from kreid.config.sections import Loss


@keras.saving.register_keras_serializable(package="kreid")
class WeightedSum(PairLoss):
    """Weighted sum of losses on one output.

    Args:
        losses: Keras losses whose `call` returns `(N,)`.
        weights: one factor a loss.

    Input shape:
        That of the losses.

    Output shape:
        `(N,)` before reduction.

    Raises:
        ValueError: where the numbers of losses and weights differ, or there are none.

    Example:
        >>> loss = WeightedSum([TripletLoss(), InfoNCELoss()], [1.0, 0.5])
    """

    def __init__(
        self, losses: Sequence[keras.losses.Loss], weights: Sequence[float], name: str = "weighted_sum", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if len(losses) != len(weights) or not losses:
            raise ValueError(f"weights: expected one for each of {len(losses)} losses, received {len(weights)}")
        self.losses = list(losses)
        self.weights = list(weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the weighted sum of each image (N,)."""
        terms = [weight * loss.call(y_true, y_pred) for loss, weight in zip(self.losses, self.weights, strict=True)]
        return ops.sum(ops.stack(terms), axis=0)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """What the losses learn themselves, such as a temperature."""
        return [variable for loss in self.losses for variable in getattr(loss, "trainable_variables", [])]

    def figures(self) -> dict[str, Tensor]:
        """What the losses tell of themselves while they learn, by name."""
        return {name: value for loss in self.losses for name, value in getattr(loss, "figures", dict)().items()}

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {"name": self.name, "reduction": self.reduction, "losses": losses, "weights": self.weights}

    @classmethod
    def from_config(cls, config: dict) -> "WeightedSum":
        """Build the loss, and those inside it, from `get_config`'s dict."""
        for row in LOSSES.values():
            row.load()  # Keras finds a class once its module is imported
        losses = [keras.saving.deserialize_keras_object(loss) for loss in config["losses"]]
        return cls(**{**config, "losses": losses})


def trained_outputs(outputs: Iterable[str]) -> list[str]:
    """Names of a model's outputs that losses train: all but an `embedding` that only joins or rescales others."""
    names = list(outputs)
    return [name for name in names if name != "embedding"] if "final" in names else names


def build_losses(config: "Loss", outputs: Iterable[str]) -> dict[str, keras.losses.Loss]:
    """One loss for each trained output.

    Args:
        config: the `loss` section of a configuration.
        outputs: names of the model's outputs, `model.output_names` or the keys of its output dict.

    Returns:
        `{output name: loss}`, for `model.compile(loss=...)`.

    Raises:
        ConfigError: if a loss of a classifier is asked for and the model has none.

    Example:
        >>> model.compile("adam", loss=build_losses(config.loss, model.output))
    """
    names = trained_outputs(outputs)
    for output, key in CLASSIFIERS.items():
        for name in config.weights(output):
            if output not in names:
                raise ConfigError(f"loss.{LOSSES[name].weight_key}: the model has no {output}; set model.{key}")
    losses = {}
    for name in names:
        weights = _weights(config, name)
        if weights:
            parts = [_build(LOSSES[loss], config) for loss in weights]
            losses[name] = WeightedSum(parts, list(weights.values()), name=name)
    return losses


def _weights(config: "Loss", output: str) -> dict[str, float]:
    """Name -> weight of the losses of one output."""
    for classifier in CLASSIFIERS:
        if output == classifier:
            return config.weights(classifier)
    share = 1.0 if output in ("embedding", "final") else config.head_weight
    return {name: share * weight for name, weight in config.weights("vectors").items() if share * weight > 0}


def _build(row: LossRow, config: "Loss") -> keras.losses.Loss:
    """The loss of a row, with what its keys of the section say."""
    return row.load()(**{argument: getattr(config, key) for argument, key in row.keys.items()})
