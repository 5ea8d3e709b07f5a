"""What every layer, loss and model of the project must do, on either backend: one generic check for each.

They take a constructor rather than an object, to build it again under another precision, and raise an AssertionError
that says what differs.
"""

import inspect
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import ops

from kreid.models.hub import HubBackbone

# The largest relative error of rounding one number: half a unit of its last bit.
ROUNDING = {"mixed_bfloat16": 2.0**-8, "mixed_float16": 2.0**-11}
# How far a thing and its copy may be apart, as a share of the largest entry: sixteen roundings of float32.
SAME = 16 * 2.0**-24


def check_layer(make: Callable[..., keras.Layer], *inputs: np.ndarray, roundings: int = 4) -> None:
    """Check a layer: shapes, batches, configuration, saving, precision and a training step.

    Args:
        make: builds the layer, with arguments that differ from their defaults; takes `dtype=` as well.
        inputs: float arrays (N, ..., C), N > 1; a layer of several inputs gets them as a list.
        roundings: how many roundings of a half-size number the output may be off, as a share of its largest entry.
    """
    layer = make()
    model = _functional(layer, inputs)
    _check_config(layer)
    again = type(layer).from_config(layer.get_config())
    copy = _functional(again, inputs)
    again.set_weights(layer.get_weights())
    exact, alone, copied = (_named(found) for found in _at_once(model, layer, copy)(_one_or_list(inputs)))
    _check_shapes(layer, alone, lambda batch: [(batch, *x.shape[1:]) for x in inputs])
    _check_batches(model, inputs, exact)
    _same(copied, exact, "from_config(get_config())")
    _check_saving(model, inputs, exact)
    for policy, rounding in ROUNDING.items():
        half = make(dtype=policy)
        mixed = _functional(half, inputs)
        half.set_weights(layer.get_weights())
        found, outputs = _at_once(half, mixed)(_one_or_list(inputs))
        assert keras.backend.standardize_dtype(found.dtype) == half.compute_dtype, f"{policy}: returns {found.dtype}"
        assert mixed.output.dtype == half.compute_dtype, f"{policy}: declares {mixed.output.dtype}"
        for name, value in _named(outputs).items():
            off = np.abs(value - exact[name]).max() / np.abs(exact[name]).max()
            assert off <= roundings * rounding, f"{policy}: {name} is off by {off / rounding:.1f} roundings"
    eagerly = keras.backend.backend() == "tensorflow"  # JAX compiles each operation by itself otherwise
    for policy in ("float32", *ROUNDING):
        with _policy(policy):
            _check_layer_trains(make(), inputs, run_eagerly=eagerly and policy != "float32")


def check_loss(make: Callable[..., keras.losses.Loss], labels: np.ndarray, predictions: np.ndarray) -> None:
    """Check a loss: one value an image, reductions, configuration, saving, precision and a training step.

    Args:
        make: builds the loss, with arguments that differ from their defaults; takes `reduction=` as well.
        labels: (N, ...), a batch whose loss is not zero.
        predictions: float array (N, D).
    """
    loss = make()
    each = make(reduction="none")
    for batch in (1, 2, len(labels)):
        values = compiled(each)(labels[:batch], predictions[:batch])
        assert tuple(values.shape) == (batch,), f"of {batch} images: expected ({batch},), returned {values.shape}"
        assert np.isfinite(_numpy(values)).all(), f"of {batch} images: {values}"
    _check_config(loss)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    value, copied = map(float, _at_once(loss, again)(labels, predictions))
    assert value > 0, f"expected a batch whose loss is not zero, returned {value}"
    mean = _numpy(values).mean()
    np.testing.assert_allclose(value, mean, rtol=1e-6, err_msg="the mean of what reduction=none returns")
    np.testing.assert_allclose(copied, value, rtol=SAME, err_msg="after serialize and deserialize")
    for policy in ROUNDING:
        rounded = ops.cast(predictions, policy.removeprefix("mixed_"))
        with _policy(policy):
            made_in_half = make()
        both = _at_once(lambda y, x: loss(y, ops.cast(x, "float32")), _under(policy, made_in_half))
        full, half = both(labels, rounded)
        assert keras.backend.standardize_dtype(half.dtype) == "float32", f"{policy}: returns {half.dtype}"
        np.testing.assert_allclose(float(half), float(full), rtol=1e-6, err_msg=f"{policy}: not computed in float32")
    if keras.backend.backend() == "tensorflow":  # JAX compiles anew for each, and losses compute in float32 under all
        for policy in ROUNDING:
            with _policy(policy):  # not compiled: what is traced is what runs in full precision, below
                _check_loss_trains(make(), labels, predictions, run_eagerly=True)
    _check_loss_is_saved(_check_loss_trains(loss, labels, predictions), loss, labels, predictions)


def check_model(
    make: Callable[[], keras.Model],
    images: np.ndarray,
    losses: Callable[[dict], dict[str, keras.losses.Loss]] | None,
    labels: np.ndarray,
    resting: Sequence[str] = (),
    saved: bool = True,
    halved: bool = True,
) -> None:
    """Check a model of named outputs: shapes, batches, names, saving, precision and a training step.

    On TensorFlow the step is not compiled: tracing a network of 400 layers takes ten times as long as the step, and
    finds no more than `check_layer` and `check_loss`, which compile what is ours, and the functional model, whose
    layers are traced as it is built. Of half precision float16 is tried, which overflows where bfloat16 does not; that
    layers compute in either, `check_layer` holds. JAX compiles anew for another batch, another precision and a copy,
    for seconds each: there images change places in one batch, half precision is left to `check_layer` altogether, and a
    copy is what has the same configuration and weights.

    Args:
        make: builds the model, random weights and all.
        images: (N, H, W, 3), N > 1, each unlike the others.
        losses: makes of the model's outputs the losses by output name, for `compile`; None where a training step is
            tested elsewhere.
        labels: (N, ...), the same for every loss.
        resting: names of layers which a training step may leave as they are.
        saved: save and load it; False where another one of the same layers is.
        halved: compute it in half precision; False where the same model is, for another configuration.
    """
    model = make()
    exact = check_outputs(model, images)
    eagerly = keras.backend.backend() == "tensorflow"
    if eagerly:
        _check_batches(model, [images], exact)
    else:
        _check_places(model, images, exact)
    if saved and eagerly:
        _check_saving(model, [images], exact)
    elif saved:
        _check_copy(model, _saved_and_loaded(model))
    if halved and eagerly:
        with _policy("mixed_float16"):
            mixed = make()
        mixed.set_weights(model.get_weights())
        share = 128 * ROUNDING["mixed_float16"]
        _check_images_stay_apart("mixed_float16", exact, infer(mixed, images), share)
    if losses:
        learners = [layer for layer in _leaves(model) if layer.name not in resting]
        named = losses(model.output)
        _check_moved(learners, lambda: _fit(model, images, dict.fromkeys(named, labels), named, run_eagerly=eagerly))


def check_stated(model: keras.Model) -> None:
    """Check what a model of named outputs states without computing: its layers' names, and shapes of any batch."""
    _check_names(model)
    stated = model.compute_output_shape(model.input_shape)
    assert {name: tuple(shape) for name, shape in stated.items()} == {
        name: tuple(tensor.shape) for name, tensor in model.output.items()
    }


def check_outputs(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Check the shapes that a model of named outputs states, and its layers' names. Returns the outputs."""
    exact = infer(model, images)
    _check_shapes(model, exact, lambda batch: [(batch, *images.shape[1:])])
    _check_names(model)
    return exact


def infer(model: keras.Model, *inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What a network puts out, as at inference, by name, in float32."""
    # Compiled on JAX, which eagerly compiles each operation by itself, for seconds.
    call = model.predict_on_batch if keras.backend.backend() == "jax" else model
    return _named(call(_one_or_list(inputs)))


def in_training(model: keras.Model, images: np.ndarray) -> dict[str, object]:
    """What a network puts out while it learns, which moves its statistics."""
    if keras.backend.backend() != "jax":
        return model(images, training=True)
    learnt, others = (
        [variable.value for variable in group] for group in (model.trainable_variables, model.non_trainable_variables)
    )
    found, others = compiled(partial(model.stateless_call, training=True))(learnt, others, images)
    for variable, value in zip(model.non_trainable_variables, others, strict=True):
        variable.assign(value)
    return found


def classes_of(base: type) -> set[type]:
    """Every class of the project that derives from `base` and can be called, for a sweep that misses none."""
    found, open_ = set(), [base]
    while open_:
        open_ += (new := set(open_.pop().__subclasses__()) - found)
        found |= new
    return {cls for cls in found if cls.__module__.startswith("kreid.") and cls.call is not base.call}


# === What they are made of ===


def _one_or_list(values: Sequence) -> object:
    return values[0] if len(values) == 1 else list(values)


def _numpy(value: object) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(value, "float32"))


def _named(found: object) -> dict[str, np.ndarray]:
    """What a layer or a network returned, by name, in float32."""
    return {name: _numpy(value) for name, value in (found if isinstance(found, dict) else {"output": found}).items()}


def _same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], what: str) -> None:
    """Alike but for rounding: what is built anew is compiled anew, and a processor may then fuse other operations."""
    assert list(found) == list(expected), f"{what}: outputs {list(found)}, expected {list(expected)}"
    for name, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(found[name] / scale, value / scale, atol=SAME, rtol=0, err_msg=f"{what}: {name}")


def compiled(function: Callable) -> Callable:
    """The function; on JAX compiled, since each operation by itself takes longer to compile there, for each shape."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def _at_once(*functions: Callable) -> Callable:
    """What several functions return of the same arguments; on JAX from one compilation."""
    return compiled(lambda *given: [function(*given) for function in functions])


def _functional(layer: keras.Layer, inputs: Sequence[np.ndarray]) -> keras.Model:
    tensors = [keras.Input(x.shape[1:], name=f"input_{number}") for number, x in enumerate(inputs)]
    return keras.Model(_one_or_list(tensors), layer(_one_or_list(tensors)))


def _under(policy: str, function: Callable) -> Callable:
    """The function, called under another precision."""

    def call(*given):
        with _policy(policy):
            return function(*given)

    return call


@contextmanager
def _policy(name: str):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check_shapes(layer: keras.Layer, eager: dict[str, np.ndarray], shapes: Callable) -> None:
    """Compare `compute_output_shape`, for a known and for an open batch, with what a call returned."""
    batch = len(next(iter(eager.values())))
    for size in (batch, None):
        stated = layer.compute_output_shape(_one_or_list(shapes(size)))
        stated = stated if isinstance(stated, dict) else {"output": stated}
        expected = {name: (size, *value.shape[1:]) for name, value in eager.items()}
        assert {name: tuple(shape) for name, shape in stated.items()} == expected, (
            f"compute_output_shape of {shapes(size)}: states {stated}, a call returns {expected}"
        )


def _check_batches(model: keras.Model, inputs: Sequence[np.ndarray], exact: dict[str, np.ndarray]) -> None:
    """An image's output is its own, whatever the batch."""
    for name, value in infer(model, *(x[:1] for x in inputs)).items():
        assert len(value) == 1, f"{name}: {len(value)} rows of one image"
        scale = np.abs(exact[name]).max()
        np.testing.assert_allclose(value / scale, exact[name][:1] / scale, atol=1e-5, err_msg=f"{name} of one image")


def _check_config(thing: keras.Layer | keras.losses.Loss) -> None:
    """`get_config` holds every argument of the constructor and gives an equal thing, itself unchanged."""
    config = thing.get_config()
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    # Of a class that inherits its constructor, Python before 3.11.4 answers with that of `Layer.__new__`.
    _, *own = inspect.signature(type(thing).__init__).parameters.values()
    arguments = [p.name for p in own if p.kind not in kinds]
    dropped = [name for name in arguments if name not in config]
    assert not dropped, f"get_config() lacks {', '.join(dropped)}"
    json.dumps(keras.saving.serialize_keras_object(thing))
    given = deepcopy(config)
    again = type(thing).from_config(given)
    assert given == config, "from_config changes the dict that it is given"
    assert again.get_config() == config, f"from_config(get_config()): {again.get_config()}, expected {config}"


def _check_places(model: keras.Model, images: np.ndarray, exact: dict[str, np.ndarray]) -> None:
    """An image's output is its own, wherever it stands in the batch."""
    for name, value in infer(model, images[::-1]).items():
        scale = np.abs(exact[name]).max()
        np.testing.assert_allclose(value / scale, exact[name][::-1] / scale, atol=1e-5, err_msg=f"{name} turned round")


def _saved_and_loaded(model: keras.Model) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return keras.models.load_model(Path(folder) / "model.keras")


def _check_saving(model: keras.Model, inputs: Sequence[np.ndarray], exact: dict[str, np.ndarray]) -> None:
    loaded = _saved_and_loaded(model)
    assert [layer.name for layer in _ours(loaded)] == [layer.name for layer in _ours(model)]
    _same(infer(loaded, *inputs), exact, "loaded from .keras")


def _check_copy(model: keras.Model, copy: keras.Model) -> None:
    """The copy has the model's layers, connections and weights."""
    assert copy.to_json() == model.to_json()
    for ours, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def _leaves(model: keras.Model) -> list[keras.Layer]:
    return [leaf for leaf in model._flatten_layers() if leaf is not model and not isinstance(leaf, keras.Model)]


def _ours(model: keras.Model) -> list[keras.Layer]:
    """A model and its layers, but for those inside a backbone of KerasHub, which names some by number."""
    layers = list(model._flatten_layers())
    hubs = [layer for layer in layers if isinstance(layer, HubBackbone)]
    foreign = {id(layer) for hub in hubs for layer in hub._flatten_layers(include_self=False)}
    return [layer for layer in layers if id(layer) not in foreign]


def _check_names(model: keras.Model) -> None:
    """Every layer has its name from who built it: none is called after its class, as `conv2d_7` or `functional`."""
    for layer in _ours(model):
        own = keras.src.utils.naming.to_snake_case(type(layer).__name__)
        stem = layer.name.rstrip("0123456789").removesuffix("_")
        assert stem != own, f"{type(layer).__name__} {layer.name!r} has no name of its own"


def _check_images_stay_apart(policy: str, exact: dict, mixed: dict, share: float) -> None:
    """Under half the precision an image stays nearer to itself than images are to each other, in root mean square."""
    for name, value in exact.items():
        rows, moved = value.reshape(len(value), -1), mixed[name].reshape(len(value), -1)
        off = np.sqrt(np.mean(np.sum((moved - rows) ** 2, axis=1)))
        pairs = [rows[i] - rows[j] for i in range(len(rows)) for j in range(i)]
        apart = np.sqrt(np.mean(np.sum(np.square(pairs), axis=1)))
        assert off <= share * apart, f"{policy}: {name} is off by {off:.3g} where images are {apart:.3g} apart"


def _fit(model: keras.Model, x: object, y: object, loss: object, steps: int = 1, run_eagerly: bool = False) -> None:
    """Train on the one batch."""
    model.compile(keras.optimizers.SGD(0.01), loss=loss, run_eagerly=run_eagerly)
    with warnings.catch_warnings():  # of weights without a gradient, which the caller names
        warnings.filterwarnings("ignore", "Gradients do not exist")
        history = [model.train_on_batch(x, y) for _ in range(steps)]  # `fit` makes an iterator each time
    assert np.isfinite(history).all(), f"the loss of a training step: {history}"


def _check_moved(layers: Sequence[keras.Layer], fit: Callable[[], None]) -> None:
    weights = [weight for layer in layers for weight in layer.trainable_weights]
    before = [_numpy(weight) for weight in weights]
    fit()
    for weight, value in zip(weights, before, strict=True):
        assert np.isfinite(_numpy(weight)).all(), f"training makes {weight.path} {_numpy(weight)}"
        assert not np.array_equal(_numpy(weight), value), f"training leaves {weight.path} as before"


def _check_layer_trains(layer: keras.Layer, inputs: Sequence[np.ndarray], run_eagerly: bool) -> None:
    """What lies before the layer learns through it, and its own weights learn."""
    tensors = [keras.Input(x.shape[1:], name=f"input_{number}") for number, x in enumerate(inputs)]
    before = [keras.layers.Dense(x.shape[-1], name=f"before_{number}") for number, x in enumerate(inputs)]
    found = layer(_one_or_list([dense(tensor) for dense, tensor in zip(before, tensors, strict=True)]))
    found = keras.layers.Flatten(name="flat")(found)
    model = keras.Model(_one_or_list(tensors), keras.layers.Dense(1, dtype="float32", name="after")(found))
    targets = np.arange(len(inputs[0]), dtype="float32")[:, None]
    # Scaled losses of float16 overflow until the scale has fallen.
    _check_moved([*before, layer], lambda: _fit(model, _one_or_list(inputs), targets, "mse", 8, run_eagerly))


def _check_loss_trains(
    loss: keras.losses.Loss, labels: np.ndarray, predictions: np.ndarray, run_eagerly: bool = False
) -> keras.Model:
    """A model in front of the loss learns. Returns it."""
    inputs = keras.Input(predictions.shape[1:], name="features")
    # Without a bias: what compares images does not see what all have in common.
    options = {"kernel_initializer": "identity", "use_bias": False, "dtype": "float32"}
    dense = keras.layers.Dense(predictions.shape[1], name="dense", **options)
    model = keras.Model(inputs, dense(inputs))
    _check_moved([dense], lambda: _fit(model, predictions, labels, loss, steps=2, run_eagerly=run_eagerly))
    return model


def _check_loss_is_saved(model: keras.Model, loss: Callable, labels: np.ndarray, predictions: np.ndarray) -> None:
    """Compiled, and loaded with the model that was compiled with it, the loss is what it is by itself."""
    loaded = _saved_and_loaded(model)
    value = float(compiled(lambda y, x: loss(y, model(x)))(labels, predictions))
    for name, one in (("compiled", model), ("loaded", loaded)):
        found = one.test_on_batch(predictions, labels)
        np.testing.assert_allclose(found, value, rtol=1e-5, err_msg=name)
