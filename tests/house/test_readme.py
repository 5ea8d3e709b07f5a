"""The README's commands, run as they stand; and that what it names is there."""

import os
import re
import shlex
import shutil

import pytest
import yaml
from paths import ROOT
from tiny_runs import script

from website.shipped import weights_of

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


def narrow_demo(file):
    """Give the demonstration one narrow stream of one convolution.

    Two streams take thrice as long; the tour trains, scores and looks at them.
    """
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    tree["model"] = {"embedder": "one_stream", "image_size": [64, 32], "appearance": tree["model"]["appearance"]}
    tree["model"]["appearance"] |= {"layer": "conv1", "width_divisor": 32}
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("resnet_stem")
def test_the_lines_that_need_no_download_run(tmp_path, request, monkeypatch):
    """In this process, which has TensorFlow already; that a shell finds the commands, test_commands sees to."""
    import tensorflow as tf

    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # a set is drawn in as many processes; in the tour they are two
    request.addfinalizer(lambda: tf.config.run_functions_eagerly(False))
    lines = [line for block in blocks("sh") if "toy/" in block for line in block.splitlines()]
    assert "--synthetic" in lines[0]
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    narrow_demo(tmp_path / "configs" / "demo.yaml")
    for line in lines:
        assert not re.search(r"[\\$|&;<>]", line), f"{line}: asks for a shell"
        name, *arguments = shlex.split(line, comments=True)
        tf.config.run_functions_eagerly(name == "kreid-train")  # four steps take less than tracing one
        done = script(name, *arguments, cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}"
    for name in ("run/metrics_test.json", "run/ranking_test.json", "run/report_test.html", "queries.npz", "seen"):
        assert (tmp_path / "toy" / name).exists(), name
    assert (tmp_path / "toy" / "run" / "serving" / "1" / "saved_model.pb").exists()


def test_the_python_lines_use_names_that_exist():
    import kreid

    (code,) = [block for block in blocks("python") if "import kreid" in block]
    for name in re.findall(r"kreid\.(\w+)", code):
        assert getattr(kreid, name)


def test_no_placeholder_is_left():
    assert not re.findall(r"[A-Z]+_HERE|TODO|XXX", README)


def test_paths_and_links_exist():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link
    for config in set(re.findall(r"configs/\w+\.yaml", README)):
        assert (ROOT / config).exists(), config


def test_make_targets_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for target in set(re.findall(r"(?:^|`)make (\w+)", README, flags=re.M)):
        assert target in targets


CONFIGS = sorted((ROOT / "configs").glob("*.yaml"), key=lambda path: path.stem)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_heads_name_the_weights(path):
    from kreid.config.loading import load_config

    model, said = load_config(path).model, weights_of(path)
    assert ("fetched by Keras" in said) == (model.appearance.weights == "imagenet")
    if model.embedder == "two_stream" and model.part.width_divisor == 1:
        assert re.search(rf"OpenPose('s)? {model.part.arch.upper()}", said)
        assert "you supply" in said


def test_the_readme_is_read_in_one_go():
    assert len(README.splitlines()) < 150


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_heads_say_what_was_measured(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# Measured: ")]
    assert len(lines) == 1
    assert re.fullmatch(
        r"# Measured: .*(benchmarks/parity\.py|README\.md).*; not trained on SoccerNet by us\.", lines[0]
    )
