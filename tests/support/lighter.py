"""Keras, TensorFlow and JAX without the part of their bookkeeping that takes longer than tiny networks compute.

Each of these answers as what it replaces does, or draws other numbers from the same distribution. Commands in processes
of their own go without them, as whoever uses kreid does.
"""

import functools
import inspect
import types
import typing

import numpy as np

_CONSTANTS = (bool, int, float, str, types.NoneType, types.FunctionType, inspect.Signature)


def lighten() -> None:
    """Apply them to this process, which has imported Keras."""
    import keras

    _set_constants_at_once(keras.Layer)
    _remember_signatures()
    if keras.backend.backend() == "jax":
        from jax import device_put as tensor_of
    else:
        from tensorflow import constant as tensor_of

        _name_no_variables()
    _start_from_numpy(tensor_of)


def _set_constants_at_once(layer: type) -> None:
    """Numbers and words are nothing to track: a layer sets some 50 attributes, each through six functions."""
    set_tracked = layer.__setattr__

    def set_attribute(self, name, value):
        if type(value) in _CONSTANTS:
            object.__setattr__(self, name, value)
        else:
            set_tracked(self, name, value)

    layer.__setattr__ = set_attribute


def _remember_signatures() -> None:
    """Keras asks for the signatures of a layer's methods whenever it makes or calls one."""
    look_up = inspect.signature
    of_function = functools.lru_cache(maxsize=None)(look_up)
    of_method = functools.lru_cache(maxsize=None)(lambda function: look_up(types.MethodType(function, ...)))

    def signature(what, **options):
        lasting = getattr(what, "__func__", what)
        if options or type(lasting) is not types.FunctionType or lasting.__closure__:  # which would keep layers alive
            return look_up(what, **options)
        return of_function(what) if lasting is what else of_method(lasting)

    inspect.signature = signature
    if hasattr(typing, "_get_protocol_attrs"):  # of Python 3.11, which makes the list for each `isinstance`
        typing._get_protocol_attrs = functools.lru_cache(maxsize=None)(typing._get_protocol_attrs)


def _name_no_variables() -> None:
    """Leave out the names that TensorFlow debugs by: it makes a kernel for each, a quarter of building a network."""
    from tensorflow.python.eager import context
    from tensorflow.python.ops import gen_resource_variable_ops as module

    make = module.var_handle_op

    def make_nameless(*args, **given):
        nameless = {"debug_name": ""} if "debug_name" in given and context.executing_eagerly() else {}  # not in exports
        return make(*args, **{**given, **nameless})

    module.var_handle_op = make_nameless


def _start_from_numpy(tensor_of: typing.Callable) -> None:
    """Fill variables by NumPy: JAX compiles what fills one, for each shape anew; TensorFlow takes five operations."""
    import keras
    from keras.src.initializers import random_initializers

    def as_tensor(values, dtype):
        return tensor_of(np.asarray(values).astype(keras.backend.standardize_dtype(dtype)))

    def of_a_number(by_numpy, by_keras):
        def draw(shape, *moments, dtype=None, seed=None, **named):
            if not isinstance(seed, int):  # a generator of seeds, which belongs to a layer
                return by_keras(shape, *moments, dtype=dtype, seed=seed, **named)
            return as_tensor(by_numpy(np.random.default_rng(seed), shape, *moments, **named), dtype)

        return draw

    by_keras = random_initializers.random
    draws = {
        one.__name__: of_a_number(one, getattr(by_keras, one.__name__)) for one in (normal, truncated_normal, uniform)
    }
    random_initializers.random = types.SimpleNamespace(**{**vars(by_keras), **draws})
    for kind, value in ((keras.initializers.Zeros, 0), (keras.initializers.Ones, 1)):
        kind.__call__ = lambda self, shape, dtype=None, value=value: as_tensor(np.full(shape, value), dtype)
    keras.initializers.Constant.__call__ = lambda self, shape, dtype=None: as_tensor(np.full(shape, self.value), dtype)


def normal(generator: np.random.Generator, shape: tuple, mean: float = 0.0, stddev: float = 1.0) -> np.ndarray:
    """As `keras.random.normal` of a generator."""
    return generator.normal(mean, stddev, shape)


def truncated_normal(
    generator: np.random.Generator, shape: tuple, mean: float = 0.0, stddev: float = 1.0
) -> np.ndarray:
    """As `keras.random.truncated_normal`, which draws anew what is beyond two standard deviations."""
    values = np.asarray(generator.standard_normal(shape))
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(outside.sum())
    return mean + stddev * values


def uniform(generator: np.random.Generator, shape: tuple, minval: float = 0.0, maxval: float = 1.0) -> np.ndarray:
    """As `keras.random.uniform` of a generator."""
    return generator.uniform(minval, maxval, shape)
