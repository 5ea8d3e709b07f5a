"""The shared checks notice what they are there for: each of these layers, losses and models has one fault."""

from functools import partial

import checks
import keras
import numpy as np
import pytest
from keras import layers, ops

MAPS = np.random.default_rng(0).standard_normal((3, 4, 2)).astype("float32")
LABELS = np.array([[300001, 0], [300001, 0], [300002, 0], [300002, 0]])
FEATURES = np.random.default_rng(1).standard_normal((4, 5)).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
class Scale(layers.Layer):
    """A layer without a fault: one factor a channel, times a constant."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale * self.factor

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="tests")
class DropsAnArgument(Scale):
    def get_config(self):
        config = super().get_config()
        del config["factor"]
        return config


@keras.saving.register_keras_serializable(package="tests")
class ForgetsAnArgument(Scale):
    """The key is there, the value is not kept."""

    def get_config(self):
        return {**super().get_config(), "factor": 1.0}


@keras.saving.register_keras_serializable(package="tests")
class EmptiesItsConfig(Scale):
    @classmethod
    def from_config(cls, config):
        return cls(config.pop("factor"), **config)


@keras.saving.register_keras_serializable(package="tests")
class LiesAboutItsShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])


@keras.saving.register_keras_serializable(package="tests")
class MixesTheBatch(Scale):
    def call(self, x):
        return super().call(x - ops.mean(x, axis=0, keepdims=True))


@keras.saving.register_keras_serializable(package="tests")
class StopsTheGradient(Scale):
    def call(self, x):
        return super().call(ops.stop_gradient(x))


@keras.saving.register_keras_serializable(package="tests")
class IgnoresItsWeight(Scale):
    def call(self, x):
        return x * self.factor + 0.0 * ops.sum(self.scale)


@keras.saving.register_keras_serializable(package="tests")
class KeepsFloat32(Scale):
    def call(self, x):
        return ops.cast(super().call(x), "float32")


@keras.saving.register_keras_serializable(package="tests")
class LosesDigits(Scale):
    """Adds and takes away a number that half-size floats cannot hold beside the input."""

    def call(self, x):
        return super().call((x + 256.0) - 256.0)


@keras.saving.register_keras_serializable(package="tests")
class HidesItsWeight(Scale):
    """A random factor that is no weight, so that it is not saved."""

    def build(self, input_shape):
        super().build(input_shape)
        self.hidden = float(np.random.default_rng().uniform())

    def call(self, x):
        return super().call(x) * self.hidden


class IsNotRegistered(Scale):
    pass


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (DropsAnArgument, r"get_config\(\) lacks factor"),
        (ForgetsAnArgument, r"from_config\(get_config\(\)\): output\n"),
        (EmptiesItsConfig, "from_config changes the dict"),
        (LiesAboutItsShape, "compute_output_shape of .* a call returns"),
        (MixesTheBatch, "output of one image"),
        (StopsTheGradient, "training leaves .*before_0/.* as before"),
        (IgnoresItsWeight, "training leaves .*scale as before"),
        (KeepsFloat32, "mixed_bfloat16: returns .*float32"),
        (LosesDigits, "mixed_bfloat16: output is off by .* roundings"),
        (HidesItsWeight, r"from_config\(get_config\(\)\): output\n"),
        (IsNotRegistered, "IsNotRegistered"),
    ],
)
def test_a_faulty_layer_is_caught(layer, message):
    with pytest.raises((AssertionError, TypeError, ValueError), match=message):
        checks.check_layer(partial(layer, factor=2.0), MAPS)


@pytest.mark.backend
def test_a_sound_layer_passes():
    checks.check_layer(partial(Scale, factor=2.0), MAPS)


@keras.saving.register_keras_serializable(package="tests")
class Distance(keras.losses.Loss):
    """A loss without a fault: distance of an image from the mean of its person."""

    def __init__(self, power=1, name="distance", **kwargs):
        super().__init__(name=name, **{**kwargs, "dtype": "float32"})
        self.power = power

    def call(self, y_true, y_pred):
        same = ops.cast(y_true[:, None, 0] == y_true[None, :, 0], "float32")
        mean = ops.matmul(same, y_pred) / ops.sum(same, axis=1, keepdims=True)
        return ops.sum(ops.abs(y_pred - mean) ** self.power, axis=1)

    def get_config(self):
        return {"name": self.name, "reduction": self.reduction, "power": self.power}


@keras.saving.register_keras_serializable(package="tests")
class ReturnsAScalar(Distance):
    def call(self, y_true, y_pred):
        return ops.mean(super().call(y_true, y_pred))


@keras.saving.register_keras_serializable(package="tests")
class DropsItsPower(Distance):
    def get_config(self):
        return {"name": self.name, "reduction": self.reduction}


@keras.saving.register_keras_serializable(package="tests")
class ConfusesPeople(Distance):
    """Labels in the precision of the policy: neighbouring ids become one."""

    def call(self, y_true, y_pred):
        policy = keras.config.dtype_policy().compute_dtype
        return super().call(ops.cast(ops.cast(y_true, policy), "float32"), y_pred)


@keras.saving.register_keras_serializable(package="tests")
class CutsTheGradient(Distance):
    def call(self, y_true, y_pred):
        return super().call(y_true, ops.stop_gradient(y_pred)) + 0.0 * ops.sum(y_pred, axis=1)


@keras.saving.register_keras_serializable(package="tests")
class DividesByZero(Distance):
    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) / (ops.cast(ops.shape(y_true)[0], "float32") - 1.0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (ReturnsAScalar, r"expected \(\d,\), returned \(\)"),
        (DropsItsPower, r"get_config\(\) lacks power"),
        (ConfusesPeople, "mixed_bfloat16: not computed in float32"),
        (CutsTheGradient, "training leaves .*dense.* as before"),
        (DividesByZero, "of 1 images: .*nan"),
    ],
)
def test_a_faulty_loss_is_caught(loss, message):
    with pytest.raises(AssertionError, match=message):
        checks.check_loss(partial(loss, power=2), LABELS, FEATURES)


@pytest.mark.backend
def test_a_sound_loss_passes():
    checks.check_loss(partial(Distance, power=2), LABELS, FEATURES)


def network(convolution="conv", offset=0.0, centre=False, hidden=False):
    image = keras.Input((8, 4, 3), name="image")
    x = layers.Rescaling(1 / 255, offset, name="preprocessing")(image)
    if offset:
        x = layers.Rescaling(1.0, -offset, name="back")(x)
    if centre:
        x = layers.BatchNormalization(name="norm")(x, training=True)
    x = layers.Conv2D(6, 3, activation="tanh", name=convolution)(x)
    vector = layers.GlobalAveragePooling2D(name="pool")(x)
    if hidden:
        vector = HidesItsWeight(name="scale")(vector)
    branch = layers.Dense(2, activation="tanh", name="branch")(vector)
    return keras.Model(image, {"embedding": vector, "branch": branch}, name="network")


IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 4, 1)).astype("float32") * np.float32([1.0, 0.5, 0.1])
LOSSES = {name: Distance() for name in ("embedding", "branch")}


@pytest.mark.parametrize(
    ("build", "losses", "message"),
    [
        (partial(network, convolution=None), LOSSES, "Conv2D 'conv2d.*' has no name of its own"),
        (partial(network, centre=True), LOSSES, "embedding of one image"),
        (partial(network, offset=1000.0), LOSSES, "mixed_float16: embedding is off by .* images are .* apart"),
        (partial(network, hidden=True), LOSSES, "loaded from .keras: embedding\n"),
        (network, {"embedding": Distance()}, "training leaves .*branch.* as before"),
    ],
    ids=["unnamed", "mixes_the_batch", "loses_digits", "hides_its_weight", "rests"],
)
def test_a_faulty_model_is_caught(build, losses, message):
    with pytest.raises(AssertionError, match=message):
        checks.check_model(build, IMAGES, lambda outputs: losses, LABELS)


@pytest.mark.backend
def test_a_sound_model_passes():
    checks.check_model(network, IMAGES, lambda outputs: LOSSES, LABELS)
    checks.check_model(network, IMAGES, lambda outputs: {"embedding": Distance()}, LABELS, resting=["branch"])
