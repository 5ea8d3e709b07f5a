"""From the gradients of batches to new weights: accumulation, loss scale, clipping, rates, optimiser, average."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from kreid.config.sections import Train
from kreid.training.layer_groups import rate_groups
from kreid.training.optimizers import build_optimizer
from kreid.types import Tensor

Values: TypeAlias = Tensor
"""A tensor, or those of all replicas, as a strategy gives and takes them where it has several."""

_FIRST_SCALE = 2.0**15  # of the loss under float16; halved by every gradient that overflows
_GROWTH = 2000  # updates without one after which it doubles


class Updater:
    """One update after every `accumulate` batches, equal on every replica.

    Their mean gradient, clipped by its norm, goes to one Keras optimiser for each learning rate (Adam would undo a
    factor on the gradient), then the moving average follows. A gradient that is not finite changes nothing; under
    float16 it halves the loss scale.

    Args:
        config: the `train` section.
        model: built in the scope of the current strategy, every layer trainable.
        others: variables that learn beside the model's, at the plain rate.

    Attributes:
        groups: an optimiser and its variables for each `(factor on the learning rate, frozen at first)`.
        averages: the moving average of every variable that learns, where `ema` keeps one.
    """

    def __init__(self, config: Train, model: keras.Model, others: Sequence[keras.Variable] = ()) -> None:
        self.config = config
        self.strategy = tf.distribute.get_strategy()
        self.groups: dict[tuple[float, bool], tuple[keras.optimizers.Optimizer, list[keras.Variable]]] = {}
        groups = rate_groups(model, config)
        if others:
            groups.setdefault((1.0, False), []).extend(others)
        for key, variables in groups.items():
            optimizer = build_optimizer(config)
            optimizer.build(variables)
            # Gradients come summed over the replicas, for it is the sum that is accumulated, checked and clipped. Keras
            # would sum them again, and has no public way to leave that out.
            optimizer._all_reduce_sum_gradients = list
            self.groups[key] = optimizer, variables
        self.learning = [variable for _, variables in self.groups.values() for variable in variables]
        self.batches = _variable(0, "batches", "int64")
        self.sums = [_variable(np.zeros(v.shape), "sum") for v in self.learning] if config.accumulate > 1 else []
        self.averages = [_variable(np.asarray(v), "average") for v in self.learning] if config.ema else []
        scaled = config.precision == "mixed_float16"
        self.scale = _variable(_FIRST_SCALE, "loss_scale") if scaled else None
        self.good = _variable(0, "good_updates", "int64") if scaled else None

    @property
    def variables(self) -> list[keras.Variable]:
        """Everything that a resumed run needs."""
        own = [self.batches, *self.sums, *self.averages]
        scale = [self.scale, self.good] if self.scale is not None else []
        return [*(v for optimizer, _ in self.groups.values() for v in optimizer.variables), *own, *scale]

    def set_learning_rate(self, rate: float) -> None:
        """Set the rate of every optimiser, each by its factor."""
        for (factor, _), (optimizer, _) in self.groups.items():
            optimizer.learning_rate.assign(rate * factor)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The moving average in the place of the weights for a while, where `ema` keeps one."""
        trained = [np.asarray(variable) for variable in self.learning] if self.averages else []
        for variable, average in zip(self.learning, self.averages, strict=False):
            variable.assign(np.asarray(average))
        try:
            yield
        finally:
            for variable, value in zip(self.learning, trained, strict=False):
                variable.assign(value)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """What to differentiate instead of the loss."""
        return loss if self.scale is None else loss * tf.convert_to_tensor(self.scale)

    def apply(self, gradients: list[Values], variables: list[keras.Variable]) -> Tensor:
        """Take the gradients of one batch; in a `tf.function`, outside `strategy.run`.

        Args:
            gradients: of the scaled loss, summed over the replicas: one a variable, per replica.
            variables: those that learn now.

        Returns:
            Whether all gradients since the last update are finite, a scalar.
        """
        mine = {id(variable): total for variable, total in zip(self.learning, self.sums, strict=False)}
        sums = [mine[id(variable)] for variable in variables] if self.sums else []
        for total, gradient in zip(sums, gradients, strict=bool(sums)):
            self._on_each(lambda kept, new: kept.assign_add(new), total, gradient)
        finite = self.strategy.run(_all_finite, args=(sums or gradients,))
        finite = self.strategy.experimental_local_results(finite)[0]
        due = (tf.convert_to_tensor(self.batches) + 1) % self.config.accumulate == 0
        tf.cond(due & finite, lambda: self._update(sums or gradients, variables), tf.no_op)
        if self.sums:
            tf.cond(due, self._clear, tf.no_op)
        if self.scale is not None and self.good is not None:
            scale, good = self.scale, self.good
            tf.cond(due, lambda: _rescale(scale, good, finite), tf.no_op)
        self.batches.assign_add(1)
        return finite

    def _update(self, gradients: list[Values], variables: list[keras.Variable]) -> tf.Operation:
        self.strategy.run(lambda given: self._optimize(given, variables), args=(gradients,))
        momentum = self.config.ema
        for average, variable in zip(self.averages, self.learning, strict=False):
            self._on_each(lambda kept, new: kept.assign_sub((1 - momentum) * (kept - new)), average, variable.value)
        return tf.no_op()

    def _optimize(self, gradients: list[Tensor], variables: list[keras.Variable]) -> None:
        """On a replica: the mean gradient, clipped, to the optimisers."""
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if self.sums:
            gradients = [gradient / self.config.accumulate for gradient in gradients]
        if self.scale is not None:
            gradients = [gradient / tf.convert_to_tensor(self.scale) for gradient in gradients]
        if self.config.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.config.clip_norm)
        known = {id(variable): gradient for variable, gradient in zip(variables, gradients, strict=True)}
        for optimizer, own in self.groups.values():
            learning = [variable for variable in own if id(variable) in known]
            if learning:
                optimizer.apply([known[id(variable)] for variable in learning], learning)

    def _clear(self) -> tf.Operation:
        for total in self.sums:
            self._on_each(lambda kept: kept.assign(tf.zeros_like(kept)), total)
        return tf.no_op()

    def _on_each(self, change: Callable, variable: keras.Variable, *values: Values) -> None:
        """Change a variable on every replica, by its own part of the values."""
        self.strategy.extended.update(variable.value, change, args=values, group=False)


def _rescale(scale: keras.Variable, good: keras.Variable, finite: Tensor) -> tf.Operation:
    """Halve the loss scale after an overflow, double it after many `good` updates without one."""
    grown = tf.convert_to_tensor(good) + 1 >= _GROWTH
    now = tf.convert_to_tensor(scale)
    scale.assign(tf.where(finite, tf.where(grown, 2 * now, now), now / 2))
    good.assign(tf.where(finite & ~grown, tf.convert_to_tensor(good) + 1, 0))
    return tf.no_op()


def _variable(value: float | np.ndarray, name: str, dtype: str = "float32") -> keras.Variable:
    return keras.Variable(np.asarray(value, dtype), trainable=False, dtype=dtype, name=name)


def _all_finite(values: list[Tensor]) -> Tensor:
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(value))) for value in values])
