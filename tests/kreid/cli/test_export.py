"""kreid-export: what it refuses at once, what it prints, and where files go."""

import importlib.util
import shutil

import numpy as np
import pytest
from tiny_runs import invoke

from kreid import runs
from kreid.cli import export as module
from kreid.serving import crops as drawn

pytestmark = pytest.mark.usefixtures("resnet_stem")


@pytest.fixture(scope="module", autouse=True)
def few_crops():
    from kreid.serving import written

    with pytest.MonkeyPatch.context() as patched:
        crops = drawn.draw_crops(12)
        patched.setattr(written, "draw_crops", lambda: crops)
        yield


@pytest.fixture
def refused(run_folder, records, tmp_path, monkeypatch, capsys):
    """Exit code and line of a command that must end before TensorFlow loads, and write nothing."""

    def refuse(*arguments):
        monkeypatch.setattr(module, "load_tensorflow", None)
        monkeypatch.chdir(tmp_path)
        before = sorted(run_folder.rglob("*"))
        places = {"run": run_folder, "records": records}
        code, lines, said = invoke(capsys, module.app, *(argument.format(**places) for argument in arguments))
        assert lines == []
        assert said.count("\n") == 1, said
        assert sorted(run_folder.rglob("*")) == before
        assert not list(tmp_path.iterdir())
        return code, said

    return refuse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "tensorrt"), "'tensorrt' is not one of 'saved_model', 'onnx'"),
        (("--format", "onnx", "--out", "model.xml"), "out model.xml: expected a name that ends in .onnx"),
        (("--format", "onnx", "--out", "."), "a folder, expected the name of a file"),
        (("--format", "openvino", "--precision", "int8"), "precision int8: openvino is written in"),
        (("--input", "tracker"), "--input tracker: a saved_model is written with images"),
        (("--precision", "int8"), "--precision int8: a saved_model is written with float32"),
        (("--check", "nowhere"), "--check nowhere: no such folder"),
        (("--split", "valid"), "--split valid: is of --check"),
        (("--format", "onnx", "--max-pixels", "9"), "--max-pixels: of a saved_model alone"),
        (("--out", "model.onnx"), "out model.onnx: is a name of onnx"),
        (("--check", "{records}", "--split", "train"), "the training set has no queries"),
        (("--max-pixels", "0"), "--max-pixels"),
    ],
)
def test_what_cannot_be_is_refused_at_once(refused, arguments, message):
    code, said = refused("{run}", *arguments)
    assert code == 2
    assert message in said


def test_a_missing_package_is_named_with_its_extra(refused, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else found(name))
    code, said = refused("{run}", "--format", "onnx")
    assert code == 2
    assert said == 'error: format onnx: needs tf2onnx, which is not installed: pip install "kreid[onnx]"\n'


def test_a_withheld_split_cannot_tell_what_a_file_costs(refused):
    code, said = refused("{run}", "--format", "onnx", "--check", "{records}", "--split", "challenge")
    assert code == 1
    assert "withheld" in said


@pytest.mark.parametrize("name", ["saved_model", "onnx"])
def test_a_run_without_weights_is_no_network_yet(run_folder, tmp_path, capsys, name):
    (tmp_path / "run").mkdir()
    shutil.copy(run_folder / runs.CONFIG, tmp_path / "run")
    code, lines, said = invoke(capsys, module.app, tmp_path / "run", "--format", name)
    assert (code, lines) == (1, [])
    assert f"no {runs.WEIGHTS}" in said
    assert [path.name for path in (tmp_path / "run").iterdir()] == [runs.CONFIG]


def test_a_tracker_s_file_and_what_its_precision_costs(run_folder, records, tmp_path, capsys, monkeypatch):
    shutil.copytree(run_folder, tmp_path / "run", ignore=shutil.ignore_patterns("serving", "*.json", "*.html"))
    sizes = []
    from kreid.serving import onnx_file

    write = onnx_file.write
    monkeypatch.setattr(onnx_file, "write", lambda *given: (sizes.append(given[3].shape), write(*given)))
    line = ("--format", "onnx", "--input", "tracker", "--precision", "int8", "--check", records, "--split", "valid")
    code, lines, _ = invoke(capsys, module.app, tmp_path / "run", *line)
    assert code == 0
    assert lines[-1] == str(tmp_path / "run" / "model_tracker_int8.onnx")
    assert lines[0].startswith("largest cosine distance from the network on 32 drawn crops: ")
    assert lines[1].startswith("valid: mAP ")
    assert " of the network, " in lines[1]
    (shape,) = sizes
    assert shape[0] > 12, "ranges come from the training set beside the split"
    assert shape[1:] == (3, 32, 32)
    found = onnx_file.read(tmp_path / "run" / "model_tracker_int8.onnx")(np.zeros((2, 3, 32, 32), np.float32))
    assert found.shape == (2, 16)
