"""Optimisers and learning-rate schedules of the `train` section."""

import math

import keras

from kreid.config.sections import Train
from kreid.training.muon import Muon


def learning_rate(config: Train, epoch: float) -> float:
    """The learning rate at a point of the run.

    Args:
        config: the `train` section.
        epoch: epochs done, with the fraction of the running one.

    Returns:
        `learning_rate`, after a linear rise over `warmup_epochs`, then: `step`, times `decay` every `decay_epochs`;
        `cosine`, falling to 0 at `epochs`; `constant`.
    """
    if epoch < config.warmup_epochs:
        return config.learning_rate * min(max(epoch, 1e-3) / config.warmup_epochs, 1.0)
    if config.schedule == "step":
        return config.learning_rate * config.decay ** math.floor(epoch / config.decay_epochs)
    if config.schedule == "cosine":
        done = (epoch - config.warmup_epochs) / max(config.epochs - config.warmup_epochs, 1e-9)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return config.learning_rate


def build_optimizer(config: Train) -> keras.optimizers.Optimizer:
    """The optimiser of the `train` section; the training loop sets its learning rate.

    Weight decay is decoupled from the gradient (AdamW) for `adamw`, `sgd` and `muon`, and left out of norms, biases, a
    Transformer's tokens and positions, and a learnt temperature; `adam` takes none, because L2 inside Adam with a
    triplet-only loss drives most convolution weights to zero. Accumulation, clipping and averages are
    `kreid.training.updater`'.
    """
    # One name, whatever was built before in the process: checkpoints know variables by their paths.
    options = {"learning_rate": config.learning_rate, "name": "optimizer"}
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            momentum=0.9, nesterov=True, weight_decay=config.weight_decay or None, **options
        )
    elif config.optimizer == "muon":
        optimizer = Muon(config.learning_rate, config.weight_decay or None, name="optimizer")
    elif config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, **options)
    else:
        optimizer = keras.optimizers.Adam(**options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha", "tokens", "embedding", "log_"])
    return optimizer
