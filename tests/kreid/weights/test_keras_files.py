"""Reading Keras's own files, written by Keras, and taking them into models by name."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from kreid.layers.bilinear import CompactBilinearPooling
from kreid.weights import assign, read


def block(name, filters):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(filters, 3, name="conv"),
            layers.Dropout(0.2, name="drop"),
            layers.BatchNormalization(name="bn"),
        ],
        name=name,
    )


def nested(seed):
    """Two streams with equally named layers, then a layer with weights that no other framework has."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 3))
    x = CompactBilinearPooling(output_dim=16, seed=seed, name="bilinear")(
        [block("left", 4)(image), block("right", 5)(image)]
    )
    model = keras.Model(image, layers.Dense(2, name="head")(x), name=f"model_{seed}")
    for index, variable in enumerate(model.weights):
        if "float" in str(variable.dtype):
            variable.assign(np.random.default_rng([seed, index]).uniform(0.5, 1.5, variable.shape))
    return model


def flat(seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv1_conv")(image)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.BatchNormalization(name="conv1_bn")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="slope")(x)
    model = keras.Model(image, layers.Dense(2, name="head")(x), name=f"flat_{seed}")
    for variable in model.weights:
        variable.assign(np.random.default_rng(seed).uniform(0.5, 1.5, variable.shape))
    return model


def check_equal(first, second):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    outputs = [keras.ops.convert_to_numpy(model(images, training=False)) for model in (first, second)]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.backend
@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
def test_a_model_takes_the_file_of_its_like(tmp_path, name):
    saved, other = nested(1), nested(2)
    saved.compile("adam", "mse")
    saved.train_on_batch(np.zeros((2, 8, 8, 3)), np.zeros((2, 2)))  # so that the file holds an optimizer's state too
    (saved.save_weights if name.endswith("h5") else saved.save)(tmp_path / name)
    tensors = read(tmp_path / name)
    assert tensors["left/conv.0"].shape == (3, 3, 3, 4)
    assert tensors["right/conv.0"].shape == (3, 3, 3, 5)
    report = assign(other, tensors)
    assert (report.missing, report.unused, report.misshapen) == ((), (), ())
    assert len(report.loaded) == len(saved.weights)
    check_equal(saved, other)


def test_a_nested_model_takes_its_part(tmp_path):
    saved, other = nested(1), block("left", 4)
    saved.save_weights(tmp_path / "x.weights.h5")
    report = assign(other, read(tmp_path / "x.weights.h5"), prefix="left/")
    assert (report.missing, report.unused) == ((), ())
    check_equal(saved.get_layer("left"), other)


def older_file(path, model, whole):
    """Write the form of Keras 2 and of keras.applications, as their files are."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        names = [layer.name for layer in model.layers]
        # Long lists are spread over several attributes.
        group.attrs["layer_names" if whole else "layer_names0"] = [name.encode() for name in names[:3]]
        if whole:
            group.attrs["layer_names"] = [name.encode() for name in names]
        else:
            group.attrs["layer_names1"] = [name.encode() for name in names[3:]]
        for layer in model.layers:
            inner = group.create_group(layer.name)
            kinds = [variable.name for variable in layer.weights]
            if isinstance(layer, layers.DepthwiseConv2D):
                kinds[0] = "depthwise_kernel"
            inner.attrs["weight_names"] = np.array([f"{layer.name}/{kind}:0".encode() for kind in kinds], "S")
            for kind, variable in zip(kinds, layer.weights, strict=True):
                inner[f"{layer.name}/{kind}:0"] = keras.ops.convert_to_numpy(variable)


@pytest.mark.parametrize("whole", [False, True], ids=["weights", "whole model"])
def test_reads_the_older_form(tmp_path, whole):
    saved, other = flat(1), flat(2)
    older_file(tmp_path / "x.h5", saved, whole)
    tensors = read(tmp_path / "x.h5")
    assert list(tensors)[:4] == ["conv1_conv.kernel", "conv1_conv.bias", "depthwise.depthwise_kernel", "depthwise.bias"]
    report = assign(other, tensors)
    assert (report.missing, report.unused) == ((), ())
    check_equal(saved, other)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_reads_the_older_form_as_keras_writes_it(tmp_path):
    saved, other = flat(1), flat(2)
    saved.save(tmp_path / "x.h5")
    assign(other, read(tmp_path / "x.h5"))
    check_equal(saved, other)


def test_bfloat16_becomes_float32(tmp_path):
    image = keras.Input((3,))
    model = keras.Model(image, layers.Dense(2, name="head", dtype="bfloat16")(image))
    model.save_weights(tmp_path / "x.weights.h5")
    kernel = read(tmp_path / "x.weights.h5")["head.0"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, np.asarray(model.get_weights()[0], np.float32))


@pytest.mark.parametrize(
    "fill, message",
    [
        (lambda file: None, "holds no layer's variables"),
        (lambda file: file.create_dataset("table", data=[1.0]), "holds no layer's variables"),
        (
            lambda file: file.create_dataset("layers/dense/vars/0", data=[1.0]),
            "/layers/dense does not tell its layer's",
        ),
        (lambda file: file.attrs.create("layer_names", [b"gone"]), "no readable HDF5 file"),
    ],
)
def test_says_what_is_wrong(tmp_path, fill, message):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        fill(file)
    with pytest.raises(ValueError, match=rf"x\.h5: .*{message}"):
        read(tmp_path / "x.h5")


def test_a_group_that_lies_within_itself_is_read_once(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("layers/dense")
        group["again"], group["and_again"], group["all"] = group, group, file
        group.create_dataset("vars/0", data=[1.0])
        group["vars"].attrs["name"] = "head"
    assert list(read(tmp_path / "x.h5")) == ["head.0"]


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
def test_a_cut_file_is_noticed(tmp_path, name):
    model = flat(1)
    (model.save_weights if name.endswith("h5") else model.save)(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{name}: .*(no readable HDF5 file|cut short or damaged)"):
        read(tmp_path / name)


def patch(path, place, value):
    """Overwrite eight bytes of a file with a number."""
    content = bytearray(path.read_bytes())
    content[place : place + 8] = value.to_bytes(8, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    "place, value",
    [
        pytest.param(8, 1 << 40, id="a heap larger than the file"),
        pytest.param(8, 16, id="a heap smaller than any"),
        pytest.param(24, 25, id="a text longer than it is"),
        pytest.param(24, 0, id="a text shorter than it is"),
        pytest.param(24, (1 << 64) - 1, id="a text larger than any memory"),
    ],
)
def test_texts_in_which_hdf5_would_loop_for_ever_are_refused(tmp_path, place, value):
    """Found by changing bytes at random: the library walks over its heap of texts without looking where it ends."""
    path = tmp_path / "x.weights.h5"
    flat(1).save_weights(path)
    patch(path, path.read_bytes().index(b"GCOL") + place, value)
    with pytest.raises(
        ValueError, match=r"x\.weights\.h5: no readable HDF5 file: the texts at byte [\d,]+ are damaged"
    ):
        read(path)


@pytest.mark.parametrize("options", [{}, {"chunks": (1 << 20,), "compression": "gzip"}], ids=["plain", "compressed"])
def test_numbers_that_the_file_does_not_have_get_no_room(tmp_path, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(1 << 40,), dtype="f4", **options)
        file["layers/dense/vars"].attrs["name"] = "head"
    with pytest.raises(ValueError, match="/layers/dense/vars/0 needs 4,398,046,511,104 bytes, the file has 0 for it"):
        read(tmp_path / "x.h5")


def test_a_compressed_dataset_is_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.zeros(1 << 20, "f4"), compression="gzip", compression_opts=9)
        file["layers/dense/vars"].attrs["name"] = "head"
    np.testing.assert_array_equal(read(tmp_path / "x.h5")["head.0"], np.zeros(1 << 20))
