"""From a file to a model: which format, which published file, and one clear line for whatever is wrong."""

import hashlib
import logging
import subprocess
import sys
import zipfile

import fill
import numpy as np
import pytest
from checks import infer
from paths import GOLDEN

from kreid.models import openpose
from kreid.weights import KNOWN, assign, convert, describe, identify, load, read

COCO = GOLDEN / "openpose_coco_div32_v2.caffemodel"
BODY_25 = GOLDEN / "openpose_body25_div16_v2.caffemodel"


@pytest.fixture(scope="module")
def network():
    """OpenPose's COCO network, and the weights that it starts from."""
    model = openpose.coco((None, None, 3), width_divisor=32)
    return model, model.get_weights()


@pytest.fixture
def coco(network):
    model, initial = network
    model.set_weights(initial)
    return model


def check_unchanged(model, before):
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.backend
@pytest.mark.parametrize(
    "stem, builder, divisor, last",
    [
        ("openpose_body25_div16", openpose.body_25, 16, ("confidence_2", "paf_4")),
        ("openpose_coco_div32", openpose.coco, 32, ("confidence_6", "paf_6")),
    ],
)
def test_networks_from_caffe_files_compute_what_opencv_computed(stem, builder, divisor, last):
    golden = fill.load(GOLDEN / f"{stem}.npz")
    model = builder(golden["images"].shape[1:], width_divisor=divisor)
    initial, outputs = model.get_weights(), []
    for variant in ("v2", "v2_legacyshape", "v1"):
        model.set_weights(initial)
        report = load(model, GOLDEN / f"{stem}_{variant}.caffemodel")
        assert (len(report.loaded), report.unused) == (len(golden["names"]), ())
        maps = infer(model, golden["images"].astype("float32"))
        outputs.append([maps[key] for key in last])
    for key, actual in zip(("out/heatmaps", "out/paf"), outputs[0], strict=True):
        assert np.abs(actual - golden[key]).max() <= 1e-4 * np.abs(golden[key]).max()
    for other in outputs[1:]:
        np.testing.assert_array_equal(other[0], outputs[0][0])
        np.testing.assert_array_equal(other[1], outputs[0][1])


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "openpose_coco_div32_v2_cut_boundary.caffemodel",
            r"cut_boundary\.caffemodel: model openpose_coco: 176 of 184 tensors are missing "
            r"\(conv3_1\.weight, conv3_1\.bias, conv3_2\.weight, \.\.\.\); the file may have been cut short",
        ),
        ("openpose_coco_div32_v2_truncated.caffemodel", "cut short inside layer 'conv3_1'"),
        (
            "openpose_body25_div16_v2.caffemodel",
            r"152 of 184 tensors are missing \(conv5_1_CPM_L2\.weight, .* \(conv2_1\.weight: expected .*"
            r"the file has 295 others \(prelu4_2\.slope, .* another network",
        ),
        ("torch_small_legacy.pth", r"none of the 17 tensors belongs to model openpose_coco, this looks like another"),
        ("torch_whole_model.pth", r"its pickle asks for '__main__\.Small'"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(coco, name, message):
    before = coco.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        load(coco, GOLDEN / name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{GOLDEN / name}: ")
    check_unchanged(coco, before)


def test_a_single_nan_in_a_file_is_found(coco, tmp_path):
    tensors = {name: array.copy() for name, array in read(COCO).items()}
    tensors["Mconv7_stage6_L2.weight"][3, 1] = np.nan
    np.savez(tmp_path / "x.npz", **tensors)
    before = coco.get_weights()
    with pytest.raises(ValueError, match=r"x\.npz: Mconv7_stage6_L2\.weight: 1 of 76 values are NaN or infinite"):
        load(coco, tmp_path / "x.npz")
    check_unchanged(coco, before)


@pytest.mark.parametrize(
    "content, message",
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"<!DOCTYPE html>\n<p>", "a text file, .* it starts with '<!DOCTYPE html>': a down", id="page"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid", "a text file, .* or a pointer", id="pointer"),
        pytest.param(b"   \n\n", "a text file, .* it starts with ''", id="blank"),
        pytest.param(511 * b"a" + "é".encode() + b"a", "a text file", id="text cut inside a character"),
        pytest.param(b"name: 'net'\nlayer {", "a text file", id="prototxt"),
        pytest.param(b"PK\x03\x04 and no more", "a zip archive that is cut short or damaged", id="half a zip"),
        pytest.param(b"\x89HDF\r\n\x1a\n" + bytes(99), "no readable HDF5 file", id="half an HDF5 file"),
        pytest.param(bytes(range(256)), "no Caffe model, or a damaged one", id="noise"),
        pytest.param(bytes(1000), "no Caffe model|no layer with weights", id="zeros"),
    ],
)  # fmt: skip
def test_says_what_a_file_is_not(tmp_path, content, message):
    path = tmp_path / "x.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.caffemodel: {message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_zip_that_is_no_checkpoint_says_what_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("photo.jpg", b"...")
        archive.writestr("data.pkl.txt", b"...")
    with pytest.raises(ValueError, match=r"x\.pth: a zip archive but no checkpoint .* it holds photo\.jpg, data\.pkl"):
        read(tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(ValueError, match=r"it holds nothing"):
        read(tmp_path / "empty.zip")


def test_says_that_there_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.pth: no such file"):
        read(tmp_path / "gone.pth")
    with pytest.raises(ValueError, match="a folder, expected a file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["x.caffemodel", "x.pth", "x.bin", "x"])
@pytest.mark.parametrize("source", [COCO, GOLDEN / "torch_small_checkpoint.pth", GOLDEN / "torch_small.npz"])
def test_the_contents_tell_the_format_not_the_name(tmp_path, source, name):
    (tmp_path / name).write_bytes(source.read_bytes())
    assert list(read(tmp_path / name)) == list(read(str(source)))


def test_published_files_are_known_by_their_checksum(monkeypatch):
    assert identify(COCO) is None
    assert KNOWN["78287b57cf85fa89c03f1393d368e5b7"].startswith("OpenPose BODY_25, pose_iter_584000.caffemodel")
    assert KNOWN["5156d31f670511fce9b4e28b403f2939"].startswith("OpenPose COCO, pose_iter_440000.caffemodel")
    monkeypatch.setitem(KNOWN, hashlib.md5(COCO.read_bytes()).hexdigest(), "a known file")
    assert identify(COCO) == "a known file"
    assert describe(COCO).known == "a known file"


def test_the_log_names_the_file_and_what_was_loaded(coco, monkeypatch, caplog):
    monkeypatch.setitem(KNOWN, hashlib.md5(COCO.read_bytes()).hexdigest(), "a known file")
    with caplog.at_level(logging.INFO, "kreid"):
        load(coco, COCO)
    assert caplog.messages == [
        f"{COCO}: a known file",
        f"{COCO}: 184 tensors loaded, 0 missing, 0 unused, 0 misshapen",
    ]


def test_a_known_file_of_another_network_is_named(coco, monkeypatch):
    monkeypatch.setitem(KNOWN, hashlib.md5(BODY_25.read_bytes()).hexdigest(), "OpenPose BODY_25")
    with pytest.raises(ValueError, match=r"v2\.caffemodel \(OpenPose BODY_25\): model openpose_coco: 152 of 184"):
        load(coco, BODY_25)


def test_a_description_lists_every_tensor(coco):
    summary = describe(COCO)
    assert summary.format == "Caffe"
    assert summary.rows[0] == ("conv1_1.weight", (4, 3, 3, 3), "float32")
    assert len(summary.rows) == 184
    assert summary.parameters == coco.count_params()
    lines = str(summary).splitlines()
    assert lines[0].split(maxsplit=2) == ["conv1_1.weight", "float32", "(4, 3, 3, 3)"]
    assert lines[-2] == f"{COCO}: Caffe, 184 tensors, {summary.parameters:,} values"
    assert lines[-1] == "not one of the known files"


def test_a_converted_file_loads_the_same(network, coco, tmp_path):
    _, initial = network
    out = tmp_path / "coco.weights.h5"
    assert len(convert(COCO, coco, out).loaded) == 184
    converted = coco.get_weights()
    coco.set_weights(initial)
    coco.load_weights(out)
    check_unchanged(coco, converted)
    coco.set_weights(initial)
    assert assign(coco, read(out)).missing == ()
    check_unchanged(coco, converted)


def test_fewer_stages_take_a_converted_file_too(coco, tmp_path):
    convert(COCO, coco, tmp_path / "coco.weights.h5")
    part = openpose.coco((None, None, 3), stages=1, width_divisor=32)
    report = assign(part, read(tmp_path / "coco.weights.h5"))
    assert (report.missing, len(report.loaded)) == ((), len(part.weights))
    np.testing.assert_array_equal(part.get_layer("conv5_5_CPM_L2").get_weights()[1], read(COCO)["conv5_5_CPM_L2.bias"])


@pytest.mark.parametrize("out, source, message", [
    ("x.npz", COCO, r"out: expected a name ending in \.weights\.h5, received .*x\.npz"),
    ("x.weights.h5", BODY_25, "perhaps it is another network"),
])  # fmt: skip
def test_a_conversion_that_fails_writes_nothing(coco, tmp_path, out, source, message):
    with pytest.raises(ValueError, match=message):
        convert(source, coco, tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_listing_a_file_imports_neither_keras_nor_pytorch():
    code = f"""if True:
        import sys
        from kreid.weights import describe
        print(len(describe({str(COCO)!r}).rows), len(describe({str(GOLDEN / "torch_types.pth")!r}).rows))
        print([name for name in ("keras", "tensorflow", "jax", "torch", "h5py") if name in sys.modules])
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["184 13", "[]"]
