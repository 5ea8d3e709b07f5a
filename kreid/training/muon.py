"""Muon for networks of convolutions, whose kernels Keras's own leaves to Adam."""

import math

import keras
from keras import ops

from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class Muon(keras.optimizers.Muon):
    """Momentum whose matrices are made orthogonal before each update; Adam for everything that is no matrix.

    A kernel (..., C, D) of a convolution or a fully connected layer counts as the matrix of its inputs against its D
    outputs, and its update U S V^T becomes about U V^T: what the batch says of rare directions moves the kernel as far
    as what it says of common ones. An update's root mean square is 0.2 of the learning rate, about Adam's. What learns
    by Adam at the same rate: kernels of one input or output (depthwise ones), those of classifiers, whose layers are
    named `...logits`, biases, norms, tokens and positions.

    Args:
        learning_rate: of both; from random weights five times Adam's has served.
        weight_decay: decoupled, of both; None: none.
        kwargs: those of `keras.optimizers.Muon`.

    Example:
        >>> optimizer = Muon(learning_rate=1.5e-2)

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the scale of updates: Liu et
        al., "Muon is Scalable for LLM Training", 2025, equation 4.
    """

    def __init__(
        self, learning_rate: float = 1.5e-2, weight_decay: float | None = None, name: str = "muon", **kwargs: object
    ) -> None:
        given = {"adam_weight_decay": weight_decay, **kwargs}
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name=name, **given)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        if variable.name != "kernel" or len(variable.shape) < 2 or "logits" in variable.path:
            return True
        *inputs, outputs = variable.shape
        return min(math.prod(inputs), outputs) == 1

    def _muon_update_step(self, gradient: Tensor, variable: keras.Variable, lr: Tensor, m: keras.Variable) -> None:
        """As Keras's, with the kernel as one matrix."""
        self.assign_add(m, gradient + (self.momentum - 1) * m)
        ahead = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        step = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(step, variable.shape))
