"""Keras, TensorFlow and JAX without the part of their bookkeeping that takes longer than tiny networks compute.

Each of these answers as what it replaces does, or draws other numbers from the same distribution. Commands in processes
of their own go without them, as whoever uses kreid does.
"""

import functools
import inspect
import types
import typing
import unittest.mock
import weakref

import numpy as np

_CONSTANTS = (bool, int, float, str, types.NoneType, types.FunctionType, inspect.Signature)


LEFT_OUT: list[str] = []  # those that the installed version of what they shorten has no place for


def lighten() -> None:
    """Apply them to this process, which has imported Keras."""
    import keras

    if keras.backend.backend() == "jax":
        from jax import device_put as tensor_of

        own = [_lower_in_one_context]
    else:
        from tensorflow import constant as tensor_of

        own = [_name_no_variables, _note_one_place_for_all_operations, _look_for_no_tables]
    for shorten in (_set_constants_at_once, _remember_signatures, _remember_what_is_not_saved, *own):
        _try(shorten)
    _try(_start_from_numpy, tensor_of)


def _try(shorten: typing.Callable, *arguments: typing.Callable) -> None:
    try:
        shorten(*arguments)
    except (ImportError, AttributeError) as error:
        LEFT_OUT.append(f"{shorten.__name__}: {error}")


def _set_constants_at_once() -> None:
    """Numbers and words are nothing to track: a layer sets some 50 attributes, each through six functions."""
    import keras

    set_tracked = keras.Layer.__setattr__
    initializers = (one for one in vars(keras.initializers).values() if isinstance(one, type))
    constants = frozenset((*_CONSTANTS, keras.DTypePolicy, keras.InputSpec, *initializers))

    def set_attribute(self, name, value):
        kind = type(value)
        if kind in constants or (kind is tuple and all(type(one) in constants for one in value)):
            object.__setattr__(self, name, value)
        else:
            set_tracked(self, name, value)

    keras.Layer.__setattr__ = set_attribute


def _remember_signatures() -> None:
    """Keras asks for the signatures of a layer's methods whenever it makes or calls one."""
    look_up, arguments_of = inspect.signature, inspect.getfullargspec
    of_functions, of_methods, argument_lists = (weakref.WeakKeyDictionary() for _ in range(3))

    def remembered(known, function, answer):
        # What a function is given later may change its signature.
        if type(function) is not types.FunctionType or function.__dict__:
            return answer()
        if (found := known.get(function)) is None:
            found = known[function] = answer()
        return found

    def signature(obj, **options):
        if options:
            return look_up(obj, **options)
        if type(obj) is types.MethodType:
            return remembered(of_methods, obj.__func__, lambda: look_up(obj))
        return remembered(of_functions, obj, lambda: look_up(obj))

    inspect.signature = signature
    inspect.getfullargspec = lambda func: remembered(argument_lists, func, lambda: arguments_of(func))
    if hasattr(typing, "_get_protocol_attrs"):  # of Python 3.11, which makes the list for each `isinstance`
        typing._get_protocol_attrs = functools.lru_cache(maxsize=None)(typing._get_protocol_attrs)


def _remember_what_is_not_saved() -> None:
    """Keras makes a layer for each that it saves or loads, to see what all of them have: it keeps it under one name and
    looks for it under another."""
    from keras.src.saving import saving_lib

    saving_lib.get_attr_skipset = functools.lru_cache(maxsize=None)(saving_lib.get_attr_skipset)


def _name_no_variables() -> None:
    """Leave out the names that TensorFlow debugs by: it makes a kernel for each, a quarter of building a network."""
    from tensorflow.python.eager import context
    from tensorflow.python.ops import gen_resource_variable_ops as module

    make = module.var_handle_op

    def make_nameless(*args, **given):
        nameless = {"debug_name": ""} if "debug_name" in given and context.executing_eagerly() else {}  # not in exports
        return make(*args, **{**given, **nameless})

    module.var_handle_op = make_nameless


def _note_one_place_for_all_operations() -> None:
    """TensorFlow walks the whole stack, deep inside a test, for each operation that it traces, to say in an error
    where it was made."""
    from tensorflow.python.util import tf_stack

    here = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: here


def _look_for_no_tables() -> None:
    """An export traces each model in a model for itself on the way to tables of text, of which there are none."""
    from keras.src.export.saved_model_export_archive import SavedModelExportArchive as Archive
    from tensorflow import train

    class View:
        def __init__(self, root):
            pass

        def descendants(self):
            return []

    track = Archive._filter_and_track_resources

    def track_none(self):
        with unittest.mock.patch.object(train, "TrackableView", View):
            track(self)

    Archive._filter_and_track_resources = track_none


def _lower_in_one_context() -> None:
    """What JAX compiles is written in a context of MLIR, which it makes anew for each: registering a dozen dialects."""
    from jax._src.interpreters import mlir

    mlir.make_ir_context = functools.cache(mlir.make_ir_context)


def _start_from_numpy(tensor_of: typing.Callable) -> None:
    """Fill variables by NumPy: JAX compiles what fills one, for each shape anew; TensorFlow takes five operations."""
    import keras
    from keras.src.initializers import random_initializers

    def as_tensor(values, dtype):
        return tensor_of(np.asarray(values, keras.backend.standardize_dtype(dtype)))

    def is_plain(shape, dtype):
        sides = isinstance(shape, tuple | list) and all(type(side) is int for side in shape)
        return sides and keras.backend.is_float_dtype(keras.backend.standardize_dtype(dtype))

    def of_a_number(by_numpy, by_keras):
        def draw(shape, *moments, dtype=None, seed=None, **named):
            # Another seed is a layer's own generator of seeds, or a mistake, of which Keras tells.
            if type(seed) is int and 0 <= seed < 2**31 and is_plain(shape, dtype):
                return as_tensor(by_numpy(np.random.default_rng(seed), shape, *moments, **named), dtype)
            return by_keras(shape, *moments, dtype=dtype, seed=seed, **named)

        return draw

    def filled(kind, value_of):
        by_keras = kind.__call__

        def fill(self, shape, dtype=None):
            value = value_of(self)
            # Larger ones overflow in a half, and what is no number is a mistake: Keras says what becomes of them.
            if type(value) in (int, float) and abs(value) < 1e4 and is_plain(shape, dtype):
                one = np.asarray(value, keras.backend.standardize_dtype(dtype))
                return tensor_of(np.broadcast_to(one, shape))
            return by_keras(self, shape, dtype)

        kind.__call__ = fill

    by_keras = random_initializers.random
    draws = {
        one.__name__: of_a_number(one, getattr(by_keras, one.__name__)) for one in (normal, truncated_normal, uniform)
    }
    random_initializers.random = types.SimpleNamespace(**{**vars(by_keras), **draws})
    filled(keras.initializers.Zeros, lambda self: 0)
    filled(keras.initializers.Ones, lambda self: 1)
    filled(keras.initializers.Constant, lambda self: self.value)


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
