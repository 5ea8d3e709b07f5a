"""The SavedModel, loaded as TensorFlow Serving loads it: by the C++ loader, not by Python."""

import ctypes
import errno
import io
import resource
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kreid.data.file_errors import as_os_error
from kreid.data.images import decode_and_resize
from kreid.layers.bilinear import CompactBilinearPooling
from kreid.layers.normalization import L2Normalization
from kreid.layers.preprocessing import ImagePreprocessing
from kreid.serving.export import export


@pytest.fixture(scope="module")
def model():
    """Two convolutions, fused: what of kreid's own an export has to carry."""
    keras.utils.set_random_seed(1)
    image = keras.Input((64, 32, 3))
    x = ImagePreprocessing(mean=128, std=256, channel_order="bgr")(image)
    maps = [keras.layers.Conv2D(channels, 3, strides=8)(x) for channels in (6, 5)]
    fused = CompactBilinearPooling(32, normalize=False)(maps)
    return keras.Model(image, {"embedding": L2Normalization()(fused)})


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export(model, tmp_path_factory.mktemp("run") / "serving")


def png(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), pixels


def test_signatures_equal_the_model(model, exported):
    assert exported.parts[-2:] == ("serving", "1")
    loaded = tf.saved_model.load(str(exported))
    files = [png(90, 40, 0)[0], png(50, 70, 1)[0], png(64, 32, 2)[0]]
    expected = model(np.stack([decode_and_resize(file, (64, 32)) for file in files]))["embedding"]
    for name in ("encoded", "serving_default"):
        served = loaded.signatures[name](image_bytes=tf.constant(files))["embedding"]
        np.testing.assert_allclose(served, expected, atol=1e-6)
    _, pixels = png(64, 32, 2)
    served = loaded.signatures["pixels"](image=tf.constant(pixels[None], tf.float32))["embedding"]
    np.testing.assert_allclose(served, expected[2:], atol=1e-6)


def test_versions_count_up_and_nothing_half_written_stays(model, tmp_path):
    (tmp_path / "serving" / "7").mkdir(parents=True)
    assert export(model, tmp_path / "serving").name == "8"
    assert sorted(path.name for path in (tmp_path / "serving").iterdir()) == ["7", "8"]


@pytest.mark.parametrize("most", [1000, 100_000])
def test_a_full_disk_leaves_no_version(model, tmp_path, most):
    """The file with the graph, or the one with the weights, becomes too large."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            export(model, tmp_path / "serving")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(tmp_path / "serving")
    assert not list((tmp_path / "serving").iterdir())


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (
            tf.errors.ResourceExhaustedError(None, None, "/x/a; No space left on device"),
            errno.ENOSPC,
            "No space left",
        ),
        (tf.errors.UnknownError(None, None, "{{node Save}} /x/.partial-1/b; Disc on fire"), errno.EIO, "Disc on fire"),
    ],
)
def test_what_tensorflow_says_of_a_file_names_the_users(error, code, reason):
    told = as_os_error(error, "serving")
    assert (told.errno, told.filename) == (code, "serving")
    assert told.strerror.startswith(reason)


def test_the_cpp_loader_runs_it(exported):
    """`TF_LoadSessionFromSavedModel` of the C API, the loader of TensorFlow Serving, which some SavedModels of Keras
    models fail in although Python loads them."""
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (2, 64, 32, 3)).astype("float32")
    signature = tf.saved_model.load(str(exported)).signatures["pixels"]
    expected = signature(image=tf.constant(image))["embedding"].numpy()
    definition = _signature_def(exported, "pixels")
    served = _run_in_c(exported, definition.inputs["image"].name, image, definition.outputs["embedding"].name)
    np.testing.assert_allclose(served, expected, atol=1e-6)


def _signature_def(folder, name):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((Path(folder) / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].signature_def[name]


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def _run_in_c(folder, input_name, image, output_name):
    """Load a SavedModel and run it once with nothing but the C API."""
    library = ctypes.CDLL(str(Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"))
    for name in ("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel"):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData"):
        getattr(library, name).restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_TensorByteSize.restype = ctypes.c_size_t
    pointer = ctypes.c_void_p
    status, graph = pointer(library.TF_NewStatus()), pointer(library.TF_NewGraph())
    tags = (ctypes.c_char_p * 1)(b"serve")
    options = pointer(library.TF_NewSessionOptions())
    session = library.TF_LoadSessionFromSavedModel(options, None, str(folder).encode(), tags, 1, graph, None, status)
    assert library.TF_GetCode(status) == 0, library.TF_Message(status)

    def port(name):
        operation, _, index = name.partition(":")
        found = library.TF_GraphOperationByName(graph, operation.encode())
        assert found, name
        return _Output(found, int(index or 0))

    dims = (ctypes.c_int64 * image.ndim)(*image.shape)
    tensor = pointer(library.TF_AllocateTensor(1, dims, image.ndim, ctypes.c_size_t(image.nbytes)))
    ctypes.memmove(library.TF_TensorData(tensor), image.ctypes.data, image.nbytes)
    results = (ctypes.c_void_p * 1)()
    inputs, outputs = (_Output * 1)(port(input_name)), (_Output * 1)(port(output_name))
    values = (ctypes.c_void_p * 1)(tensor)
    library.TF_SessionRun(pointer(session), None, inputs, values, 1, outputs, results, 1, None, 0, None, status)
    assert library.TF_GetCode(status) == 0, library.TF_Message(status)
    size = library.TF_TensorByteSize(pointer(results[0]))
    data = ctypes.string_at(library.TF_TensorData(pointer(results[0])), size)
    return np.frombuffer(data, np.float32).reshape(len(image), -1)
