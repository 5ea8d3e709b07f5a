"""Gradients on whichever backend Keras runs on."""

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
