"""Gradients on whichever backend Keras runs on."""

import json

import keras
import numpy as np


def gradient(function, *inputs):
    """Value and gradients of a scalar `function` of float32 arrays, as NumPy."""
    if keras.backend.backend() == "jax":
        import jax

        of_all = jax.value_and_grad(function, argnums=tuple(range(len(inputs))))
        value, found = jax.jit(of_all)(*map(np.float32, inputs))
        return float(value), [np.asarray(g) for g in found]
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(np.float32(x)) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    return float(value), [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(value, tensors)]


_COMPILED = {}  # what JAX has compiled, by class and configuration of the loss


def gradient_of_loss(loss, labels, features):
    """Value and gradient of a loss in the features, as NumPy; JAX compiles but once for equal losses and shapes."""
    if keras.backend.backend() != "jax":
        value, (found,) = gradient(lambda x: loss(labels, x), features)
        return value, found
    import jax

    config = {key: value for key, value in loss.get_config().items() if key != "name"}
    key = type(loss), json.dumps(config, sort_keys=True)
    if key not in _COMPILED:
        _COMPILED[key] = jax.jit(jax.value_and_grad(lambda x, labels: loss(labels, x)))
    value, found = _COMPILED[key](np.float32(features), np.int32(labels))
    return float(value), np.asarray(found)
