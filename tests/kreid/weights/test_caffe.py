"""Reading `.caffemodel`: the recorded files against the weights they were written from, and crafted ones by hand."""

import struct

import fill
import numpy as np
import pytest
from paths import GOLDEN
from wire import block, doubles, floats, layer, legacy_shape, number, shape, v1_layer, varint

from kreid.weights import read


@pytest.fixture
def caffemodel(tmp_path):
    """Return a function that reads the given bytes as a file."""

    def reader(content):
        path = tmp_path / "net.caffemodel"
        path.write_bytes(content)
        return read(path)

    return reader


@pytest.mark.parametrize("variant", ["v2", "v2_legacyshape", "v1"])
@pytest.mark.parametrize("stem", ["openpose_body25_div16", "openpose_coco_div32"])
def test_reads_every_variant_bit_for_bit(stem, variant):
    expected = {name.replace("/", "."): array for name, array in fill.build(fill.load(GOLDEN / f"{stem}.npz")).items()}
    if variant == "v1":  # the old generation has no PReLU type, so its slope is just a layer's first blob
        expected = {name.replace(".slope", ".weight"): array for name, array in expected.items()}
    tensors = read(GOLDEN / f"{stem}_{variant}.caffemodel")
    assert list(tensors) == list(expected)
    for name, array in expected.items():
        assert tensors[name].dtype == np.float32
        assert tensors[name].shape == array.shape
        assert tensors[name].tobytes() == array.tobytes()


def test_names_the_layer_inside_which_a_file_is_cut():
    path = GOLDEN / "openpose_coco_div32_v2_truncated.caffemodel"
    with pytest.raises(ValueError, match=r"truncated\.caffemodel: cut short inside layer 'conv3_1': 3,443 bytes, at"):
        read(path)


def test_a_cut_between_two_layers_is_a_shorter_file():
    tensors = read(GOLDEN / "openpose_coco_div32_v2_cut_boundary.caffemodel")
    assert [name for name in tensors if name.endswith("weight")] == [
        "conv1_1.weight", "conv1_2.weight", "conv2_1.weight", "conv2_2.weight"
    ]  # fmt: skip


def test_no_cut_elsewhere_goes_unnoticed(tmp_path):
    whole = layer("a", "Convolution", shape(2, 1, 1, 1) + floats(5, [1, 2])) + layer("b", "PReLU", floats(5, [3]))
    boundary = len(layer("a", "Convolution", shape(2, 1, 1, 1) + floats(5, [1, 2])))
    path = tmp_path / "net.caffemodel"
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        if length == boundary:
            assert list(read(path)) == ["a.weight"]
            continue
        with pytest.raises(ValueError, match=r"net\.caffemodel: "):
            read(path)


def test_kinds_follow_the_layers_type(caffemodel):
    vector = shape(2) + floats(5, [1, 2])
    tensors = caffemodel(
        block(1, b"a net")
        + layer("data", "Data")
        + layer("conv", "Convolution", shape(2, 1, 1, 1) + floats(5, [1, 2]), vector)
        + layer("slope", "PReLU", vector)
        + layer("scale", "Scale", vector, vector)
        + layer("bias", "Bias", vector)
        + layer("other", "Custom", vector, vector, vector)
    )
    assert list(tensors) == [
        "conv.weight", "conv.bias", "slope.slope", "scale.weight", "scale.bias", "bias.bias",
        "other.weight", "other.bias", "other.blob2",
    ]  # fmt: skip


@pytest.mark.parametrize("factor, expected", [(4.0, [0.5, 1.0]), (0.0, [0.0, 0.0])])
def test_batch_norm_is_divided_by_its_factor(caffemodel, factor, expected):
    tensors = caffemodel(layer("bn", "BatchNorm", floats(5, [2, 4]), floats(5, [8, 16]), floats(5, [factor])))
    assert list(tensors) == ["bn.running_mean", "bn.running_var"]
    np.testing.assert_array_equal(tensors["bn.running_mean"], expected)
    np.testing.assert_array_equal(tensors["bn.running_var"], np.multiply(expected, 4))


@pytest.mark.parametrize(
    "data, dtype",
    [
        pytest.param(floats(5, [1, 2, 3]), np.float32, id="packed"),
        pytest.param(floats(5, [1]) + floats(5, [2, 3]), np.float32, id="packed, in two pieces"),
        pytest.param(b"".join(varint(5 << 3 | 5) + struct.pack("<f", x) for x in (1, 2, 3)), np.float32, id="single"),
        pytest.param(doubles(8, [1, 2, 3]), np.float64, id="double"),
        pytest.param(b"".join(varint(8 << 3 | 1) + struct.pack("<d", x) for x in (1, 2, 3)), np.float64, id="doubles"),
        pytest.param(floats(5, [1, 2, 3]) + floats(6, [9, 9, 9]), np.float32, id="gradients beside"),
    ],
)
def test_numbers_come_in_every_encoding(caffemodel, data, dtype):
    array = caffemodel(layer("x", "PReLU", data))["x.slope"]
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, [1, 2, 3])


@pytest.mark.parametrize(
    "kind, legacy, expected",
    [
        pytest.param("Convolution", (3, 1, 1, 1), (3, 1, 1, 1), id="a kernel keeps its ones"),
        pytest.param("Convolution", (1, 1, 1, 3), (1, 1, 1, 3), id="a kernel 3 wide"),
        pytest.param("InnerProduct", (1, 1, 3, 1), (3, 1), id="a matrix"),
        pytest.param("PReLU", (1, 1, 1, 3), (3,), id="a vector"),
    ],
)
def test_old_shapes_lose_the_ones_in_front(caffemodel, kind, legacy, expected):
    (array,) = caffemodel(layer("x", kind, legacy_shape(*legacy) + floats(5, [1, 2, 3]))).values()
    assert array.shape == expected


def test_old_generation_knows_its_types_by_number(caffemodel):
    tensors = caffemodel(
        v1_layer("fc", 14, legacy_shape(1, 1, 2, 1) + floats(5, [1, 2]), legacy_shape(1, 1, 1, 2) + floats(5, [3, 4]))
    )
    assert {name: array.shape for name, array in tensors.items()} == {"fc.weight": (2, 1), "fc.bias": (2,)}


def test_steps_over_a_data_layer_that_newer_schemas_refuse(caffemodel):
    # Field 148, as in OpenPose's BODY_25 file; newer schemas want members in it that this one lacks.
    data = layer("data", "CPMData", extra=block(148, number(1, 7)) + number(10, 1))
    assert list(caffemodel(data + layer("a", "PReLU", floats(5, [1])))) == ["a.slope"]


@pytest.mark.parametrize(
    "content, message",
    [
        pytest.param(
            layer("a", "PReLU", shape(3) + floats(5, [1, 2])), r"'a': a blob of shape \(3,\) with 2", id="few"
        ),
        pytest.param(layer("a", "PReLU", shape(2)), r"layer 'a': a blob of shape \(2,\) with 0 values", id="none"),
        pytest.param(layer("a", "PReLU", block(5, b"12345")), "layer 'a': 5 bytes of data at", id="odd bytes"),
        pytest.param(2 * layer("a", "PReLU", floats(5, [1])), "two layers are called 'a'", id="twice"),
        pytest.param(layer("a", "ReLU"), "no layer with weights found", id="no weights"),
        pytest.param(block(100, block(1, b"\xff")), "a name that is no UTF-8 text", id="name"),
        pytest.param(bytes([0x0C, 0x9F]), "byte 0 starts no field", id="another wire type"),
        pytest.param(bytes([0x08] + 11 * [0xFF]), "a number that does not end", id="endless number"),
        pytest.param(block(100, block(1, b"a") + b"\x3a\x70"), "ends behind what holds it", id="inner length"),
    ],
)
def test_says_what_is_damaged(caffemodel, content, message):
    with pytest.raises(ValueError, match=rf"net\.caffemodel: .*{message}"):
        caffemodel(content)


def test_arrays_outlive_the_file(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(layer("a", "PReLU", floats(5, [1, 2])))
    tensors = read(path)
    path.write_bytes(bytes(path.stat().st_size))
    np.testing.assert_array_equal(tensors["a.slope"], [1, 2])
