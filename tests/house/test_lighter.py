"""What the suite puts in the place of parts of Keras and of Python's own answers as they do."""

import functools
import inspect

import keras
import lighter
import numpy as np
import pytest
from keras.src.saving import saving_lib


class Scaled(keras.layers.Layer):
    """A layer with every kind of attribute."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.dense = keras.layers.Dense(3)
        self.steps = [keras.layers.Dense(2), 5]
        self.sides = (2, "same")
        self.pair = (keras.layers.Dense(1), 5)

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(2,))
        self.dense.build(shape)
        self.steps[0].build((None, 3))

    def call(self, inputs, training=False, *, twice: bool = True):
        return self.steps[0](self.dense(inputs)) * self.scale * self.factor


@pytest.mark.backend
def test_all_have_their_place_in_the_versions_of_the_lock():
    assert lighter.LEFT_OUT == []


def test_what_another_version_has_no_place_for_is_left_out(monkeypatch):
    monkeypatch.setattr(lighter, "LEFT_OUT", left_out := [])
    monkeypatch.delattr(saving_lib, "get_attr_skipset")
    lighter._try(lighter._remember_what_is_not_saved)
    assert [name.partition(":")[0] for name in left_out] == ["_remember_what_is_not_saved"]


def test_variables_and_layers_are_tracked_and_constants_are_set():
    layer = Scaled(3.0)
    layer.build((None, 4))
    assert [weight.path.rpartition("/")[2] for weight in layer.trainable_weights].count("kernel") == 2
    assert len(layer.trainable_weights) == 5
    layer.factor, layer.trainable = 4.0, False
    assert (layer.factor, layer.sides) == (4.0, (2, "same"))
    assert layer.pair[0] in layer._flatten_layers()
    assert layer.trainable_weights == []
    with pytest.raises(AttributeError):
        layer.variables = 5  # a property that cannot be set


def sample():
    layer, plain = Scaled(), lambda x, *, y=1: x
    return {
        "a method": layer.call,
        "a method of the class": Scaled.call,
        "one of Keras that is wrapped": layer.build,
        "a function": plain,
        "a closure": sample_of(plain),
        "a part": functools.partial(plain, y=2),
        "a static method": staticmethod(plain),
        "a class": Scaled,
        "a built-in": len,
    }


def sample_of(function):
    return lambda x: function(x)


@pytest.mark.parametrize("kind", sample())
def test_signatures_are_those_of_inspect(kind):
    what = sample()[kind]
    for _ in range(2):
        assert inspect.signature(what) == inspect.Signature.from_callable(what)


def test_arguments_are_those_of_inspect_even_when_a_function_is_changed():
    def changing(x, *, y=1): ...

    assert inspect.getfullargspec(Scaled.__init__).args == ["self", "factor"]
    for _ in range(2):
        assert inspect.getfullargspec(changing).kwonlyargs == ["y"]
        assert list(inspect.signature(changing).parameters) == ["x", "y"]
    changing.__signature__ = inspect.signature(len)
    assert inspect.signature(changing) == inspect.signature(len)


def test_of_a_layer_the_same_is_saved():
    kinds = ("Layer", "Functional", "Sequential", "Metric", "Optimizer", "Loss")
    for kind in kinds:
        answered = (saving_lib.get_attr_skipset(kind), saving_lib.get_attr_skipset.__wrapped__(kind))
        # Those of Python's own, which Keras leaves out anyway, come and go.
        known, asked = ({name for name in names if not name.startswith("__")} for names in answered)
        assert known == asked


def test_traced_operations_still_tell_what_is_wrong():
    import tensorflow as tf

    decode = tf.function(lambda data: tf.io.decode_png(data), autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)Unknown image file format.*node DecodePng"):
        decode(tf.constant(b"none"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        list(tf.data.Dataset.from_tensors(b"none").map(tf.io.decode_png))


@pytest.mark.backend
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "furthest"),
    [
        (keras.initializers.Zeros(), 0, 0, 0),
        (keras.initializers.Ones(), 1, 0, 1),
        (keras.initializers.Constant(-2.5), -2.5, 0, 2.5),
        (keras.initializers.RandomNormal(1.0, 2.0), 1, 2, 20),
        (keras.initializers.TruncatedNormal(0.0, 2.0), 0, 2 * 0.8796, 4),
        (keras.initializers.RandomUniform(-1.0, 3.0), 1, 4 / np.sqrt(12), 3),
        (keras.initializers.GlorotUniform(), 0, np.sqrt(2 / 300), np.sqrt(6 / 300)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Initializer) else "",
)
def test_variables_start_as_their_initializers_say(initializer, mean, deviation, furthest, dtype):
    value = initializer((200, 100), dtype)
    assert keras.backend.standardize_dtype(value.dtype) == dtype
    found = keras.ops.convert_to_numpy(value).astype("float64")
    assert found.shape == (200, 100)
    assert found.mean() == pytest.approx(mean, abs=0.03 * deviation + 1e-9)
    assert found.std() == pytest.approx(deviation, rel=0.03, abs=1e-9)
    assert np.abs(found).max() <= furthest * (1 + 2**-8)
    np.testing.assert_array_equal(found, keras.ops.convert_to_numpy(initializer((200, 100), dtype)).astype("float64"))


@pytest.mark.backend
def test_a_generator_of_seeds_goes_on():
    initializer = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(1))
    first, second = (keras.ops.convert_to_numpy(initializer((5,))) for _ in range(2))
    assert (first != second).all()


def test_a_scalar_is_drawn_too():
    assert abs(lighter.truncated_normal(np.random.default_rng(0), (), 0.0, 1.0)) <= 2


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX alone")
def test_what_jax_writes_in_one_context_is_what_it_writes_in_its_own(monkeypatch):
    import jax
    from jax._src.interpreters import mlir

    def written():
        functions = (lambda x: x @ x + 1.0, lambda x: x @ x + 2.0)
        return [jax.jit(function).lower(np.ones((2, 2), "float32")).as_text() for function in functions]

    assert mlir.make_ir_context() is mlir.make_ir_context()
    in_one = written()
    assert in_one == written()
    assert in_one[0] != in_one[1]
    monkeypatch.setattr(mlir, "make_ir_context", mlir.make_ir_context.__wrapped__)
    assert in_one == written()
