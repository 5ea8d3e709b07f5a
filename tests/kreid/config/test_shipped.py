"""Configurations by name, and in the forms that Python has them."""

import shutil

import pytest
from paths import ROOT

from kreid.config import shipped
from kreid.config.loading import as_config, check, load_config, load_tree, read_yaml
from kreid.errors import ConfigError

TREE = {"model": {"embedder": "one_stream"}, "train": {"epochs": 3}}


def test_the_packages_folder_is_the_checkouts():
    assert shipped.FOLDER.resolve() == ROOT / "configs"
    assert shipped.shipped_names() == sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    assert "layerwise" in shipped.shipped_names("spaces")


@pytest.mark.parametrize("name", shipped.shipped_names())
def test_each_is_found_by_its_name(name):
    assert load_tree(name) == load_tree(ROOT / "configs" / f"{name}.yaml")


def test_a_space_is_found_among_spaces():
    path = ROOT / "configs" / "spaces" / "layerwise.yaml"
    assert read_yaml("layerwise", "space", "x", "spaces") == read_yaml(path, "space", "x")
    assert read_yaml("layerwise", "configuration", "x") != read_yaml(path, "space", "x")


def test_a_file_of_that_name_comes_first_and_a_run_of_that_name_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "osnet").mkdir()
    assert load_config("osnet").model.appearance.backbone == "osnet_x1_0"
    shutil.copy(ROOT / "configs" / "resnet50.yaml", tmp_path / "demo")
    assert load_config("demo").model.appearance.backbone == "resnet50"


@pytest.mark.parametrize("path", ["nowhere", "elsewhere/osnet", "osnet.yaml", ""])
def test_what_is_neither_is_told_with_the_names(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"configuration {path or '.'}.*cannot be read.*kreid: clip_vit_b16, .*osnet"):
        load_config(path or ".")


@pytest.mark.parametrize(
    "given",
    [
        check(TREE),
        TREE,
        "model: {embedder: one_stream}\ntrain:\n  epochs: 3\n",
        "{model: {embedder: one_stream}, train: {epochs: 3}}",
    ],
    ids=["checked", "dict", "lines", "line"],
)
def test_a_configuration_in_every_form(given):
    assert as_config(given) == check(TREE)


def test_a_path_and_a_name(tmp_path):
    path = tmp_path / "a: b.yaml"
    path.write_text("model: {embedder: one_stream}")
    assert as_config(path) == check({"model": {"embedder": "one_stream"}})
    assert as_config("demo") == load_config(ROOT / "configs" / "demo.yaml")


@pytest.mark.parametrize(
    "given, words",
    [
        (7, "config: expected a Config, a dict, YAML or the path of a YAML file, received 7"),
        (" ", "config: expected a Config, a dict, YAML or the path of a YAML file, received an empty text"),
        ({"model": {"embedder": "one_stream"}, "train": {"epoch": 3}}, "train.epoch: unknown key; did you mean epochs"),
        ("- one\n- two\n", "configuration: expected keys such as `model:`, received list"),
        ("model: {embedder: [}", "configuration: line 1: not YAML"),
    ],
)
def test_what_is_no_configuration_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        as_config(given)
