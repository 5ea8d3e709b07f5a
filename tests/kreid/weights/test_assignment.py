"""Assigning named tensors: against PyTorch's own output, and the cases a mapping by name can get wrong."""

import keras
import numpy as np
import pytest
from keras import layers
from paths import GOLDEN

from kreid.weights import Misshapen, Report, assign, read

pytestmark = pytest.mark.backend


def small():
    """The network of tests/golden/make_torch_small.py."""
    image = keras.Input((7, 6, 3))
    x = layers.Conv2D(4, (3, 5), padding="same", name="conv")(image)
    x = layers.BatchNormalization(epsilon=1e-5, name="bn")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = layers.Conv2D(6, 3, padding="same", groups=2, use_bias=False, name="grouped")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = layers.GroupNormalization(groups=-1, epsilon=1e-5, name="instance")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    x = layers.Dense(5, name="fc")(x)
    return keras.Model(image, layers.LayerNormalization(epsilon=1e-5, name="norm")(x), name="small")


def tiny(name="tiny"):
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, name="conv")(image)
    return keras.Model(image, layers.Dense(5, name="fc")(x), name=name)


def tensors(**changes):
    """Tensors that fit `tiny`, with changes; None takes one away, and `__` stands for a dot."""
    arrays = {
        "conv.weight": np.arange(6.0).reshape(3, 2, 1, 1),
        "conv.bias": np.array([7.0, 8.0, 9.0]),
        "fc.weight": np.arange(15.0).reshape(5, 3),
        "fc.bias": np.arange(5.0),
    }
    arrays |= {name.replace("__", "."): array for name, array in changes.items()}
    return {name: np.asarray(array) for name, array in arrays.items() if array is not None}


def check_refused(model, given, message, **options):
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        assign(model, given, **options)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["torch_small_checkpoint.pth", "torch_small_legacy.pth", "torch_small.npz"])
def test_every_kind_of_layer_computes_what_pytorch_computed(name):
    with np.load(GOLDEN / "torch_small.npz") as golden:
        images, expected = golden["images"], golden["output"]
    model = small()
    report = assign(model, read(GOLDEN / name))
    assert (len(report.loaded), report.missing, report.misshapen) == (16, (), ())
    assert report.unused == (("images", "output") if name.endswith("npz") else ())
    actual = keras.ops.convert_to_numpy(model(images, training=False))
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_sets_exactly_what_it_was_given():
    model = tiny()
    report = assign(model, tensors())
    assert report == Report(("conv.weight", "conv.bias", "fc.weight", "fc.bias"), (), (), ())
    kernel, bias, matrix, vector = model.get_weights()
    np.testing.assert_array_equal(kernel, [[[[0, 2, 4], [1, 3, 5]]]])
    np.testing.assert_array_equal(bias, [7, 8, 9])
    np.testing.assert_array_equal(matrix[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(vector, [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"conv__bias": None}, r"model tiny: 1 of 4 tensors are missing \(conv\.bias\); the file may have been cut"),
        (
            {"conv__weight": None, "fc__weight": None, "conv9__weight": 0.0},
            r"2 of 4 tensors are missing \(conv\.weight, fc\.weight\); the file has 1 others \(conv9\.weight\), per",
        ),
        (
            {"conv__weight": np.zeros((3, 4, 1, 1))},
            r"1 of 4 have another shape \(conv\.weight: expected \(3, 2, 1, 1\), received \(3, 4, 1, 1\)\); the same",
        ),
        ({"fc__weight": np.zeros((3, 5))}, r"fc\.weight: expected \(5, 3\), received \(3, 5\)"),
        ({"conv__bias": np.zeros(4)}, r"conv\.bias: expected \(3,\), received \(4,\)"),
        ({"fc__bias": np.array([0, np.nan, 1, np.inf, 2])}, r"fc\.bias: 2 of 5 values are NaN or infinite; nothing"),
        ({"fc__bias": np.full(5, 1e300)}, r"fc\.bias: 5 of 5 values are NaN or infinite"),
    ],
    ids=["cut", "another network", "width", "transposed", "vector", "not finite", "too large for float32"],
)
def test_nothing_is_loaded_when_something_does_not_fit(changes, message):
    check_refused(tiny(), tensors(**changes), message)


def test_another_network_is_told_by_its_names():
    message = r"none of the 2 tensors belongs to model tiny, .* it wants conv\.weight, conv\.bias, fc\.weight, \.\.\., "
    given = {"stem.weight": np.zeros(1), "stem.bias": np.zeros(1)}
    for strict in (True, False):
        check_refused(tiny(), given, message + r"the file has stem\.weight, stem\.bias", strict=strict)
    check_refused(tiny(), {}, "none of the 0 tensors")


def test_a_lenient_load_takes_what_fits_and_reports_the_rest():
    model = tiny()
    before = model.get_weights()
    given = tensors(fc__weight=np.zeros((7, 3)), fc__bias=None, head__bias=np.zeros(2))
    report = assign(model, given, strict=False)
    assert report == Report(
        loaded=("conv.weight", "conv.bias"),
        missing=("fc.bias",),
        unused=("head.bias",),
        misshapen=(Misshapen("fc.weight", (5, 3), (7, 3)),),
    )
    assert str(report) == (
        "2 tensors loaded, 1 missing (fc.bias), 1 unused (head.bias), "
        "1 misshapen (fc.weight: expected (5, 3), received (7, 3))"
    )
    np.testing.assert_array_equal(model.get_weights()[1], [7, 8, 9])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])


def test_a_lenient_load_still_refuses_nan():
    check_refused(tiny(), tensors(conv__bias=np.full(3, np.nan), fc__bias=None), "3 of 3 values are NaN", strict=False)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"conv": "stage.0.conv1", "fc": "fc"}, id="dict"),
        pytest.param({"conv": "stage.0.conv1"}, id="dict without the equal ones"),
        pytest.param(lambda name: name.replace("conv", "stage.0.conv1"), id="function"),
    ],
)
def test_names_lead_to_the_upstream_layer(names):
    given = {name.replace("conv", "stage.0.conv1"): array for name, array in tensors().items()}
    report = assign(tiny(), given, names=names)
    assert report.loaded == ("stage.0.conv1.weight", "stage.0.conv1.bias", "fc.weight", "fc.bias")
    check_refused(tiny(), given, "missing")


def test_a_layer_without_upstream_name_is_left_alone():
    report = assign(tiny(), tensors(fc__weight=None), names={"fc": None})
    assert report == Report(("conv.weight", "conv.bias"), (), ("fc.bias",), ())


def test_prefix_stands_before_every_name():
    given = {f"backbone.{name}": array for name, array in tensors().items()} | {"head.weight": np.zeros(2)}
    report = assign(tiny(), given, prefix="backbone.")
    assert report.loaded[0] == "backbone.conv.weight"
    assert report.unused == ()  # what has another prefix was not meant
    check_refused(tiny(), given, "none of the 5 tensors")


def test_wrappers_before_the_names_need_no_telling():
    given = {f"module.model.{name}": array for name, array in tensors().items()}
    report = assign(tiny(), given | {"conv.weight": np.ones((1, 1, 1, 1)), "conv.bias": np.ones(1)})
    assert report.loaded == tuple(given)  # most of the network is there
    assert report.unused == ()


def test_of_equals_the_names_without_a_wrapper_are_meant():
    given = tensors()
    report = assign(tiny(), {f"module.{name}": 2 * array for name, array in given.items()} | given)
    assert report.loaded == tuple(given)
    assert len(report.unused) == len(given)


def test_pytorchs_counters_are_no_tensors_to_report():
    report = assign(tiny(), tensors(bn__num_batches_tracked=np.int64(3)))
    assert report.unused == ()


@pytest.mark.parametrize(
    "name, shape",
    [
        pytest.param("conv.bias", (1, 1, 1, 3), id="vector of an old Caffe file"),
        pytest.param("fc.weight", (1, 1, 5, 3), id="matrix of an old Caffe file"),
        pytest.param("fc.weight", (5, 3, 1, 1), id="1x1 convolution as fully connected"),
        pytest.param("conv.weight", (3, 2), id="fully connected as 1x1 convolution"),
    ],
)
def test_equal_tensors_of_another_rank_are_reshaped(name, shape):
    expected, actual = tiny(), tiny()
    assign(expected, tensors())
    assign(actual, tensors() | {name: tensors()[name].reshape(shape)})
    for first, second in zip(expected.get_weights(), actual.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_fully_connected_layer_becomes_a_convolution_over_the_same_inputs():
    image = keras.Input((2, 3, 4))
    model = keras.Model(image, layers.Conv2D(5, (2, 3), name="fc6")(image))
    weight, bias = np.random.default_rng(0).normal(size=(5, 24)).astype("float32"), np.zeros(5)
    assign(model, {"fc6.weight": weight, "fc6.bias": bias})
    images = np.random.default_rng(1).normal(size=(2, 2, 3, 4)).astype("float32")
    expected = (
        images.transpose(0, 3, 1, 2).reshape(2, 24) @ weight.T
    )  # unrolled as Caffe and PyTorch do: channels first
    actual = keras.ops.convert_to_numpy(model(images)).reshape(2, 5)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3), (1, 3, 2, 1), (6,), (3, 2, 1), (1, 3, 2, 1, 1)])
def test_equal_size_is_not_enough(shape):
    check_refused(tiny(), tensors(conv__weight=np.zeros(shape)), r"conv\.weight: expected \(3, 2, 1, 1\), received")


def test_layers_inside_layers_and_models_are_found():
    class Pair(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first, self.second = layers.Dense(2, name="first"), layers.Dense(2, name="second")

        def build(self, shape):
            self.first.build(shape)
            self.second.build(shape)

        def call(self, x):
            return self.second(self.first(x))

    image = keras.Input((2,))
    inner = keras.Sequential([keras.Input((2,)), Pair(name="pair")], name="inner")
    model = keras.Model(image, inner(image))
    given = {f"{name}.{kind}": np.eye(2)[: 2 if kind == "weight" else 1].squeeze() + index
             for index, name in enumerate(("first", "second")) for kind in ("weight", "bias")}  # fmt: skip
    assert assign(model, given).loaded == ("first.weight", "first.bias", "second.weight", "second.bias")
    np.testing.assert_array_equal(model.get_weights()[2], np.eye(2) + 1)


def test_a_layer_that_is_used_twice_is_loaded_once():
    image = keras.Input((4, 4, 2))
    shared = tiny()
    left = keras.Model(image, layers.ReLU()(shared(image)), name="left")
    right = keras.Model(image, shared(image), name="right")
    assert len(assign(keras.Model(image, [left(image), right(image)]), tensors()).loaded) == 4


def test_tensors_under_keras_names_are_taken_as_they_are_or_not_at_all():
    given = {"conv.kernel": np.arange(6.0).reshape(1, 1, 2, 3), "conv.bias": np.arange(3.0), "fc.kernel": np.eye(3, 5)}
    model = tiny()
    assign(model, given | {"fc.bias": np.zeros(5)})
    np.testing.assert_array_equal(model.get_layer("conv").kernel[0, 0], [[0, 1, 2], [3, 4, 5]])
    for name, shape in [("conv.kernel", (3, 2)), ("fc.kernel", (1, 1, 3, 5)), ("fc.kernel", (3, 5, 1, 1))]:
        changed = given | {"fc.bias": np.zeros(5), name: given[name].reshape(shape)}
        check_refused(tiny(), changed, f"{name}: expected")


def test_one_tensor_does_not_go_to_two_layers():
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, [tiny("left")(image), tiny("right")(image)])
    check_refused(model, tensors(), r"conv\.weight would go to left/conv and right/conv: assign to each nested model")
    assert len(assign(model.get_layer("left"), tensors()).loaded) == 4


def test_subclasses_load_like_their_class():
    class Standardized(layers.Conv2D):
        pass

    image = keras.Input((4, 4, 2))
    model = keras.Model(image, Standardized(3, 1, name="conv")(image))
    assert assign(model, tensors()).loaded == ("conv.weight", "conv.bias")


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8"])
def test_values_are_cast_to_the_variable(dtype):
    model = tiny()
    assign(model, {name: array.astype(dtype) for name, array in tensors().items()})
    np.testing.assert_array_equal(model.get_weights()[1], [7, 8, 9])


def test_bfloat16_variables_take_float32():
    image = keras.Input((3,))
    model = keras.Model(image, layers.Dense(2, name="fc", dtype="bfloat16")(image))
    assign(model, {"fc.weight": np.full((2, 3), 0.5), "fc.bias": np.array([1.0, 2.0])})
    np.testing.assert_array_equal(np.asarray(model.get_weights()[1], np.float32), [1, 2])


def test_a_model_without_weights_is_said_to_have_none():
    image = keras.Input((3,))
    with pytest.raises(ValueError, match="model empty: it has no weights to assign"):
        assign(keras.Model(image, layers.ReLU()(image), name="empty"), tensors())
