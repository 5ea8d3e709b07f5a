"""What must not be loaded: one line from the commands, the right exit code, and nothing left behind."""

import functools
import pickle
import zipfile

import numpy as np
import pytest
import yaml
from paths import GOLDEN
from tiny_runs import script

from kreid import models
from kreid.cli.weights import app
from kreid.errors import ConfigError
from kreid.weights import describe, identify, read
from tfrecords_tools.console.command import run

GOOD = GOLDEN / "openpose_body25_div16_v2.caffemodel"
TO = ["--to", "openpose_body_25", "--width-divisor", "16"]
BUILD = functools.cache(models.build_backbone)


@pytest.fixture
def built_once(monkeypatch):
    """One network for all tests: what none of them may change, but for the last, whose file fits."""
    monkeypatch.setattr(models, "build_backbone", BUILD)


@pytest.mark.parametrize("function", [read, describe, identify])
def test_what_is_no_path_is_named(function):
    with pytest.raises(ConfigError, match="path: expected the path of a file of weights, received None"):
        function(None)


class Exploit:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def change(folder, name, place, value):
    """Write the good file's tensors with a part of one of them changed."""
    tensors = dict(read(GOOD))
    tensors[name] = np.array(tensors[name])
    tensors[name][place] = value
    np.savez(folder / "bad.npz", **tensors)
    return folder / "bad.npz"


def other_shape(folder):
    np.savez(folder / "bad.npz", **{**read(GOOD), "conv1_1.weight": np.zeros((5, 3, 3, 3))})
    return folder / "bad.npz"


def evil(folder):
    with zipfile.ZipFile(folder / "bad.pth", "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({"state_dict": Exploit(folder / "ran")}, 2))
    return folder / "bad.pth"


def photographs(folder):
    with zipfile.ZipFile(folder / "bad.zip", "w") as archive:
        archive.writestr("a.jpg", b"...")
    return folder / "bad.zip"


BAD = {
    "truncated": (
        lambda folder: GOLDEN / "openpose_body25_div16_v2_truncated.caffemodel",
        "cut short inside layer 'conv3_1'",
    ),
    "cut at a layer": (
        lambda folder: GOLDEN / "openpose_body25_div16_v2_cut_boundary.caffemodel",
        "319 of 327 tensors are missing (conv3_1.weight, conv3_1.bias, conv3_2.weight, ...)",
    ),
    "another network": (
        lambda folder: GOLDEN / "openpose_coco_div32_v2.caffemodel",
        "(conv5_1_CPM_L1.weight, conv5_1_CPM_L1.bias, conv5_1_CPM_L2.weight, ...), perhaps it is another network",
    ),
    "code": (evil, "asks for 'io.open', which no state dict needs: refused, nothing was run"),
    "no checkpoint": (photographs, "a zip archive but no checkpoint of PyTorch, NumPy or Keras; it holds a.jpg"),
    "not finite": (
        lambda folder: change(folder, "Mconv7_stage1_L1.weight", (0, 0), np.nan),
        "Mconv7_stage1_L1.weight: 1 of 832 values are NaN or infinite; nothing was loaded",
    ),
    "shape": (other_shape, "conv1_1.weight: expected (4, 3, 3, 3), received (5, 3, 3, 3)"),
}


def call(capfd, *arguments):
    """Run kreid-weights here; return its exit code and what it wrote."""
    with pytest.raises(SystemExit) as left:
        run(app, [str(argument) for argument in arguments])
    return left.value.code, *capfd.readouterr()


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.usefixtures("built_once")
def test_convert_names_the_fault_in_one_line_and_writes_nothing(tmp_path, capfd, fault):
    make, message = BAD[fault]
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, err = call(capfd, "convert", path, *TO, "--out", tmp_path / "x.weights.h5")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {path}: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before  # no half-written file, and no trace of code


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["convert", "gone.pth", *TO, "--out", "x.weights.h5"], "gone.pth: no such file"),
        (["inspect", "gone.pth"], "gone.pth: no such file"),
        (["inspect", "."], ".: a folder, expected a file"),
        (["convert", str(GOOD), *TO, "--out", "x.npz"], "--out x.npz: expected a name that ends in .weights.h5"),
        (["convert", str(GOOD), "--to", "openpose", "--out", "x.weights.h5"], "backbone 'openpose' is not known"),
        (["convert", str(GOOD), *TO, "--width-divisor", "0", "--out", "x.weights.h5"], "width_divisor: expected"),
        (["convert", str(GOOD), *TO, "--variant", "keras", "--out", "x.weights.h5"], "has no option 'variant'"),
    ],
)
def test_wrong_arguments_end_with_2(tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capfd, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("built_once")
def test_convert_and_inspect_a_good_file(tmp_path, capfd):
    converted = tmp_path / "x.weights.h5"
    code, out, err = call(capfd, "convert", GOOD, *TO, "--out", converted)
    assert (code, out) == (0, f"{converted}\n")
    assert err.splitlines() == [
        f"{GOOD}: not one of the known files",
        f"{GOOD}: 327 tensors loaded, 0 missing, 0 unused, 0 misshapen",
    ]
    code, out, _ = call(capfd, "inspect", converted)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 327 + 2
    assert lines[-2].startswith(f"{converted}: Keras, 327 tensors, ")


def test_training_stops_at_part_weights_that_hold_code(records, tmp_path):
    path = evil(tmp_path)
    part = {"paf_stages": 1, "confidence_stages": 1, "width_divisor": 32, "weights": str(path)}
    appearance = {"weights": None, "layer": "conv3", "width_divisor": 16}
    model = {"embedder": "two_stream", "image_size": [64, 32], "appearance": appearance, "part": part}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"model": model}), encoding="utf-8")
    done = script("kreid-train", "tiny.yaml", "--data", records, "--out", "run", "--quiet", cwd=tmp_path)
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert error.startswith(f"error: model.part.weights: {path}: its pickle asks for 'io.open', which no state dict")
    assert "Traceback" not in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.pth", "tiny.yaml"]
