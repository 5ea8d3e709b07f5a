"""Muon for networks of convolutions, whose kernels Keras's own leaves to Adam."""

import re
from collections.abc import Sequence

import keras
from keras import ops

from kreid.types import Tensor


@keras.saving.register_keras_serializable(package="kreid")
class Muon(keras.optimizers.Muon):
    """Momentum whose matrices are made orthogonal before each update; Adam for everything that is no matrix.

    A kernel (C, D) of a fully connected layer or (h, w, C, D) of a convolution counts as the matrix of its inputs
    against its D outputs, and its update U S V^T becomes about U V^T: what the batch says of rare directions moves the
    kernel as far as what it says of common ones. The root mean square of an update of full rank is about 0.2 of the
    learning rate, as Adam's is. What learns by Adam at the same rate: kernels of one channel, in or out (depthwise
    ones), kernels of other shapes (KerasHub's attention, whose three dimensions do not say which are inputs), those of
    classifiers, biases, norms, tokens and positions.

    Args:
        learning_rate: of both; from random weights five times Adam's has served.
        weight_decay: decoupled, of both; None: none.
        exclude_layers: regular expressions; where one is found in a variable's path, Adam takes it.
        kwargs: those of `keras.optimizers.Muon`; `exclude_embeddings` changes nothing, as no embedding is a kernel.

    Example:
        >>> optimizer = Muon(learning_rate=1.5e-2)

    Reference:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the scale of updates: Liu et
        al., "Muon is Scalable for LLM Training", 2025, equation 4.
    """

    def __init__(
        self,
        learning_rate: float = 1.5e-2,
        weight_decay: float | None = None,
        exclude_layers: Sequence[str] = ("logits",),
        name: str = "muon",
        **kwargs: object,
    ) -> None:
        given = {"adam_weight_decay": weight_decay, "exclude_layers": list(exclude_layers), **kwargs}
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name=name, **given)

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        if variable.name != "kernel" or len(variable.shape) not in (2, 4) or min(variable.shape[-2:]) == 1:
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def _muon_update_step(self, gradient: Tensor, variable: keras.Variable, lr: Tensor, m: keras.Variable) -> None:
        """As Keras's, with the kernel as one matrix."""
        self.assign_add(m, gradient + (self.momentum - 1) * m)
        ahead = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        step = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(step, variable.shape))
